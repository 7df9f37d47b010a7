package load

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is the kernel's USER_HZ, which is 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// usage is what a process and all its descendants have used.
type usage struct {
	// cpu of the living, and of the dead that they waited for.
	cpu time.Duration
	// resident bytes; pages that descendants share are counted once.
	resident int64
}

// measure reads /proc once for all the process trees. A tree that is gone has
// no entry.
func measure(roots []Process) map[string]usage {
	children := map[int][]int{}
	stats := map[int]stat{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if s, ok := readStat(pid); ok {
			stats[pid] = s
			children[s.parent] = append(children[s.parent], pid)
		}
	}
	all := map[string]usage{}
	for _, root := range roots {
		if _, ok := stats[root.PID]; ok {
			all[root.Name] = tree(root.PID, children, stats)
		}
	}
	return all
}

func tree(root int, children map[int][]int, stats map[int]stat) usage {
	var u usage
	var private, file, shared int64
	for pending := []int{root}; len(pending) > 0; {
		pid := pending[0]
		pending = append(pending[1:], children[pid]...)
		u.cpu += stats[pid].cpu
		anon, mapped, shmem := readMemory(pid)
		private += anon
		// Descendants map the same program and the same shared memory.
		file, shared = max(file, mapped), max(shared, shmem)
	}
	u.resident = private + file + shared
	return u
}

type stat struct {
	parent int
	cpu    time.Duration
}

// readStat reads the parent and the CPU time. Fields are counted from the last
// bracket: the command before it may contain blanks.
func readStat(pid int) (stat, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, false
	}
	const ppid, utime, cstime = 1, 11, 14 // counted from the state
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) <= cstime {
		return stat{}, false
	}
	var s stat
	s.parent, _ = strconv.Atoi(string(fields[ppid])) // the kernel writes numbers
	for _, field := range fields[utime : cstime+1] {
		ticks, _ := strconv.ParseInt(string(field), 10, 64)
		s.cpu += time.Duration(ticks) * time.Second / ticksPerSecond
	}
	return s, true
}

// readMemory reads the resident bytes by kind.
func readMemory(pid int) (anon, file, shared int64) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, 0, 0
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		var to *int64
		switch name {
		case "RssAnon":
			to = &anon
		case "RssFile":
			to = &file
		case "RssShmem":
			to = &shared
		default:
			continue
		}
		kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		*to = kilobytes << 10
	}
	return anon, file, shared
}
