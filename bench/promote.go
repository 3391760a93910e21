package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// What is promoted: every component from one version to the next.
const (
	fromVersion = "v1.0.0"
	toVersion   = "v1.1.0"
	channel     = "latest-stable"
)

// train is components with both versions, whose channel names the first one while nothing is measured.
type train struct {
	*lab
	c      *checkout
	tool   string // keos-oci with a key or keyless
	prefix string // of the repositories
	names  []string
	policy []string // flags that say who signed, where the key does not
}

// promotions measures promote beside the commands that people run instead, in turns, and status.
func (l *lab) promotions(ctx context.Context, o options) ([]row, error) {
	keyed, unkeyed, err := l.trains(ctx, o.n)
	if err != nil {
		return nil, fmt.Errorf("prepare promotions: %w", err)
	}
	one := []row{{job: promoteOne, tool: toolKeos, n: 1, delay: o.delay}}
	many := []row{{job: promoteMany, tool: toolKeos, n: o.n, delay: o.delay}}
	if unkeyed != nil {
		one = append(one, row{job: promoteOne, tool: keyless, n: 1, delay: o.delay})
	}
	if o.crane != "" && o.cosign != "" {
		one = append(one, row{job: promoteOne, tool: toolCraneCosign, n: 1, delay: o.delay})
	}
	if o.crane != "" {
		many = append(many, row{job: promoteMany, tool: toolCrane, n: o.n, delay: o.delay})
	}
	for _, rows := range [][]row{one, many} {
		for rep := range o.reps {
			for i := range rows {
				r, t := &rows[(rep+i)%len(rows)], keyed // who goes first changes
				if r.tool == keyless {
					t = unkeyed
				}
				if err := t.promote(ctx, r, o); err != nil {
					return nil, fmt.Errorf("%s: %w", r, err)
				}
			}
		}
	}
	r := row{job: status, tool: toolKeos, n: o.n, delay: o.delay}
	for range o.reps {
		if err := keyed.status(ctx, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", r, err)
		}
	}
	return append(append(one, many...), r), nil
}

// trains publishes both versions of n components with a key, and of one component keyless if there is a Sigstore stack.
func (l *lab) trains(ctx context.Context, n int) (keyed, unkeyed *train, err error) {
	c, err := newCheckout(ctx, l.path("promote"), n, l.env)
	if err != nil {
		return nil, nil, err
	}
	keyed = &train{lab: l, c: c, tool: toolKeos, prefix: "promote/keos"}
	for i := range n {
		name, _ := component(i, 1, 0)
		keyed.names = append(keyed.names, name)
	}
	trains := []*train{keyed}
	if l.sigstore != nil {
		unkeyed = &train{lab: l, c: c, tool: keyless, prefix: "promote/keyless", names: keyed.names[:1]}
		trains = append(trains, unkeyed)
	}
	for _, version := range []string{fromVersion, toVersion} {
		if err := c.change(ctx); err != nil {
			return nil, nil, err
		}
		list := strings.Join(keyed.names, " "+version+"\n") + " " + version + "\n"
		if err := os.WriteFile(l.path(version), []byte(list), 0o644); err != nil {
			return nil, nil, err
		}
		for _, t := range trains {
			if err := t.release(ctx, version); err != nil {
				return nil, nil, err
			}
		}
	}
	_, err = keyed.move(ctx, &row{job: promoteMany, n: n}, "promote", fromVersion)
	if err == nil && unkeyed != nil {
		_, err = unkeyed.move(ctx, &row{job: promoteOne, n: 1}, "promote", fromVersion)
	}
	return keyed, unkeyed, err
}

// release publishes the commit and gives it a version.
func (t *train) release(ctx context.Context, version string) error {
	for _, flags := range [][]string{{"--ref", "refs/heads/main"}, {"--version", version, "--no-promote"}} {
		args := append(append(t.keos(t.c, t.prefix, "publish"), t.names...), flags...)
		_, got, err := t.do(ctx, 0, summary{Published: len(t.names)}, append(args, t.signing(t.tool)...)...)
		if err != nil {
			return err
		}
		if t.tool == keyless {
			if len(got.Components) == 0 || len(got.Components[0].Signatures) == 0 {
				return errors.New("publish does not say who signed")
			}
			signer := got.Components[0].Signatures[0]
			t.policy = []string{"--certificate-identity", signer.Subject, "--certificate-oidc-issuer", signer.Issuer}
		}
	}
	return nil
}

// promote runs the row's tool and puts the channels back. That says that as many moved, and so that the tool moved them.
func (t *train) promote(ctx context.Context, r *row, o options) (err error) {
	var s sample
	if r.ours() {
		s, err = t.move(ctx, r, "promote", toVersion)
	} else {
		s, err = t.byHand(ctx, r, o)
	}
	if err != nil {
		return err
	}
	r.add(s)
	_, err = t.move(ctx, &row{job: r.job, n: r.n}, "rollback", fromVersion)
	return err
}

// move promotes or rolls back as many components as the row has.
func (t *train) move(ctx context.Context, r *row, verb, version string) (sample, error) {
	what := []string{verb, t.names[0], version}
	if r.job == promoteMany {
		what = []string{verb, "--from-file", t.path(version)}
	}
	args := append(append(t.keos(t.c, t.prefix, what...), t.signing(t.tool)...), t.policy...)
	s, _, err := t.do(ctx, r.delay, summary{Moved: r.n}, args...)
	return s, err
}

// byHand runs what people do without keos-oci, one process after the other: move the tag, and of a single component look
// at the signature, made with a key: keyless promotes are compared with that, too, which spares cosign the certificate.
// cosign v2 wants a trusted root for bundles even with a key; an empty one does.
func (t *train) byHand(ctx context.Context, r *row, o options) (sum sample, err error) {
	var commands [][]string
	for _, name := range t.names[:r.n] {
		repository := t.address + "/" + t.prefix + "/" + name
		commands = append(commands, []string{o.crane, "tag", repository + ":" + toVersion, channel})
		if r.job == promoteOne {
			root := t.path("no-root.json")
			if err := os.WriteFile(root, []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`), 0o644); err != nil {
				return sum, err
			}
			commands = append(commands, []string{o.cosign, "verify", "--key", t.path("keos.pub"), "--insecure-ignore-tlog=true",
				"--private-infrastructure",
				"--new-bundle-format", "--trusted-root", root, repository + ":" + channel})
		}
	}
	for _, args := range commands {
		s, _, err := t.measure(ctx, r.delay, args...)
		if err != nil {
			return sum, err
		}
		sum = sum.then(s)
	}
	return sum, nil
}

// status runs keos-oci status, which has to find every component where promote and rollback have left it.
func (t *train) status(ctx context.Context, r *row) error {
	s, got, err := t.do(ctx, r.delay, summary{}, t.keos(t.c, t.prefix, "status", "--key", t.path("keos.pub"))...)
	if err != nil {
		return err
	}
	settled := 0
	for _, c := range got.Components {
		for _, ch := range c.Channels {
			if ch.Name == channel && ch.Version == fromVersion && ch.Standing == "settled" {
				settled++
			}
		}
	}
	if settled != r.n {
		return fmt.Errorf("it finds %d components with %s at %s, want %d", settled, channel, fromVersion, r.n)
	}
	r.add(s)
	return nil
}

// then is two processes, one after the other, as one.
func (s sample) then(next sample) sample {
	return sample{wall: s.wall + next.wall, cpu: s.cpu + next.cpu, peak: max(s.peak, next.peak), requests: s.requests + next.requests}
}
