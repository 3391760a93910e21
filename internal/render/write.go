package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/terminal"
)

// JSON writes a value for programs. What would steer a terminal is an escape of JSON.
func JSON(w io.Writer, value any) error {
	e := json.NewEncoder(terminal.JSONWriter{W: w})
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

// Line writes a value as JSON on one line.
func Line(w io.Writer, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, string(terminal.VisibleJSON(raw)))
	return err
}

// YAML writes a value for programs, as JSON if YAML has no escape for what is in it.
func YAML(w io.Writer, value any) error {
	raw, err := yaml.Marshal(value)
	if text := string(raw); err != nil || terminal.VisibleLines(text) != text {
		return JSON(w, value) // which is YAML, and has an escape for everything
	}
	_, err = w.Write(raw)
	return err
}

// Append adds a text to the end of a file. Without a name of a file it does nothing.
func Append(file, text string) (err error) {
	if file == "" || text == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.WriteString(text)
	return err
}

// maxOutput is how large GitHub lets an output of a step be.
const maxOutput = 1 << 20

// StepOutputs is the outputs of a step of GitHub Actions, one on each line. whole is false where the result is larger than GitHub takes:
// it is left out then.
func StepOutputs(r Result) (lines string, whole bool, err error) {
	raw, err := json.Marshal(r.Brief())
	if err != nil {
		return "", false, err
	}
	if whole = len(raw) <= maxOutput; !whole {
		raw = []byte("{}")
	}
	lines = fmt.Sprintf("result=%s\n", raw)
	if o := r.Outputs(); o != nil {
		names, err := json.Marshal(append([]string{}, o.Names...))
		digests, other := json.Marshal(o.Digests)
		if err := errors.Join(err, other); err != nil {
			return "", false, err
		}
		lines += fmt.Sprintf("published=%s\ndigests=%s\nchanged=%t\n", names, digests, o.Changed)
	}
	return string(terminal.VisibleJSON([]byte(lines))), whole, nil
}

// Annotation is a finding as a command to the runner of GitHub Actions, for a file as the runner knows it. The runner takes percent signs,
// line breaks and, in its properties, colons and commas as its own.
func Annotation(f finding.Finding, file string) string {
	level := map[finding.Severity]string{finding.Error: "error", finding.Note: "notice"}[f.Severity]
	if level == "" {
		level = "warning"
	}
	property := strings.NewReplacer("%", "%25", "\n", "%0A", ":", "%3A", ",", "%2C")
	text := strings.NewReplacer("%", "%25", "\n", "%0A")
	where := ""
	if file != "" {
		where = "file=" + property.Replace(terminal.VisibleLines(file)) + ","
	}
	if f.Line > 0 {
		where += fmt.Sprintf("line=%d,", f.Line)
	}
	message := f.Message
	if f.Fix != "" {
		message += "; " + f.Fix
	}
	return fmt.Sprintf("::%s %stitle=%s::%s", level, where, property.Replace(terminal.VisibleLines("keos-oci "+f.Rule)),
		text.Replace(terminal.VisibleLines(message)))
}
