package stack

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// bootID tells boots apart: start times count from the last boot.
var bootID = sync.OnceValue(func() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
})

// startTime reads field 22 of /proc/PID/stat, in clock ticks since boot. The
// second field is the command in brackets and may itself contain brackets and
// blanks, so fields are counted from the last closing one.
func startTime(pid int) (string, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", false
	}
	rest := string(stat[strings.LastIndexByte(string(stat), ')')+1:])
	fields := strings.Fields(rest) // fields[0] is the third: the state
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return "", false
	}
	return bootID() + ":" + fields[19], true
}

// detach gives the command a process group of its own, so that Ctrl-C in the
// terminal reaches the supervisor alone, which then stops the children in
// order. The kernel sends deathSignal when the supervisor dies before it could.
// That signal is bound to the thread that forks; Go ends a thread only when a
// goroutine returns while locked to it, which nothing here does.
func detach(cmd *exec.Cmd, deathSignal syscall.Signal) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = deathSignal
}
