package registry

import "testing"

// The protocol of attach.go as a model: every interleaving of the requests of two or three writers, each of which may die before
// any of them.

const (
	stepAnnounce = iota
	stepRead
	stepWrite
	stepReadBack
	stepTags
	stepSettle
	stepDone
	stepDead
)

// rounds is a number for each writer: 0 for nothing, else the round of its entry or announcement.
type rounds [3]uint8

type modelWriter struct {
	step  int
	round uint8
	list  rounds // the index as it was read
	tags  rounds // the announcements as they were listed
}

type modelState struct {
	index, announced rounds
	writers          [3]modelWriter
}

// model says which rules the writers follow.
type model struct {
	n          int
	alone      [3]bool // does not look at announcements
	naive      bool    // nobody does: each looks only for its own entry
	membership bool    // an announcement is taken for written when any round of its entry is in the index
}

// mostRounds bounds what is explored: a writer that would need more gives up.
const mostRounds = 3

// next gives the states that follow when writer i makes its next request.
func (m model) next(s modelState, i int) modelState {
	w := &s.writers[i]
	switch w.step {
	case stepAnnounce:
		w.round++
		s.announced[i], w.step = w.round, stepRead
		if w.round > mostRounds {
			w.step = stepDead
		}
	case stepRead:
		w.list, w.step = s.index, stepWrite
	case stepWrite:
		s.index = w.list // whatever others added meanwhile is lost
		s.index[i], w.step = w.round, stepReadBack
	case stepReadBack:
		switch {
		case s.index[i] == 0:
			w.step = stepAnnounce
		case m.naive || m.alone[i]:
			w.step = stepDone
		default:
			w.step = stepTags
		}
	case stepTags:
		w.tags, w.step = s.announced, stepSettle
	case stepSettle:
		switch {
		case s.index[i] == 0:
			w.step = stepAnnounce
		case m.open(s, i):
			w.step = stepTags // it waits, and looks again
		default:
			w.step = stepDone
		}
	}
	if w.step != stepWrite {
		w.list = rounds{} // nothing looks at it any more, which keeps the states few
	}
	if w.step != stepSettle {
		w.tags = rounds{}
	}
	return s
}

// open reports whether writer i sees an announcement whose write may still come. An announcement that stays open is taken for dead
// after longer than a write can take, so only who is on the way to a write counts.
func (m model) open(s modelState, i int) bool {
	for k := range m.n {
		seen := s.writers[i].tags[k]
		landed := s.index[k] >= seen
		if m.membership {
			landed = s.index[k] > 0
		}
		if step := s.writers[k].step; k != i && seen > 0 && !landed && step <= stepWrite {
			return true
		}
	}
	return false
}

// lost reports whether an entry is missing in the index although its writer, who was not alone, is done.
func (m model) lost(s modelState) bool {
	for i := range m.n {
		if s.writers[i].step == stepDone && !m.alone[i] && s.index[i] == 0 {
			return true
		}
	}
	return false
}

// explore visits every state, up to the first in which something is lost.
func (m model) explore() (states int, lost bool) {
	seen := map[modelState]bool{}
	todo := []modelState{{}}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[s] {
			continue
		}
		seen[s] = true
		if m.lost(s) {
			return len(seen), true
		}
		for i := range m.n {
			if s.writers[i].step >= stepDone {
				continue
			}
			dead := s
			dead.writers[i].step, dead.writers[i].list, dead.writers[i].tags = stepDead, rounds{}, rounds{}
			todo = append(todo, dead, m.next(s, i))
		}
	}
	return len(seen), false
}

// TestSignatureListProtocol: no entry of a writer that is done is ever lost, however requests interleave and whoever dies. Rules that
// are weaker lose some, so the model can tell.
func TestSignatureListProtocol(t *testing.T) {
	for _, m := range []model{{n: 2}, {n: 3}, {n: 3, alone: [3]bool{true}}, {n: 3, alone: [3]bool{true, true}}} {
		states, lost := m.explore()
		t.Logf("%+v: %d states", m, states)
		if lost || states < 100 {
			t.Errorf("%+v: lost %v in %d states", m, lost, states)
		}
	}
	for _, m := range []model{{n: 2, naive: true}, {n: 3, naive: true}, {n: 3, membership: true}} {
		if _, lost := m.explore(); !lost {
			t.Errorf("%+v: the weaker rules lose nothing, so the model shows nothing", m)
		}
	}
}
