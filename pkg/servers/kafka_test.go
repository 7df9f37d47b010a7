package servers

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestKafkaConfigures checks what can be seen without Java: that the files name
// the ports and the directory, and that a directory is configured twice alike.
func TestKafkaConfigures(t *testing.T) {
	t.Parallel()
	k := Kafka{Dir: t.TempDir(), Port: 1234, ControllerPort: 1235}
	for range 2 {
		file, err := k.configure()
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"listeners=PLAINTEXT://127.0.0.1:1234,CONTROLLER://127.0.0.1:1235\n",
			"controller.quorum.bootstrap.servers=127.0.0.1:1235\n",
			"log.dirs=" + k.Dir + "/data\n",
		} {
			if !strings.Contains(string(b), want) {
				t.Errorf("no %q in:\n%s", want, b)
			}
		}
	}
}

// TestKafkaKeepsRecords runs the broker, kills it with SIGKILL and reads back
// what it had acknowledged. It needs Java and Maven, so it runs with
// `make test-kafka`, which asks for it by BALLAST_TEST_KAFKA.
func TestKafkaKeepsRecords(t *testing.T) {
	if os.Getenv("BALLAST_TEST_KAFKA") == "" {
		t.Log("runs with make test-kafka")
		return
	}
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
