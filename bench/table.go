package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// limits of keos-oci; 0 is none.
type limits struct {
	wall     float64 // seconds
	ratio    float64 // keos-oci's time to that of what it is compared with
	requests float64 // per component
	once     float64 // requests that a run may make on top, however many components it has
	peak     float64 // MiB, of the runs that nothing is compared with
}

// limitsOf is the limits for 100 components and 30 ms. With fewer components or less delay, the start of the process is a larger part
// of the ratio. An unchanged component costs three reads: latest, the index of its signatures and one signature, because latest may
// point to an artifact that has lost its signature. The run makes one more request: has the registry the referrers API?
var limitsOf = map[job]limits{
	publishFirst:     {ratio: 1.3, requests: 16, peak: 100},
	publishChanged:   {ratio: 1.3, requests: 16, peak: 100},
	publishUnchanged: {ratio: 1.3, requests: 3, once: 1},
	promoteOne:       {ratio: 1},
	promoteMany:      {ratio: 1.0 / 6},
	status:           {requests: 10},
	monorepo:         {requests: 3, once: 1, peak: 100},
	monoCheck:        {peak: 100},
	help:             {wall: 0.05},
}

// table is Markdown: medians of the runs, and the most requests that any run made. A limit is beside its figure.
func table(rows []row) string {
	lines := [][]string{{"job", "tool", "components", "delay", "runs", "wall s", "s/component", "keos-oci / other", "requests/component",
		"CPU s", "peak MiB", "limits met"}}
	for _, r := range rows {
		line := []string{string(r.job), r.tool, "", "", fmt.Sprint(len(r.runs)), "", "", "", "", fmt.Sprintf("%.2f", r.cpu().Seconds()), "", ""}
		var missed []string
		limited := false
		limit := func(column int, format string, value, limit float64) {
			line[column] = fmt.Sprintf(format, value)
			if limit == 0 || !r.ours() {
				return
			}
			line[column] += fmt.Sprintf(" (≤ %.3g)", limit)
			limited = true
			if value > limit {
				missed = append(missed, lines[0][column])
			}
		}
		most := limitsOf[r.job]
		if other := slices.IndexFunc(rows,
			func(o row) bool { return !o.ours() && o.job == r.job && o.n == r.n && o.delay == r.delay }); other >= 0 && r.ours() {
			limit(7, "%.2f", r.wall().Seconds()/rows[other].wall().Seconds(), most.ratio)
			most.peak = 0
		}
		limit(5, "%.3f", r.wall().Seconds(), most.wall)
		limit(10, "%.0f", r.peak(), most.peak)
		if r.n > 0 {
			line[2], line[3] = fmt.Sprint(r.n), r.delay.String()
			line[6] = fmt.Sprintf("%.4f", r.wall().Seconds()/float64(r.n))
			limit(8, "%.2f", r.requests(), r.mostRequests())
		}
		if limited {
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
		if most := r.mostRequests(); most > 0 && r.ours() && r.requests() > most {
			return fmt.Errorf("%s: %.2f requests per component, at most %.2f are allowed", r, r.requests(), most)
		}
	}
	return nil
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

// mostRequests is the limit of requests, per component; 0 is none.
func (r row) mostRequests() float64 {
	most := limitsOf[r.job]
	if most.requests == 0 {
		return 0
	}
	return (most.requests*float64(r.n) + most.once) / float64(r.n)
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
