//go:build !linux

package servers

import "os/exec"

// dieWithParent does nothing: only Linux offers this to an unchanged child.
func dieWithParent(*exec.Cmd) {}
