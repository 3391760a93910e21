// Package doctor looks at everything that a publication, a move and a cluster depend on, and says what is wrong and what to do. It
// promises to change nothing: no blob, manifest or tag is written to a registry. What a digest may have, and who may move a channel,
// the gate says (package trust): nothing is judged here.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/setup"
)

// Status is what a check found.
type Status string

// The statuses. Unknown is neither of the others: the check could not be made, or had no answer.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Error   Status = "error"
	Unknown Status = "unknown"
)

// Check is one check with its answer. Subject is what was looked at, such as a host, a component or a file.
type Check struct {
	Name    string `json:"name"`
	Subject string `json:"subject,omitempty"`
	Status  Status `json:"status"`
	Message string `json:"message"`
	Do      string `json:"do,omitempty"`
}

// Summary counts the checks by their status.
type Summary struct {
	OK       int `json:"ok"`
	Warnings int `json:"warnings"`
	Errors   int `json:"errors"`
	Unknown  int `json:"unknown"`
}

// Result is all checks, in an order that does not change.
type Result struct {
	Registry string  `json:"registry,omitempty"`
	Checks   []Check `json:"checks"`
	Summary  Summary `json:"summary"`
}

// ErrUnknown reports that a check has no answer, and that nothing is known to be wrong.
var ErrUnknown = errors.New("cannot tell")

// Err is release.ErrOdd when something is wrong, ErrUnknown when a check has no answer, and nil when all is fine. Warnings are fine.
func (r *Result) Err() error {
	switch {
	case r.Summary.Errors > 0:
		return fmt.Errorf("doctor: %w: errors: %d", release.ErrOdd, r.Summary.Errors)
	case r.Summary.Unknown > 0:
		return fmt.Errorf("doctor: %w: checks without an answer: %d", ErrUnknown, r.Summary.Unknown)
	}
	return nil
}

// Request says what is looked at, and with what.
type Request struct {
	Opener   *setup.Opener
	Signing  *setup.Signing
	Names    []string      // of components, all for none
	ReadOnly bool          // look only at what readers need: no right to push, no signer
	Password bool          // the password of a private key is set, so that nobody has to type it
	Limit    time.Duration // of one subject; 30 s by default. The content of components has ten times as long
}

// patient is what the subjects look at.
type patient struct {
	Request
	*setup.Session                   // nil where nothing could be opened
	failed         error             // why nothing could be opened, or why nothing can be signed
	checkout       *git.Checkout     // nil where there is none
	absent         error             // why there is none
	set            component.Set     // the components that are looked at
	host           func() *hostState // asks the registry once
}

// subject is a part of the checks that runs beside the others.
type subject struct {
	name  string
	limit time.Duration
	look  func(context.Context) []Check
}

// Run makes all checks, side by side. The error is component.ErrUnknown, or the end of ctx.
func Run(ctx context.Context, req Request) (*Result, error) {
	if req.Limit <= 0 {
		req.Limit = 30 * time.Second
	}
	p := &patient{Request: req}
	if err := p.open(ctx); err != nil {
		return nil, err
	}
	subjects := []subject{{"git", req.Limit, p.git}, {"config", req.Limit, p.config}}
	res := &Result{}
	if p.Session != nil {
		res.Registry = p.Workspace.Registry
		p.host = sync.OnceValue(func() *hostState { return p.askHost(ctx) })
		subjects = append(subjects, subject{"registry", req.Limit, p.registry}, subject{"rights", req.Limit, p.rights},
			subject{"sigstore", req.Limit, p.sigstore}, subject{"policy", req.Limit, p.policy}, subject{"channel", 2 * req.Limit, p.channels},
			subject{"content", 10 * req.Limit, p.content})
	}
	found := make([][]Check, len(subjects))
	var all sync.WaitGroup
	for i, s := range subjects {
		all.Go(func() { found[i] = s.within(ctx) })
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for _, list := range found {
		res.Checks = append(res.Checks, list...)
	}
	res.count()
	return res, nil
}

// within looks at a subject, no longer than its limit. A subject that does not come to an end is left to itself.
func (s subject) within(ctx context.Context) []Check {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	done := make(chan []Check, 1)
	go func() { done <- s.look(ctx) }()
	select {
	case list := <-done:
		return list
	case <-ctx.Done():
	}
	select {
	case list := <-done: // it may say who did not answer
		return list
	case <-time.After(time.Second):
		return []Check{{s.name, "", Unknown, fmt.Sprintf("not done within %s", s.limit), "run it again"}}
	}
}

// open opens what there is: the checkout, and the workspace with its registry. Where nothing can be signed, the rest is looked at all
// the same.
func (p *patient) open(ctx context.Context) error {
	p.checkout, p.absent = git.Open(ctx, p.Opener.Directory)
	p.chooseKey()
	p.Session, p.failed = p.Opener.ServiceFor(ctx, p.Signing, p.Request.Names...)
	if p.failed != nil && !p.configured() {
		p.Session, _ = p.Opener.ServiceFor(ctx, nil, p.Request.Names...)
	}
	if p.Session == nil {
		return nil
	}
	var err error
	p.set, err = p.Workspace.Components.Select(p.Session.Names...)
	return err
}

// configured reports whether the checkout or its config is why nothing could be opened.
func (p *patient) configured() bool {
	for _, err := range []error{git.ErrNotCheckout, component.ErrConfig, component.ErrNoComponents} {
		if errors.Is(p.failed, err) {
			return true
		}
	}
	return false
}

func (r *Result) count() {
	for _, c := range r.Checks {
		switch c.Status {
		case OK:
			r.Summary.OK++
		case Warning:
			r.Summary.Warnings++
		case Error:
			r.Summary.Errors++
		case Unknown:
			r.Summary.Unknown++
		}
	}
}

// together makes one check of those that differ in their subject alone.
func together(list []Check) []Check {
	var out []Check
	subjects := map[int][]string{}
	for _, c := range list {
		at := slices.IndexFunc(out, func(o Check) bool {
			return o.Name == c.Name && o.Status == c.Status && o.Message == c.Message && o.Do == c.Do
		})
		if at < 0 {
			at = len(out)
			out = append(out, c)
		}
		subjects[at] = append(subjects[at], c.Subject)
	}
	for i := range out {
		out[i].Subject = enumerate(subjects[i])
	}
	return out
}

// maxShown is how many subjects of one check are shown by name.
const maxShown = 4

func enumerate(names []string) string {
	if len(names) <= maxShown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxShown-1], ", "), len(names)-maxShown+1)
}
