package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
)

// hostile is a text with everything that steers terminals, logs and pages.
const hostile = "a:b\x1b[31mred\x1b]0;title\x07\r\x00\x7f\u009b2J\u0085\u202ertl\u2066\u200f\u2028line\u2029\xff@sha1:\x1b[0m"

// steering finds what must not reach a person.
func steering(text string) string {
	for _, bad := range []string{"\x1b", "\x07", "\r", "\x00", "\x7f", "\u009b", "\u0085", "\u202e", "\u2066", "\u200f", "\u2028", "\u2029", "\xff"} {
		if strings.Contains(text, bad) {
			return bad
		}
	}
	return ""
}

// fill makes every text of a result hostile, every list of one element, and every switch on.
func fillHostile(v reflect.Value, depth int, on bool) {
	if depth > 12 || !v.CanSet() && v.Kind() != reflect.Pointer {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Bool:
		v.SetBool(on)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Pointer:
		if v.IsNil() && !v.CanSet() {
			return
		}
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		fillHostile(v.Elem(), depth+1, on)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillHostile(v.Index(0), depth+1, on)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fillHostile(v.Field(i), depth+1, on)
		}
	}
}

// TestNothingSteers: whatever registries, files and Git made up, no output of a result steers a terminal, a log or a page.
func TestNothingSteers(t *testing.T) {
	for _, on := range []bool{true, false} {
		for _, result := range []render.Result{
			&render.Components{}, &render.Explain{}, &render.Check{}, &render.Publish{}, &render.Move{}, &render.Status{}, &render.History{},
			&render.Audit{}, &render.Verify{Explains: true}, &render.Pull{}, &render.Generate{}, &render.Init{}, &render.MigrationPlan{}, &render.MigrationPhase{}, &render.Adoption{}, &render.MigrationProgress{},
			&render.Diff{}, &render.List{},
		} {
			fillHostile(reflect.ValueOf(result), 0, on)
			for _, format := range []string{"text", "json", "yaml"} {
				t.Run(reflect.TypeOf(result).Elem().Name()+"/"+format, func(t *testing.T) {
					dir := t.TempDir()
					env := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": filepath.Join(dir, "summary"),
						"GITHUB_OUTPUT": filepath.Join(dir, "output")}
					var out, errs bytes.Buffer
					a := &app{out: &out, err: &errs, getenv: func(name string) string { return env[name] },
						global: globalFlags{output: format, report: filepath.Join(dir, "report"), concurrency: 1}}
					if err := a.finish(result, nil); err != nil {
						t.Fatal(err)
					}
					summary, _ := os.ReadFile(env["GITHUB_STEP_SUMMARY"])
					report, _ := os.ReadFile(a.global.report)
					output, _ := os.ReadFile(env["GITHUB_OUTPUT"])
					for name, text := range map[string]string{"stdout": out.String(), "stderr": errs.String(), "summary": string(summary),
						"report": string(report), "output": string(output)} {
						if g, ok := result.(*render.Generate); ok && g.Printed && name == "stdout" && format == "text" {
							continue // the file itself, for another program
						}
						if bad := steering(text); bad != "" {
							at := strings.Index(text, bad)
							t.Errorf("%q is in the %s: …%q", bad, name, text[max(0, at-60):at+len(bad)])
						}
					}
					sameData(t, result, format, out.Bytes())
				})
			}
		}
	}
}

// sameData checks that the escapes are those of the format: programs read what was there.
func sameData(t *testing.T, result any, format string, printed []byte) {
	t.Helper()
	if format == "text" {
		return
	}
	var got, want any
	plain, err := json.Marshal(result)
	if err := errors.Join(err, json.Unmarshal(plain, &want), yaml.Unmarshal(printed, &got)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestErrorsAndLogsDoNotSteer: nor do errors, log records and annotations.
func TestErrorsAndLogsDoNotSteer(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var errs bytes.Buffer
		a := &app{out: &errs, err: &errs, getenv: func(string) string { return "" }, global: globalFlags{logLevel: "debug", logFormat: format}}
		if err := a.openProgress(); err != nil {
			t.Fatal(err)
		}
		slog.New(a.progress).Warn(hostile, "component", hostile, "error", errors.New(hostile))
		a.explain(release.Failures{errors.New(hostile), errors.New("one\n" + hostile)})
		errs.WriteString(render.Annotation(finding.Finding{File: hostile, Rule: "x", Message: hostile, Fix: hostile}, hostile))
		if bad := steering(errs.String()); bad != "" {
			t.Errorf("%s: %q is in %q", format, bad, errs.String())
		}
	}
}
