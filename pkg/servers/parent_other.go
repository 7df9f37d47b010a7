//go:build !linux

package servers

import (
	"os/exec"
	"syscall"
)

// dieWithParent does nothing: only Linux offers this to an unchanged child.
func dieWithParent(*exec.Cmd) {}

// enterAnyDir has no way on this system.
func enterAnyDir(*syscall.SysProcAttr) bool { return false }
