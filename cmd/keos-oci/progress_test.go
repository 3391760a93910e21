package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestProgress: without a terminal every record is a line.
func TestProgress(t *testing.T) {
	var lines bytes.Buffer
	a := &app{err: &lines, global: globalFlags{logLevel: "info", logFormat: "text"}}
	if err := a.openProgress(); err != nil {
		t.Fatal(err)
	}
	log := slog.New(a.progress)
	log.Info("publish", "components", 2)
	log.Debug("published", "component", "a") // the result has it
	log.Debug("waiting", "waits", "the registry")
	log.Error("failed", "component", "b")
	a.closeProgress()
	if got := lines.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "level=ERROR msg=failed component=b\n") {
		t.Error(got)
	}
}

func TestLogFlags(t *testing.T) {
	for _, g := range []globalFlags{{logLevel: "loud", logFormat: "text"}, {logLevel: "info", logFormat: "xml"}} {
		if err := (&app{err: &bytes.Buffer{}, global: g}).openProgress(); err == nil {
			t.Errorf("%+v was accepted", g)
		}
	}
}
