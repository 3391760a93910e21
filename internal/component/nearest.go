package component

import (
	"slices"
	"strings"
)

// Nearest returns the candidates that look most like key, in the order given. It returns none where nothing looks like key.
func Nearest(key string, candidates []string) []string {
	best := max(1, len(key)/3)
	var near []string
	for _, candidate := range candidates {
		switch d := distance(strings.ToLower(key), strings.ToLower(candidate)); {
		case d < best:
			best, near = d, []string{candidate}
		case d == best:
			near = append(near, candidate)
		}
	}
	return near
}

// distance counts the letters to insert, delete or replace to make b of a (Levenshtein).
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j := range to {
			replace := diagonal
			if from[i] != to[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(to)]
}

// enumerate lists names for an error, and cuts the list where nobody would read on.
func enumerate(names []string) string {
	const most = 20
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(slices.Concat(names[:most], []string{"…"}), ", ")
}
