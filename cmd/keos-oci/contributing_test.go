package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestScriptHeads: each scenario begins with comment lines that say which rule it shows and what would break it.
func TestScriptHeads(t *testing.T) {
	for name, script := range scripts(t) {
		var head []string
		for line := range strings.Lines(script) {
			if !strings.HasPrefix(line, "# ") {
				break
			}
			head = append(head, line)
		}
		if text := strings.Join(head, ""); len(head) < 2 || !strings.Contains(text, "\n# Fails if ") {
			t.Errorf("%s: begin it with lines \"# RULE\" and \"# Fails if …\"; it begins with:\n%s", name, text)
		}
	}
}

// TestContributingScriptCommands compares the table of CONTRIBUTING with the commands of the scenarios: those that are ours, and those
// of testscript that a scenario uses.
func TestContributingScriptCommands(t *testing.T) {
	used := map[string]bool{}
	for name := range scriptCommands() {
		used[name] = true
	}
	for _, script := range scripts(t) {
		for line := range strings.Lines(script) {
			words := slices.DeleteFunc(strings.Fields(line), func(w string) bool { return w == "!" || w == "?" || w[0] == '[' })
			if len(words) > 0 && words[0][0] != '#' {
				used[words[0]] = true
			}
		}
	}
	listed := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*`) \\|").FindAllStringSubmatch(contributing(t), -1) {
		for _, command := range regexp.MustCompile("`([a-z]+)(?: [^`]*)?`").FindAllStringSubmatch(row[1], -1) {
			listed[command[1]] = true
		}
	}
	for name := range used {
		if !listed[name] {
			t.Errorf("CONTRIBUTING.md does not list the script command %s", name)
		}
	}
	for name := range listed {
		if !used[name] {
			t.Errorf("CONTRIBUTING.md lists %s, which is no command of a script", name)
		}
	}
}

// TestContributingPaths: each file and folder that CONTRIBUTING mentions is there.
func TestContributingPaths(t *testing.T) {
	paths := regexp.MustCompile("`((?:cmd|internal|testdata|docs|e2e|action|\\.ci|\\.github)/[^`<*]*)`").FindAllStringSubmatch(contributing(t), -1)
	if len(paths) < 20 {
		t.Errorf("%d paths found", len(paths))
	}
	for _, m := range paths {
		if _, err := os.Stat(filepath.Join("..", "..", m[1])); err != nil {
			t.Error(err)
		}
	}
}

func contributing(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// scripts gives each scenario's commands by its name, without its files.
func scripts(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	all := map[string]string{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(file)] = string(archive.Comment)
	}
	return all
}
