package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGenerateSameBytes(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if err := generate(dir, 20, 3, 0); err != nil {
			t.Fatal(err)
		}
	}
	// Figures of different days compare only while the components stay these bytes.
	const want = "b8195490d69acaf298153090cf7eca80cfae68176e2f263de16013dde076868b"
	if got := treeDigest(t, a); got != treeDigest(t, b) || got != want {
		t.Errorf("got %s and %s, want %s", got, treeDigest(t, b), want)
	}
}

func TestEveryComponentChanges(t *testing.T) {
	for i := range 20 {
		_, before := component(i, 1, 0)
		_, after := component(i, 2, 0)
		if _, files := component(i, 1, 10); len(files) != 10 {
			t.Errorf("%d files", len(files))
		}
		if maps.Equal(before, after) {
			t.Errorf("component %d did not change", i)
		}
		if !slices.Equal(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after))) {
			t.Errorf("component %d has other files: an old one would stay behind", i)
		}
	}
}

func treeDigest(t *testing.T, dir string) string {
	t.Helper()
	hash := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(hash, "%s %d\n%s", filepath.ToSlash(name), len(content), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", hash.Sum(nil))
}

func TestProxyCounts(t *testing.T) {
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host)
	}))
	defer registry.Close()
	upstream, err := url.Parse(registry.URL)
	if err != nil {
		t.Fatal(err)
	}
	var p proxy
	front := httptest.NewServer(p.handler(upstream))
	defer front.Close()

	get := func(times int) {
		for range times {
			resp, err := http.Get(front.URL + "/v2/")
			if err != nil {
				t.Fatal(err)
			}
			body, err := read(resp, http.StatusOK)
			if err != nil {
				t.Fatal(err)
			}
			if "http://"+string(body) != front.URL {
				t.Errorf("the registry was asked for host %s, not the proxy's: it would redirect past the proxy", body)
			}
		}
	}
	control := func(line, want string) {
		var out strings.Builder
		if err := p.control(strings.NewReader(line+"\n"), &out); err != nil {
			t.Fatal(err)
		}
		if out.String() != want+"\n" {
			t.Errorf("%s: answered %q, want %s", line, out.String(), want)
		}
	}
	get(3)
	control("20ms", "3")
	start := time.Now()
	get(2)
	if took := time.Since(start); took < 40*time.Millisecond {
		t.Errorf("two requests with 20 ms each took %s", took)
	}
	control("0s", "2")
	control("0s", "0")
	if err := p.control(strings.NewReader("soon\n"), &strings.Builder{}); err == nil {
		t.Error("a delay that is none was accepted")
	}
}

func TestTable(t *testing.T) {
	run := func(wall time.Duration, requests int) []sample {
		return []sample{{wall: 9 * wall, requests: 1}, {wall: wall, requests: requests}, {wall: wall / 2, requests: 1}}
	}
	rows := []row{
		{job: publishChanged, tool: toolKeos, n: 100, runs: run(3*time.Second, 1501)},
		{job: publishChanged, tool: toolFloor, n: 100, runs: run(time.Second, 1100)},
		{job: promoteMany, tool: toolKeos, n: 100, runs: run(time.Second, 9000)},
		{job: promoteMany, tool: toolCrane, n: 100, runs: run(8*time.Second, 9000)},
		{job: status, tool: toolKeos, n: 100, runs: run(time.Second, 1000)},
		{job: publishUnchanged, tool: toolKeos, n: 100, runs: run(time.Second, 301)},
		{job: help, tool: toolKeos, runs: run(20*time.Millisecond, 0)},
	}
	got := table(rows)
	for _, want := range []string{"15.01 (≤ 16)", "3.00 (≤ 1.3)", "NO: keos-oci / other", "0.12 (≤ 0.167)", "10.00 (≤ 10)", "3.01 (≤ 3.01)",
		"0.020 (≤ 0.05)", "yes"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if err := tooManyRequests(rows); err != nil {
		t.Error(err)
	}
	for i, requests := range map[int]int{0: 1601, 4: 1001, 5: 302} {
		exceeding := slices.Clone(rows)
		exceeding[i].runs = []sample{{}, {requests: requests}}
		if tooManyRequests(exceeding) == nil {
			t.Errorf("%s: one run above the limit of requests was accepted", rows[i])
		}
	}
}

func TestProcessesInTurn(t *testing.T) {
	a, b := sample{wall: 1, cpu: 2, peak: 30, requests: 4}, sample{wall: 10, cpu: 20, peak: 3, requests: 40}
	if got, want := a.then(b), (sample{wall: 11, cpu: 22, peak: 30, requests: 44}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
