package cache_test

import (
	"io"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/servers"
	"example.com/ballast/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const lossLoads = 4 // concurrent loads that the cache may make here

// shop is a source whose keys change all the time, with readers that know which
// version each key had before they asked.
type shop struct {
	*bundle

	committed  [40]atomic.Int64 // version by key
	reads      atomic.Int64
	staleReads atomic.Int64
}

// write commits the next version of a key and announces it.
func (s *shop) write(t *testing.T, i int) {
	version := s.committed[i].Load() + 1
	key := strconv.Itoa(i)
	s.source.set(key, item{version, "v" + strconv.FormatInt(version, 10)})
	s.Invalidate(t.Context(), cache.Change[string]{Key: key, Version: version})
	s.committed[i].Store(version)
}

// read fails the test when the answer is older than what was committed before.
func (s *shop) read(t *testing.T, i int) {
	before := s.committed[i].Load()
	got, err := s.Get(t.Context(), strconv.Itoa(i))
	s.reads.Add(1)
	if err != nil {
		t.Errorf("key %d: %v", i, err)
	} else if got.Value.version < before {
		s.staleReads.Add(1)
	}
}

// churn reads and writes for a while, all readers at once, one writer.
func (s *shop) churn(t *testing.T, rounds int) {
	var wg sync.WaitGroup
	for reader := range 16 {
		wg.Go(func() {
			for i := range rounds {
				s.read(t, (i*7+reader)%len(s.committed))
			}
		})
	}
	for i := range rounds {
		s.write(t, i%len(s.committed))
	}
	wg.Wait()
}

// TestLosingRedis breaks a Redis under readers and a writer. Nobody may see a
// version older than one that was committed before, during the fault or after,
// and the database is never asked more than a few things at once.
func TestLosingRedis(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Log("redis-server is not installed: only a Redis that is not there is shown, by TestRedisDownBoundsTheLoads")
		return
	}
	type fault struct {
		begin, end func(*testing.T, *shop, *servers.Running)
	}
	signal := func(sig syscall.Signal) func(*testing.T, *shop, *servers.Running) {
		return func(t *testing.T, _ *shop, server *servers.Running) {
			if err := syscall.Kill(server.PID(), sig); err != nil {
				t.Error(err)
			}
		}
	}
	command := func(args ...any) func(*testing.T, *shop, *servers.Running) {
		return func(t *testing.T, s *shop, _ *servers.Running) {
			if err := s.client.Do(t.Context(), args...).Err(); err != nil {
				t.Error(err)
			}
		}
	}
	nothing := func(*testing.T, *shop, *servers.Running) {}
	restart := func(t *testing.T, _ *shop, server *servers.Running) {
		again, err := servers.Start(t.Context(), server.Process, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(again.Kill)
	}
	kill := func(_ *testing.T, _ *shop, server *servers.Running) { server.Kill() }
	for name, f := range map[string]fault{
		"killed":              {kill, restart},
		"flushed":             {command("FLUSHALL"), nothing},
		"hangs, then goes on": {signal(syscall.SIGSTOP), signal(syscall.SIGCONT)},
		"full, evicts":        {command("CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "allkeys-lfu"), command("CONFIG", "SET", "maxmemory", "0")},
		"full, refuses":       {command("CONFIG", "SET", "maxmemory", "1"), command("CONFIG", "SET", "maxmemory", "0")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := servers.Redis{Dir: t.TempDir()}.Process()
			if err != nil {
				t.Fatal(err)
			}
			server, err := servers.Start(t.Context(), p, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Kill)
			address := p.URL[len("redis://") : len(p.URL)-len("/0")]
			s := &shop{bundle: setup(t, address, func(c *cache.Config[string, item]) {
				c.MaxLoads, c.LoadTimeout = lossLoads, 10*time.Second
			})}
			for i := range s.committed {
				s.write(t, i)
			}
			s.churn(t, 120)
			before := s.source.loads.Load()
			f.begin(t, s, server)
			s.churn(t, 120)
			during := s.source.loads.Load() - before
			f.end(t, s, server)
			s.churn(t, 240)
			if n := s.staleReads.Load(); n > 0 {
				t.Errorf("%d of %d reads were older than what was committed before them", n, s.reads.Load())
			}
			if most := s.source.most.Load(); most > lossLoads {
				t.Errorf("%d loads at once, want at most %d", most, lossLoads)
			}
			t.Logf("%d loads in 1,920 reads during the fault, %d in all of %d", during, s.source.loads.Load(), s.reads.Load())
		})
	}
}
