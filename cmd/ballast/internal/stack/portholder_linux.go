package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// portHolder names the process that listens on the TCP port, or "" when it
// can't be seen, as another user's.
func portHolder(port int) string {
	inode := listener(port)
	if inode == "" {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != "socket:["+inode+"]" {
			continue
		}
		pid := strings.Split(link, "/")[2]
		cmdline, _ := os.ReadFile("/proc/" + pid + "/cmdline")
		return fmt.Sprintf("process %s (%s)", pid, strings.TrimSpace(strings.ReplaceAll(string(cmdline), "\x00", " ")))
	}
	return ""
}

// listener finds the inode of the listening socket in the kernel's tables, whose
// columns are: number, local address, remote address, state, ... (inode is the
// tenth). Addresses and ports are in hexadecimal; state 0A is LISTEN.
func listener(port int) string {
	suffix := fmt.Sprintf(":%04X", port)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, _ := os.ReadFile(table)
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], suffix) {
				return f[9]
			}
		}
	}
	return ""
}
