package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// withVersions is a sandbox with two components, of which frontend has two versions.
func withVersions(t *testing.T) *sandbox {
	t.Helper()
	s := newSandbox(t)
	s.component("frontend", "one")
	s.component("backend", "one")
	s.commit("one")
	key := s.key()
	s.must("publish", "--key", key)
	for _, version := range []string{"v1.0.0", "v1.1.0"} {
		s.must("publish", "frontend", "--key", key, "--version", version)
	}
	return s
}

// TestComplete: the shell is offered what a command takes at this place. One case each for everything that is looked up.
func TestComplete(t *testing.T) {
	apps, fleet := withVersions(t), newSandbox(t)
	for _, cluster := range []string{"dev", "prod", "_template"} {
		fleet.write("clusters/"+cluster+"/flux-system/gotk-sync.yaml", "apiVersion: v1\nkind: List\nitems: []\n")
	}
	fleet.commit("one")
	for _, c := range []struct{ line, offered, not string }{
		{"publish |", "backend frontend", "v1.0.0"},
		{"publish backend |", "frontend", "backend"},
		{"promote frontend |", "v1.1.0 v1.0.0", "latest backend"},
		{"promote frontend:|", "frontend:v1.1.0", "backend"},
		{"promote frontend:v1.0.0 |", "", "v1.0.0 frontend"},
		{"rollback frontend |", "v1.1.0 v1.0.0", "latest"},
		{"verify frontend:|", "frontend:v1.1.0 frontend:latest", "backend"},
		{"verify frontend |", "v1.1.0 latest latest-stable", "frontend:v1.1.0"},
		{"pull frontend:v1|", "frontend:v1.0.0", "backend"},
		{"diff frontend latest |", "v1.0.0 latest-stable", "frontend"},
		{"diff frontend latest --variant |", "staging production", "frontend"},
		{"promote frontend v1.0.0 --channel |", "latest latest-stable", "v1.0.0"},
		{"history frontend --channel |", "latest latest-stable", "v1.0.0"},
		{"components --explain |", "frontend backend", "v1.0.0"},
		{"migrate switch |", "dev prod", "_template frontend"},
		{"migrate status dev |", "prod", "dev"},
		{"generate resourceset |", "infra apps", "frontend"},
		{"check -o |", "text json yaml sarif", "matrix"},
		{"components -o |", "text json yaml matrix", "sarif"},
		{"publish -o |", "text json yaml", "sarif matrix"},
		{"publish --signature-format |", "bundle both", "text"},
		{"status --log-level |", "debug info warn error", "text"},
		{"generate inputs --signer |", "cluster component", "frontend"},
		{"generate cluster x --provider |", "generic aws azure gcp", "frontend"},
		{"generate cluster x --cluster-size |", "small medium large", "frontend"},
		{"init --workflows |", "github gitlab", "frontend"},
		{"help migr|", "migrate", "promote"},
	} {
		words := strings.Fields(strings.TrimSuffix(c.line, "|"))
		if strings.HasSuffix(c.line, " |") {
			words = append(words, "")
		}
		s := apps
		if words[0] == "migrate" {
			s = fleet
		}
		r := s.must(slices.Concat([]string{"__complete"}, []string{"--registry", s.registry.Host() + "/" + s.prefix}, words)...)
		offered := map[string]bool{}
		for line := range strings.Lines(r.stdout) {
			value, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			offered[value] = true
		}
		for _, want := range strings.Fields(c.offered) {
			if !offered[want] {
				t.Errorf("%s: %s is not offered: %v", c.line, want, r)
			}
		}
		for _, other := range strings.Fields(c.not) {
			if offered[other] {
				t.Errorf("%s: %s is offered: %v", c.line, other, r)
			}
		}
	}
}

// TestCompletionScripts: the scripts that docs writes for releases are those of keos-oci completion.
func TestCompletionScripts(t *testing.T) {
	s := newSandbox(t)
	dir := t.TempDir()
	s.must("docs", "--format", "completions", dir)
	for shell, file := range map[string]string{"bash": "keos-oci.bash", "zsh": "_keos-oci", "fish": "keos-oci.fish",
		"powershell": "keos-oci.ps1"} {
		raw, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || s.must("completion", shell).stdout != string(raw) || !strings.Contains(string(raw), "__complete") {
			t.Errorf("%s: %v\n%.300s", shell, err, raw)
		}
	}
	script := s.must("completion", "powershell").stdout
	for _, part := range []string{"Register-ArgumentCompleter -CommandName 'keos-oci'", "__complete", "CompletionResult"} {
		if !strings.Contains(script, part) {
			t.Errorf("the PowerShell script lacks %q", part)
		}
	}
}

// TestShellsComplete lets real shells complete. PowerShell is not among them: no package of Debian has it.
func TestShellsComplete(t *testing.T) {
	bashCompletion := "/usr/share/bash-completion/bash_completion"
	for shell, script := range map[string]string{
		"fish": `keos-oci completion fish | source
complete -C "keos-oci promote frontend "
complete -C "keos-oci roll"`,
		"bash": `source ` + bashCompletion + `; source <(keos-oci completion bash)
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; __start_keos-oci; printf '%s\n' "${COMPREPLY[@]}"; }
ask keos-oci promote frontend ""
ask keos-oci roll`,
	} {
		t.Run(shell, func(t *testing.T) {
			program, err := exec.LookPath(shell)
			if err != nil {
				t.Skipf("%s is not installed: its completion script is not tried", shell)
			}
			if _, err := os.Stat(bashCompletion); shell == "bash" && err != nil {
				t.Skip("the package bash-completion is not installed: the script for bash is not tried")
			}
			s := withVersions(t)
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			bin := t.TempDir()
			if err := os.Symlink(exe, filepath.Join(bin, "keos-oci")); err != nil {
				t.Fatal(err)
			}
			s.write("keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nregistry: "+s.registry.Host()+"/"+s.prefix+"\n")
			cmd := exec.Command(program, "-c", script)
			cmd.Dir, cmd.Env = s.dir, append(slices.Clip(s.env), "PATH="+bin+":"+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			inOrder(t, string(out), "v1.1.0", "v1.0.0", "rollback")
		})
	}
}
