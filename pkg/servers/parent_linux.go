package servers

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel stop the child when its parent is killed, so
// that a killed test or stack leaves no server behind.
func dieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGINT
}
