package testkit

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Kafka returns the seed brokers of a Kafka without topics. KAFKA_BROKERS (a
// list with commas) names one to use: tests then share it and must make their
// topics and groups Unique. Otherwise each test gets a kfake of its own, in
// this process.
func Kafka(t testing.TB) []string {
	t.Helper()
	if s := os.Getenv("KAFKA_BROKERS"); s != "" {
		say("kafka", "KAFKA_BROKERS "+s)
		return strings.Split(s, ",")
	}
	return Kfake(t)
}

// Kfake is Kafka for a test that does not mind which broker it has and whose
// topics have fixed names: a kfake of its own, whatever KAFKA_BROKERS says.
func Kfake(t testing.TB) []string {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatalf("kfake: %v", err)
	}
	t.Cleanup(c.Close)
	say("kafka", "kfake in this process, which is no evidence about a real broker's durability")
	return c.ListenAddrs()
}
