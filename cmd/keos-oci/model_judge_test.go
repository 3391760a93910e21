package main

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/tag"
)

// moved is where a command says that it moved the channel, and from where it saw that it went. ok says that it reports it as done. Publish
// says it by the tags.
func (a *actor) moved(channel string) (to digest.Digest, from digest.Digest, ok bool) {
	if a.isKilled() {
		return "", "", false
	}
	var moves release.MoveResult
	var published release.PublishResult
	if json.Unmarshal([]byte(a.result.stdout), &moves) == nil && moves.Action != "" {
		c := moves.Components[0]
		return c.To, c.From, c.Status == release.StatusMoved
	}
	if json.Unmarshal([]byte(a.result.stdout), &published) == nil {
		for _, m := range published.Components[0].Tags {
			if m.Tag == channel {
				return m.To, m.From, true
			}
		}
	}
	return "", "", false
}

// judge says what is wrong at the end.
func (w *world) judge(actors ...*actor) []string {
	h := w.history()
	w.mu.Lock()
	defer w.mu.Unlock()
	var wrong []string
	byName := map[string]*actor{}
	for _, a := range actors {
		byName[a.name] = a
		if why := w.judgeMove(a); why != "" {
			wrong = append(wrong, a.name+" "+why)
		}
	}
	for i, x := range w.writes {
		if a := byName[x.by]; a != nil && i > 0 && !a.isKilled() {
			if before := byName[w.writes[i-1].by]; before != nil && before != a && before.reports() && w.loses(i, a, h) {
				wrong = append(wrong, fmt.Sprintf("%s wrote over the move of %s, which was reported, without having seen it", x.by, before.name))
			}
		}
	}
	return wrong
}

// judgeMove compares what a command reports with what it wrote.
func (w *world) judgeMove(a *actor) string {
	to, from, ok := a.moved("latest-stable")
	if !ok {
		return ""
	}
	at := -1 // its last write: one before it may have lost its answer
	for i, x := range w.writes {
		if x.by == a.name && x.made == to {
			at = i
		}
	}
	switch {
	case a.result.code != 0:
		return fmt.Sprintf("moved, and its exit code is %d", a.result.code)
	case at < 0:
		return "reports a move that it did not make"
	case w.writes[at].before != from && !w.foreignSince(at, from):
		return fmt.Sprintf("wrote over %s and says that it came from %s", w.writes[at].before, from)
	}
	return ""
}

// reports reports whether a command says that it moved the channel.
func (a *actor) reports() bool {
	_, _, ok := a.moved("latest-stable")
	return ok
}

// loses reports whether a write is over something that its command had not seen. A publication that fails does not say what
// it saw: its record does. Known exception: another tool writes what a live move is about to write. Then the next command
// takes that move for done, and the late write of that move is over what the next command wrote. If nothing came after it,
// the journal shows it as moved outside.
func (w *world) loses(i int, a *actor, h release.HistoryResult) bool {
	_, from, _ := a.moved("latest-stable")
	saw := []digest.Digest{from}
	if from == "" {
		saw = nil
		for _, m := range h.Moves {
			if m.To == w.writes[i].made {
				saw = append(saw, m.From)
			}
		}
	}
	if slices.Contains(saw, w.writes[i].before) {
		return false
	}
	excused := slices.ContainsFunc(saw, func(d digest.Digest) bool { return w.foreignSince(i, d) })
	return !excused || i == len(w.writes)-1 && h.Standing != tag.Outside
}

// foreignSince reports whether another tool wrote the channel between where a command saw it and its write, which nothing can prevent.
func (w *world) foreignSince(at int, from digest.Digest) bool {
	for _, x := range slices.Backward(w.writes[:at]) {
		switch {
		case x.by == another:
			return true
		case x.made == from:
			return false
		}
	}
	return false
}
