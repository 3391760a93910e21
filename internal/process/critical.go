package process

import (
	"context"
	"sync"
)

// critical counts the parts of a command that are finished in spite of a signal.
type critical struct {
	mu    sync.Mutex
	parts int
	said  bool
}

func (c *critical) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parts > 0
}

// once reports whether it is asked for the first time.
func (c *critical) once() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.said
	c.said = true
	return first
}

// Critical begins a part of the command that is finished in spite of a signal. The function that it returns ends the part.
func (r *Run) Critical() (end func()) {
	c := &r.critical
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parts++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.parts--
	})
}

// Finishing is Critical for a part that calls warn when a signal comes. Only the first of several parts warns.
func (r *Run) Finishing(ctx context.Context, warn func()) (end func()) {
	leave := r.Critical()
	stop := context.AfterFunc(ctx, func() {
		if r.critical.once() {
			warn()
		}
	})
	return func() { stop(); leave() }
}
