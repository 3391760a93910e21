package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// monoFiles is how many files each component of the monorepo has: 2,000 of them have 20,000.
const monoFiles = 10

// monorepo measures what a publish costs that finds nothing to do, in a repository and in a quarter of it: how long beside
// a tool that only reads and digests the files that Git tracks, and whether memory grows with it. It also checks all of it once,
// which is the most that a run keeps in memory.
func (l *lab) monorepo(ctx context.Context, o options) ([]row, error) {
	var rows []row
	for _, n := range []int{max(o.mono/4, 1), o.mono} {
		name := fmt.Sprintf("mono%d", n)
		c, err := newCheckout(ctx, filepath.Join(l.dir, name), n, l.env)
		if err != nil {
			return nil, err
		}
		c.least = monoFiles
		if err := c.next(ctx, publishFirst); err != nil {
			return nil, err
		}
		first := row{job: publishFirst, tool: toolKeos, n: n}
		if err := l.publish(ctx, &first, c, name); err != nil {
			return nil, err
		}
		if err := c.next(ctx, publishUnchanged); err != nil {
			return nil, err
		}
		ours, sum := row{job: monorepo, tool: toolKeos, n: n}, row{job: monorepo, tool: toolSum, n: n}
		for range o.reps {
			if err := l.publish(ctx, &ours, c, name); err != nil {
				return nil, err
			}
			s, _, err := l.measure(ctx, 0, "sh", "-c", `cd "$0" && git ls-files -z | xargs -0 sha256sum >/dev/null`, c.dir)
			if err != nil {
				return nil, err
			}
			sum.add(s)
		}
		all := row{job: monoCheck, tool: toolKeos, n: n}
		s, _, err := l.measure(ctx, 0, l.keos(c, name, "check")...)
		if err != nil {
			return nil, err
		}
		all.add(s)
		rows = append(rows, ours, sum, all)
	}
	return rows, nil
}

// big measures keos-oci's memory with many components at full speed, keyless and with a key pair.
func (l *lab) big(ctx context.Context, o options) ([]row, error) {
	c, err := newCheckout(ctx, filepath.Join(l.dir, "big"), o.big, l.env)
	if err != nil {
		return nil, err
	}
	tools := []string{toolKeos}
	if l.sigstore != nil {
		tools = []string{keyless, toolKeos}
	}
	var rows []row
	for _, tool := range tools {
		for _, j := range []job{publishFirst, publishChanged} {
			r := row{job: j, tool: tool, n: o.big}
			if err := c.next(ctx, j); err != nil {
				return nil, err
			}
			if err := l.publish(ctx, &r, c, map[string]string{toolKeos: "big", keyless: "keyless"}[tool]); err != nil {
				return nil, err
			}
			rows = append(rows, r)
		}
	}
	return rows, nil
}
