package stack

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// versionTimeout is by judgement: a binary that is read from a cold disk.
const versionTimeout = 10 * time.Second

// lookPath finds the first of the names: in .tools of the working tree that self
// was built in, where scripts/observability.sh puts what it builds, or in PATH.
// It returns nothing when there is none.
func lookPath(self string, names ...string) string {
	for _, name := range names {
		for _, candidate := range []string{filepath.Join(filepath.Dir(self), "..", ".tools", name), name} {
			if path, err := exec.LookPath(candidate); err == nil {
				return path
			}
		}
	}
	return ""
}

// aVersion is the first thing in a program's own words that looks like one.
var aVersion = regexp.MustCompile(`\b\d+\.\d+\.\d+\b`)

// findTool is lookPath with the version that the binary says it has, which is
// empty when it says none.
func findTool(ctx context.Context, self string, names ...string) (path, version string) {
	path = lookPath(self, names...)
	if path == "" {
		return "", ""
	}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	out, _ := exec.CommandContext(ctx, path, "--version").CombinedOutput()
	return path, aVersion.FindString(string(out))
}

// major is the first number of a version, 0 when there is none.
func major(version string) int {
	number, err := strconv.Atoi(regexp.MustCompile(`^\d+`).FindString(version))
	if err != nil {
		return 0
	}
	return number
}
