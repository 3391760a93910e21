package migrate

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// same checks that each cluster gets the same Kustomizations from the same sources, and the same objects but sources of Git and patches.
func (c *cleaner) same(ctx context.Context, changes []Change) error {
	copied, remove, err := c.req.Fleet.copyWith(changes)
	if err != nil {
		return err
	}
	defer remove()
	for _, before := range c.all {
		after, err := copied.follow(ctx, before.folder, c.req.Workspaces, before.contents(copied))
		if err != nil {
			return err
		}
		if err := c.sameCluster(before, after); err != nil {
			return err
		}
	}
	return nil
}

func (c *cleaner) sameCluster(before, after *landscape) error {
	if len(after.stops) > 0 {
		return fmt.Errorf("%w: after the change: %s", ErrStops, after.stops[0].Message)
	}
	kinds, now := before.kinds(), after.kinds()
	delete(kinds, gitRepository)
	delete(now, gitRepository)
	if !maps.Equal(kinds, now) || len(before.appliers) != len(after.appliers) {
		return fmt.Errorf("%w: the change would alter what %s applies", ErrStops, before.cluster)
	}
	for i, a := range before.appliers {
		b := after.appliers[i]
		if a.name != b.name || a.Source != b.Source || a.Kind != b.Kind || repositoryPath(a.Path) != repositoryPath(b.Path) ||
			!reflect.DeepEqual(withoutSource(a.object), withoutSource(b.object)) {
			return fmt.Errorf("%w: the change would alter Kustomization %s of %s", ErrStops, a.name, before.cluster)
		}
	}
	for n, values := range before.settings {
		for key, value := range values {
			if after.settings[n][key] != value && !c.gone[key] {
				return fmt.Errorf("%w: the change would alter %s of the settings %s of %s", ErrStops, key, n, before.cluster)
			}
		}
	}
	return nil
}

var merging = regexp.MustCompile(`\bgit merge\b|\bgh pr (create|merge)\b|peter-evans/create-pull-request@|repo-sync/pull-request@|devmasx/merge-branch@|\bgit push\b.*:(refs/heads/)?[A-Za-z]`)

// noteMerges names the lines of workflows that merge branches, in the fleet and in the workspaces.
func (c *cleaner) noteMerges() error {
	places := map[string]string{"": c.req.Fleet.Dir}
	for _, ws := range c.req.Workspaces {
		if ws.Dir != c.req.Fleet.Dir {
			places[ws.Name+":"] = ws.Dir
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(places)) {
		if places[prefix] == "" {
			continue
		}
		if err := c.noteMergesIn(prefix, places[prefix]); err != nil {
			return err
		}
	}
	return nil
}

// noteMergesIn reads the workflows of one checkout. No link leads out of it.
func (c *cleaner) noteMergesIn(prefix, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, pattern := range []string{".github/workflows/*.y*ml", ".gitlab-ci.yml", ".gitlab/*.yml"} {
		files, err := fs.Glob(root.FS(), pattern)
		if err != nil {
			return err
		}
		for _, file := range files {
			if data, err := root.ReadFile(file); err == nil {
				c.noteMergesOf(prefix+file, data)
			}
		}
	}
	return nil
}

func (c *cleaner) noteMergesOf(file string, data []byte) {
	n := 0
	for line := range strings.Lines(string(data)) {
		if n++; merging.MatchString(line) && !strings.HasPrefix(strings.TrimSpace(line), "#") {
			c.notes = append(c.notes, fmt.Sprintf("%s:%d merges or pushes branches, which clusters no longer follow: %s", file, n,
				strings.TrimSpace(line)))
		}
	}
}
