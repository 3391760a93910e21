package terminal

import "os"

// askToEnd ends a program: Windows cannot ask for it.
func askToEnd(p *os.Process) { _ = p.Kill() }
