//go:build apachekafka

// These tests need Java and Maven: `make test-kafka` runs them.
package servers

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestKafkaKeepsRecords runs the broker, kills it with SIGKILL and reads back
// what it had acknowledged.
func TestKafkaKeepsRecords(t *testing.T) {
	t.Parallel()
	k := Kafka{Dir: t.TempDir(), Port: port(t), ControllerPort: port(t), Progress: func(s string) { t.Log(s) }}
	process, err := k.Process(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(process.About)
	first := start(t, process)
	client, err := kgo.NewClient(kgo.SeedBrokers(process.URL),
		kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	first.Kill()
	start(t, process)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		records := client.PollFetches(ctx).Records()
		if ctx.Err() != nil {
			t.Fatal("the record is gone")
		}
		if len(records) > 0 {
			if got := string(records[0].Value); got != "v" {
				t.Fatalf("read %q", got)
			}
			return
		}
	}
}

// start runs the process until the end of the test.
func start(t *testing.T, p Process) *Running {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	began := time.Now()
	var out strings.Builder
	r, err := Start(ctx, p, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Cleanup(r.Kill)
	t.Logf("%s ready after %s", p.Name, time.Since(began).Round(time.Millisecond))
	return r
}

func port(t *testing.T) int {
	t.Helper()
	p, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return p
}
