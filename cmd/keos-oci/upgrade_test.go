package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/tag"
)

// upgraded gives two sandboxes on what the first release wrote, see testdata/upgrade/README.md. Each has a registry and a
// checkout of its own, so a test may change one. Nothing but loopback answers in them.
func upgraded(t *testing.T) (keyed, keyless *sandbox) {
	t.Helper()
	fixture := upgradeFile(t, "")
	made := func(prefix string) *sandbox {
		s := newSandbox(t)
		s.prefix = prefix
		s.env = append(s.env, "HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1")
		if err := unpack(filepath.Join(fixture, "registry.tar.gz"), s.content); err != nil {
			t.Fatal(err)
		}
		s.git("fetch", "-q", "--update-head-ok", filepath.Join(fixture, "checkout.bundle"), "refs/*:refs/*")
		s.git("reset", "-q", "--hard", "main")
		s.git("remote", "add", "origin", "git@github.com:org/apps.git")
		return s
	}
	return made("keyed/apps"), made("keyless/apps")
}

// upgradeFile is the path of a file of the fixture.
func upgradeFile(t *testing.T, name string) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("../../testdata/upgrade", name))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// unpack writes the folders and files of a tar archive below dir.
func unpack(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for tr := tar.NewReader(gz); ; {
		header, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Clean(header.Name)
		if header.Typeflag == tar.TypeDir {
			if err := root.MkdirAll(name, 0o755); err != nil {
				return err
			}
			continue
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			return err
		}
		if err := root.WriteFile(name, content, 0o644); err != nil {
			return err
		}
	}
}

// decoded is the JSON that a command printed.
func decoded[T any](t *testing.T, r result) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil {
		t.Fatalf("%v\n%v", err, r)
	}
	return v
}

// TestUpgrade: what the first release published, moved and recorded is read, verified and left alone. No certificate of
// the fixture is valid any more, and no network answers: the log's time decides.
func TestUpgrade(t *testing.T) {
	keyed, keyless := upgraded(t)
	for _, c := range []struct {
		s             *sandbox
		trust, signer []string // flags of who verifies and of who publishes
	}{
		{keyed, []string{"--key", upgradeFile(t, "cosign.pub")}, []string{"--key", upgradeFile(t, "cosign.key")}},
		{keyless, []string{"--trusted-root", upgradeFile(t, "trusted_root.json")},
			[]string{"--trusted-root", upgradeFile(t, "trusted_root.json")}},
	} {
		t.Run(filepath.Dir(c.s.prefix), func(t *testing.T) {
			s := *c.s
			s.t = t
			for _, target := range []string{"frontend:v1.0.0", "frontend:v1.1.0", "frontend:v1.2.0", "frontend:latest-stable", "frontend:latest",
				"backend:v1.0.0", "backend:latest-stable"} {
				s.must(append([]string{"verify", target}, c.trust...)...)
			}
			for name, moves := range map[string]int{"frontend": 3, "backend": 1} {
				history := decoded[release.HistoryResult](t, s.must(append([]string{"history", name, "-o", "json"}, c.trust...)...))
				if len(history.Moves) != moves || history.Standing != tag.Settled || len(history.Findings) > 0 {
					t.Errorf("history: %+v", history)
				}
				for _, m := range history.Moves {
					if m.State == tag.StatePending || m.State == tag.StateInvalid {
						t.Errorf("the record %s is %s", m.Tag, m.State)
					}
				}
			}
			status := decoded[release.StatusResult](t, s.must(append([]string{"status", "-o", "json"}, c.trust...)...))
			standings := map[string]string{}
			for _, component := range status.Components {
				for _, channel := range component.Channels {
					standings[component.Name+" "+channel.Name] = strings.TrimSpace(channel.Version + " " + string(channel.Standing))
				}
			}
			want := map[string]string{"frontend latest": "", "frontend latest-stable": "v1.0.0 settled", "backend latest": "",
				"backend latest-stable": "v1.0.0 settled"}
			if !maps.Equal(standings, want) {
				t.Errorf("status: %v, want %v", standings, want)
			}
			s.registry.Reset()
			if got := published(t, s.must(append([]string{"publish", "-o", "json"}, c.signer...)...)); got.Summary.Unchanged != 2 {
				t.Errorf("publish: %+v", got.Summary)
			}
			if n := s.registry.Count("PUT") + s.registry.Count("POST"); n != 0 {
				t.Errorf("publish wrote: %v", s.registry.Requests())
			}
		})
	}
}
