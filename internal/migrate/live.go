package migrate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/cluster"
)

// The answers of a cluster to whether an object is ready.
const (
	ReadyYes     = "yes"
	ReadyNo      = "no"
	ReadyUnknown = "unknown" // the cluster has not said yet
)

// codeNotReady is of stops at what a cluster says.
const codeNotReady = "not-ready"

// LiveState is how far a Kustomization is in Git, and what its cluster says about it. Ready is empty where nobody asked the cluster.
type LiveState struct {
	State
	Ready    string `json:"ready,omitempty"`
	Message  string `json:"message,omitempty"`
	Revision string `json:"revision,omitempty"` // that was applied last
}

// Live adds to states what their clusters say, those that were asked.
func Live(states []State, asked map[string]*cluster.State) []LiveState {
	all := make([]LiveState, len(states))
	for i, s := range states {
		all[i].State = s
		if live := asked[s.Cluster]; live != nil {
			namespace, name, _ := strings.Cut(s.Kustomization, "/")
			o, found := live.Find(cluster.Ref{Kind: cluster.Kustomization, Namespace: namespace, Name: name})
			all[i].Ready, all[i].Message = kustomizationReady(o, found, s.Source)
			all[i].Revision = o.Revision
		}
	}
	return all
}

// kustomizationReady says whether a Kustomization is ready with the source that Git gives it.
func kustomizationReady(o cluster.Object, found bool, source string) (ready, message string) {
	switch {
	case !found:
		return ReadyNo, "it is not in the cluster"
	case o.Source.String() != source:
		return ReadyNo, "in the cluster its source is " + o.Source.String()
	}
	return objectReady(o)
}

// objectReady says whether an object is ready as it is now, not as it was before its last change.
func objectReady(o cluster.Object) (ready, message string) {
	said := oneLine(cmp.Or(o.Ready.Message, o.Ready.Reason))
	switch {
	case o.Deleting:
		return ReadyNo, "it is being deleted"
	case o.Suspended:
		return ReadyNo, "it is suspended"
	// A controller that fails says so of the last change in the condition alone, and has not observed the change in whole.
	case o.Ready.Status == "False" && o.Ready.Current:
		return ReadyNo, said
	case !o.Current || !o.Ready.Current:
		return ReadyUnknown, "the cluster has not reconciled its last change yet"
	case o.Ready.Status == "True":
		return ReadyYes, said
	}
	return ReadyUnknown, said
}

// sourceReady says why an OCIRepository cannot be followed, "" where it can: it is ready, has what this tag names, and the
// cluster has verified its artifact.
func sourceReady(o cluster.Object, found bool, want string) string {
	if !found {
		return "it is not in the cluster"
	}
	if ready, message := objectReady(o); ready != ReadyYes {
		return message
	}
	if tag, _, ok := strings.Cut(o.Revision, "@"); ok && tag != want {
		return fmt.Sprintf("it has %s, and is to follow %s", tag, want)
	}
	if !o.Verified.IsTrue() {
		said := cmp.Or(o.Verified.Message, "the cluster reports no SourceVerified for it as it is now")
		return "its artifact is not verified: " + oneLine(said)
	}
	return ""
}

// RequireSources stops unless a cluster has the OCIRepositories of what is to move there, ready and verified. It gives how many it needs,
// and how many of them are ready. Components limits it to some.
func (p *Plan) RequireSources(name string, live *cluster.State, components []string) (ready, needed int) {
	seen := map[cluster.Ref]bool{}
	for _, m := range p.of(name).Moves {
		source := cluster.Ref{Kind: cluster.OCIRepository, Namespace: m.applier.Namespace, Name: m.Component}
		if seen[source] || len(components) > 0 && !slices.Contains(components, m.Component) {
			continue
		}
		seen[source] = true
		o, found := live.Find(source)
		if fault := sourceReady(o, found, m.tag()); fault != "" {
			p.notReady(name, m.applier, source, fault, doForSource(o, found, source, m.applier.Parent))
			continue
		}
		ready++
	}
	return ready, len(seen)
}

// RequireSecond stops unless a cluster has the second source of its fleet, ready and verified.
func (p *Plan) RequireSecond(s *FleetStep, live *cluster.State) {
	namespace, name, _ := strings.Cut(s.Source, "/")
	source := cluster.Ref{Kind: cluster.OCIRepository, Namespace: namespace, Name: name}
	o, found := live.Find(source)
	if fault := sourceReady(o, found, s.Channel); fault != "" {
		p.notReady(s.Cluster, s.entry, source, fault, doForSource(o, found, source, nil))
	}
}

// RequireEntry stops unless the cluster's entry follows the artifact of the fleet and is ready.
func (p *Plan) RequireEntry(s *FleetStep, live *cluster.State) {
	entry := cluster.Ref{Kind: cluster.Kustomization, Namespace: s.entry.Namespace, Name: s.entry.Name}
	o, found := live.Find(entry)
	if ready, message := kustomizationReady(o, found, ociRepository+" "+s.entry.Source.String()); ready != ReadyYes {
		do := "push the commit"
		if !s.Managed {
			do = "kubectl apply -f " + s.Entry
		}
		p.notReady(s.Cluster, s.entry, entry, message, do)
	}
}

func doForSource(o cluster.Object, found bool, source cluster.Ref, parent *applier) string {
	switch {
	case !found && parent != nil:
		return "push the commit of prepare, then " + reconcile(parent) + " --with-source"
	case !found:
		return "apply it"
	case o.Suspended:
		return fmt.Sprintf("flux resume source oci %s -n %s", source.Name, source.Namespace)
	}
	return fmt.Sprintf("correct what the message says, then flux reconcile source oci %s -n %s", source.Name, source.Namespace)
}

// RequireSwitched stops unless each Kustomization of a cluster that Git lets follow an artifact does so there and is ready. It gives how
// many Git has, and how many of them are ready. Components limits it to some.
func (p *Plan) RequireSwitched(name string, live *cluster.State, components []string) (ready, switched int) {
	l := p.of(name).landscape
	for _, a := range l.appliers {
		if a.Kind != cluster.OCIRepository || a.Source == l.own || len(components) > 0 && !slices.Contains(components, a.Source.Name) {
			continue
		}
		switched++
		ref := cluster.Ref{Kind: cluster.Kustomization, Namespace: a.Namespace, Name: a.Name}
		o, found := live.Find(ref)
		if is, message := kustomizationReady(o, found, a.Kind+" "+a.Source.String()); is != ReadyYes {
			p.notReady(name, a, ref, message, doForKustomization(o, found, a))
			continue
		}
		ready++
	}
	return ready, switched
}

func doForKustomization(o cluster.Object, found bool, a *applier) string {
	switch {
	case found && o.Suspended:
		return fmt.Sprintf("flux resume kustomization %s -n %s", a.Name, a.Namespace)
	case (!found || o.Source.Kind != a.Kind) && a.Parent != nil:
		return "push the commit of switch, then " + reconcile(a.Parent) + " --with-source"
	}
	return "correct what the message says, then " + reconcile(a)
}

// reconcile is the command that makes Flux look at a Kustomization now.
func reconcile(a *applier) string {
	return fmt.Sprintf("flux reconcile kustomization %s -n %s", a.Name, a.Namespace)
}

// of is the plan of a cluster.
func (p *Plan) of(name string) *ClusterPlan {
	i := slices.IndexFunc(p.Clusters, func(c ClusterPlan) bool { return c.Name == name })
	return &p.Clusters[i]
}

// notReady stops at the place of a Kustomization.
func (p *Plan) notReady(name string, at *applier, what cluster.Ref, why, do string) {
	message := fmt.Sprintf("%s is not ready: %s", what, why)
	p.Stops = append(p.Stops, Stop{Cluster: name, Code: codeNotReady, File: at.File, Line: at.Line, Message: message, Do: do})
}

// maxMessage is how much of a controller's message is shown.
const maxMessage = 300

// oneLine makes a controller's message short.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return text
}
