package kafka

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Settings are what every service that talks through Kafka reads from its
// environment. They are a field of its own settings.
type Settings struct {
	// Brokers are host:port.
	Brokers []string `env:"KAFKA_BROKERS,required,notEmpty"`
	// Login says who the service is there.
	Login Login
	// Partitions and Replication hold for topics that are created here.
	Partitions  int32 `env:"KAFKA_PARTITIONS" envDefault:"1"`
	Replication int16 `env:"KAFKA_REPLICATION" envDefault:"1"`

	// SessionTimeout is how long the partitions of a consumer that was killed lie
	// idle. 6 s is the least that a broker allows by default.
	SessionTimeout time.Duration `env:"KAFKA_SESSION_TIMEOUT" envDefault:"6s"`
	// RetryDelays are the waits of a faulty record before its second attempt, its
	// third, and so on. When the last has failed, it is dead-lettered.
	RetryDelays []time.Duration `env:"RETRY_DELAYS" envDefault:"5s,30s,5m"`
	// MaxFaultsPerMinute caps the records that are set aside or dead-lettered: a
	// bad deploy must stop the consumer, not drain the topic into the DLQ.
	MaxFaultsPerMinute int `env:"MAX_FAULTS_PER_MINUTE" envDefault:"600"`
	// MaxRecordBytes caps the value of a record: a larger one is dead-lettered,
	// and no handler sees it. The largest order that is accepted, 2,000 lines of
	// long names, needs 140 KiB of the default 256.
	MaxRecordBytes int `env:"MAX_RECORD_BYTES" envDefault:"262144"`
}

// Options are the options of a client with these brokers.
func (s Settings) Options(clientID string) []kgo.Opt {
	return append(Options(s.Brokers, clientID), s.Login.Options()...)
}

// Validate joins everything that is wrong, by the name of the variable.
func (s Settings) Validate() error {
	errs := []error{s.Login.Validate()}
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(len(s.Brokers) > 0, "KAFKA_BROKERS is empty: want host:port")
	require(s.Partitions >= 1, "KAFKA_PARTITIONS=%d: want 1 or more", s.Partitions)
	require(s.Replication >= 1, "KAFKA_REPLICATION=%d: want 1 or more", s.Replication)
	require(s.SessionTimeout >= time.Second, "KAFKA_SESSION_TIMEOUT=%s: want 1s or more", s.SessionTimeout)
	require(s.MaxFaultsPerMinute >= 1, "MAX_FAULTS_PER_MINUTE=%d: want 1 or more", s.MaxFaultsPerMinute)
	require(s.MaxRecordBytes >= 1, "MAX_RECORD_BYTES=%d: want 1 or more", s.MaxRecordBytes)
	for _, d := range s.RetryDelays {
		require(d > 0, "RETRY_DELAYS has %s: want waits of more than zero, such as 5s,30s,5m", d)
	}
	return errors.Join(errs...)
}
