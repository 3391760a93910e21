package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/manifest"
)

// instanceAfter is the file of a FluxInstance that follows the artifact. Flux Operator takes the GitRepository away then, so
// that nothing else may need it.
func (s *fleetStep) instanceAfter(file []byte, with FleetSources) ([]byte, error) {
	for _, u := range s.uses {
		if u.source == s.own {
			s.stop(u.place, "image-automation",
				fmt.Sprintf("%s takes its files from GitRepository %s, which goes with the change of the FluxInstance", u.what, s.own),
				"give it a GitRepository of its own first")
		}
	}
	if len(s.stops) > 0 {
		return nil, nil
	}
	sync, err := with.Sync(s.component, s.Channel)
	if err != nil {
		return nil, err
	}
	return editDocument(file, s.appliers[0].Line, func(doc *yaml.RNode) error { return follow(doc, s.own.Name, sync) })
}

// follow changes a FluxInstance.
func follow(doc *yaml.RNode, source string, sync flux.Sync) error {
	fields := map[string]string{"kind": ociRepository, "url": sync.URL, "ref": sync.Ref, "pullSecret": sync.PullSecret,
		"provider": sync.Provider}
	block, err := doc.Pipe(yaml.Lookup("spec", "sync"))
	if err != nil {
		return err
	}
	for _, key := range []string{"kind", "url", "ref", "pullSecret", "provider"} {
		if fields[key] == "" {
			err = errors.Join(err, block.PipeE(yaml.Clear(key)))
			continue
		}
		err = errors.Join(err, block.PipeE(yaml.SetField(key, yaml.NewStringRNode(fields[key]))))
	}
	patch := yaml.NewRNode(&yaml.Node{Kind: yaml.MappingNode})
	target := yaml.NewRNode(&yaml.Node{Kind: yaml.MappingNode})
	err = errors.Join(err, target.PipeE(yaml.SetField("kind", yaml.NewStringRNode(ociRepository))),
		target.PipeE(yaml.SetField("name", yaml.NewStringRNode(source))))
	text := yaml.NewRNode(&yaml.Node{Kind: yaml.ScalarNode, Tag: yaml.NodeTagString, Value: sync.Patch, Style: yaml.LiteralStyle})
	err = errors.Join(err, patch.PipeE(yaml.SetField("target", target)), patch.PipeE(yaml.SetField("patch", text)))
	return errors.Join(err, doc.PipeE(yaml.LookupCreate(yaml.SequenceNode, "spec", "kustomize", "patches"), yaml.Append(patch.YNode())))
}

// restoreInstance gives the file of a FluxInstance the bytes that it had. It stops where people changed more of it since.
func (s *fleetStep) restoreInstance(e *edits) error {
	kept, err := e.now(s.WayBack)
	if err != nil {
		return err
	}
	before, ok := bytes.CutPrefix(kept, []byte(wayBackMark(s.cluster, s.Entry)))
	if !ok {
		s.stopWayBack("was not kept in " + s.WayBack)
		return nil
	}
	now, err := e.now(s.Entry)
	if err != nil {
		return err
	}
	if !sameButSync(before, now) {
		s.stopWayBack("was edited since the cluster follows the artifact")
		return nil
	}
	return e.put(s.Entry, before)
}

// sameButSync reports whether the step alone makes the difference between two files with a FluxInstance.
func sameButSync(before, after []byte) bool {
	a, err := manifest.Parse(before)
	b, fault := manifest.Parse(after)
	if err != nil || fault != nil || len(a) != len(b) {
		return false
	}
	for i := range a {
		was, is := objectOf(a[i]), objectOf(b[i])
		if isKind(a[i], "FluxInstance", "fluxcd.controlplane.io/") {
			patches := list(is, "spec", "kustomize", "patches")
			if len(patches) == 0 || !slices.EqualFunc(patches[:len(patches)-1], list(was, "spec", "kustomize", "patches"), reflect.DeepEqual) {
				return false
			}
			was, is = withoutSync(was), withoutSync(is)
		}
		if !reflect.DeepEqual(was, is) {
			return false
		}
	}
	return true
}

func withoutSync(instance map[string]any) map[string]any {
	out := maps.Clone(instance)
	spec, _ := instance["spec"].(map[string]any)
	spec = maps.Clone(spec)
	kustomize, _ := spec["kustomize"].(map[string]any)
	kustomize = maps.Clone(kustomize)
	delete(kustomize, "patches")
	delete(spec, "sync")
	if spec["kustomize"] = kustomize; len(kustomize) == 0 {
		delete(spec, "kustomize")
	}
	out["spec"] = spec
	return out
}

// editDocument changes the document that begins on a line. It is written anew, with its comments; the rest of the file stays byte for byte.
func editDocument(file []byte, line int, change func(*yaml.RNode) error) ([]byte, error) {
	lines := bytes.SplitAfter(file, []byte("\n"))
	first, last := line-1, line-1
	for first > 0 && !bytes.HasPrefix(lines[first-1], []byte("---")) {
		first--
	}
	for last < len(lines) && !bytes.HasPrefix(lines[last], []byte("---")) {
		last++
	}
	doc, err := yaml.Parse(string(bytes.Join(lines[first:last], nil)))
	if err != nil {
		return nil, err
	}
	if err := change(doc); err != nil {
		return nil, err
	}
	text, err := encoded(doc, bytes.Join(lines[first:last], nil))
	if err != nil {
		return nil, err
	}
	out := bytes.Join([][]byte{bytes.Join(lines[:first], nil), text, bytes.Join(lines[last:], nil)}, nil)
	if _, err := manifest.Parse(out); err != nil {
		return nil, fmt.Errorf("the file could not be edited: %w", err)
	}
	return out, nil
}

// encoded writes a document, with the items of lists indented as in the original.
func encoded(doc *yaml.RNode, original []byte) ([]byte, error) {
	style := yaml.CompactSequenceStyle
	before := ""
	for text := range strings.Lines(string(original)) {
		key := strings.TrimLeft(before, " ")
		item := strings.TrimLeft(text, " ")
		if strings.HasPrefix(item, "- ") && strings.HasSuffix(strings.TrimSpace(key), ":") && len(text)-len(item) > len(before)-len(key) {
			style = yaml.WideSequenceStyle
		}
		before = text
	}
	text, err := yaml.MarshalWithOptions(doc.Document(), &yaml.EncoderOptions{SeqIndent: style})
	return text, err
}
