package servers

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
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

// The capabilities of linux/capability.h that let a process enter directories
// whatever their mode: the first only for that and for reading, the second for
// writing too.
const capDACReadSearch, capDACOverride = 2, 1

// enterAnyDir lets a command that runs as another user pass through directories
// that only root may enter. It tells whether that can be done: some containers
// hold both capabilities back.
func enterAnyDir(attr *syscall.SysProcAttr) bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(status), "CapEff:\t")
	word, _, _ := strings.Cut(rest, "\n")
	effective, err := strconv.ParseUint(word, 16, 64)
	if err != nil {
		return false
	}
	for _, c := range []uintptr{capDACReadSearch, capDACOverride} {
		if effective&(1<<c) != 0 {
			attr.AmbientCaps = []uintptr{c}
			return true
		}
	}
	return false
}
