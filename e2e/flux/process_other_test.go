//go:build !linux

package flux

import "syscall"

func withParent() *syscall.SysProcAttr { return nil }
