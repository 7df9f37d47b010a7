package stack

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestKilledSupervisorTakesItsChildrenAlong is what only Linux promises.
func TestKilledSupervisorTakesItsChildrenAlong(t *testing.T) {
	t.Parallel()
	home := Home(t.TempDir())
	for range 2 { // What is left of the first crash must be in nobody's way.
		cmd, state := startSupervisor(t, home)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		for _, c := range state.Children {
			eventually(t, c.Name+" gone", func() bool { return !c.Alive() })
		}
	}
}

func TestPortHolderIsNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := portHolder(l.Addr().(*net.TCPAddr).Port)
	if !strings.HasPrefix(got, "process "+strconv.Itoa(os.Getpid())+" (") {
		t.Errorf("got %q", got)
	}
}
