package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The limits of keos-oci.
const (
	maxRequestsChanged   = 14.0
	maxRequestsUnchanged = 1.0
	maxRatio             = 1.5   // keos-oci's time to the floor's
	maxPeak              = 100.0 // MiB, of the runs without a floor
	maxHelp              = 50 * time.Millisecond
)

// table is Markdown: medians of the runs, and the most requests that any run made. A limit stands beside its figure.
func table(rows []row) string {
	lines := [][]string{{"job", "tool", "components", "delay", "runs", "wall s", "s/component", "keos-oci / floor", "requests/component", "CPU s", "peak MiB", "limits met"}}
	for _, r := range rows {
		line := []string{string(r.job), r.tool, "", "", fmt.Sprint(len(r.runs)), "", "", "", "", fmt.Sprintf("%.2f", r.cpu().Seconds()), "", ""}
		var missed []string
		limits := false
		limit := func(column int, format string, value, limit float64) {
			line[column] = fmt.Sprintf(format+" (≤ %v)", value, limit)
			limits = true
			if value > limit {
				missed = append(missed, lines[0][column])
			}
		}
		line[5] = fmt.Sprintf("%.3f", r.wall().Seconds())
		line[10] = fmt.Sprintf("%.0f", r.peak())
		if r.n > 0 {
			line[2], line[3] = fmt.Sprint(r.n), r.delay.String()
			line[6] = fmt.Sprintf("%.4f", r.wall().Seconds()/float64(r.n))
			line[8] = fmt.Sprintf("%.2f", r.requests())
		}
		if r.tool != toolFloor {
			floor := slices.IndexFunc(rows, func(f row) bool { return f.tool == toolFloor && f.job == r.job && f.n == r.n && f.delay == r.delay })
			switch {
			case r.job == help:
				limit(5, "%.3f", r.wall().Seconds(), maxHelp.Seconds())
			case floor >= 0:
				limit(7, "%.2f", r.wall().Seconds()/rows[floor].wall().Seconds(), maxRatio)
			default:
				limit(10, "%.0f", r.peak(), maxPeak)
			}
			if r.n > 0 {
				limit(8, "%.2f", r.requests(), r.maxRequests())
			}
		}
		if limits {
			line[11] = "yes"
		}
		if len(missed) > 0 {
			line[11] = "NO: " + strings.Join(missed, ", ")
		}
		lines = append(lines, line)
	}
	return markdown(lines)
}

// tooManyRequests is the error of the rows that exceed the one limit which no noise can excuse.
func tooManyRequests(rows []row) error {
	for _, r := range rows {
		if r.tool != toolFloor && r.n > 0 && r.requests() > r.maxRequests() {
			return fmt.Errorf("%s, %d components: %.2f requests per component, at most %v are allowed", r.job, r.n, r.requests(), r.maxRequests())
		}
	}
	return nil
}

func (r row) maxRequests() float64 {
	if r.job == publishUnchanged {
		return maxRequestsUnchanged
	}
	return maxRequestsChanged
}

func (r row) wall() time.Duration {
	return median(r.runs, func(s sample) time.Duration { return s.wall })
}
func (r row) cpu() time.Duration {
	return median(r.runs, func(s sample) time.Duration { return s.cpu })
}
func (r row) peak() float64 {
	return median(r.runs, func(s sample) float64 { return mebibytes(s.peak) })
}

func (r row) requests() float64 {
	most := slices.MaxFunc(r.runs, func(a, b sample) int { return cmp.Compare(a.requests, b.requests) })
	return float64(most.requests) / float64(r.n)
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func median[T interface{ ~int64 | ~float64 }](runs []sample, of func(sample) T) T {
	values := make([]T, len(runs))
	for i, s := range runs {
		values[i] = of(s)
	}
	slices.Sort(values)
	half := len(values) / 2
	if len(values)%2 == 1 {
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}

// markdown pads the cells, so that the table reads well in a terminal, too.
func markdown(lines [][]string) string {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	var b strings.Builder
	write := func(line []string) {
		for i, cell := range line {
			fmt.Fprintf(&b, "| %-*s ", widths[i], cell)
		}
		b.WriteString("|\n")
	}
	rule := make([]string, len(widths))
	for i, w := range widths {
		rule[i] = strings.Repeat("-", w)
	}
	write(lines[0])
	write(rule)
	for _, line := range lines[1:] {
		write(line)
	}
	return b.String()
}
