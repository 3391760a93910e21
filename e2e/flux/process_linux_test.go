package flux

import "syscall"

// withParent makes the kernel kill the program when the test dies without cleaning up.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
