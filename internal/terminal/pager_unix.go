//go:build !windows

package terminal

import (
	"os"
	"syscall"
)

// askToEnd lets a program give the terminal back before it ends.
func askToEnd(p *os.Process) { _ = p.Signal(syscall.SIGTERM) }
