package main

import (
	"fmt"
	"os"
	"time"
)

// sample is one process from its start to its exit.
type sample struct {
	wall, cpu time.Duration
	peak      int64 // bytes
	requests  int
}

// row is what the runs of one tool at one job took; every run is of n components.
type row struct {
	job   job
	tool  string
	n     int
	delay time.Duration
	runs  []sample
}

// summary is a part of what keos-oci and the floor print, in keos-oci's words.
type summary struct {
	Published int `json:"published"`
	Unchanged int `json:"unchanged"`
	Moved     int `json:"moved"`
	Failed    int `json:"failed"`
}

type result struct {
	Summary    summary `json:"summary"`
	Components []struct {
		Signatures []struct{ Issuer, Subject string }         `json:"signatures"`
		Channels   []struct{ Name, Version, Standing string } `json:"channels"`
	} `json:"components,omitempty"`
}

func (r row) String() string { return fmt.Sprintf("%s, %s, %d components", r.job, r.tool, r.n) }

// ours says that keos-oci was measured, and not what it is compared with.
func (r row) ours() bool { return r.tool == toolKeos || r.tool == keyless }

func (r *row) add(s sample) {
	r.runs = append(r.runs, s)
	fmt.Fprintf(os.Stderr, "%s: %.3f s, %d requests, %.0f MiB\n", r, s.wall.Seconds(), s.requests, mebibytes(s.peak))
}
