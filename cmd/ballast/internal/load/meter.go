package load

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Process is the root of a tree of processes that belongs to the stack.
type Process struct {
	Name string
	PID  int
}

// sampleEvery is the pause between two looks at the memory.
const sampleEvery = time.Second

// meter reads what the stack has used so far.
type meter struct {
	processes []Process
	broker    *broker
	pg        *pgx.Conn

	mu   sync.Mutex
	peak map[string]int64
}

// newMeter adds the load generator itself to the processes.
func newMeter(processes []Process, b *broker, pg *pgx.Conn) *meter {
	processes = append(slices.Clone(processes), Process{Name: "load (this tool)", PID: os.Getpid()})
	return &meter{processes: processes, broker: b, pg: pg, peak: map[string]int64{}}
}

// sample keeps the peak of the memory until ctx ends.
func (m *meter) sample(ctx context.Context) {
	for ctx.Err() == nil {
		m.notePeak(measure(m.processes))
		_ = sleep(ctx, time.Now().Add(sampleEvery)) // ctx is looked at above
	}
}

func (m *meter) notePeak(now map[string]usage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, u := range now {
		m.peak[name] = max(m.peak[name], u.resident)
	}
}

func (m *meter) peaks() map[string]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.peak)
}

// reading is what the counters show at one moment.
type reading struct {
	at        time.Time
	confirmed int
	processes map[string]usage
	messages  map[string]int64
	database  database
}

// database is what Postgres has counted. The counters of sessions that are busy
// are up to a second behind; the WAL position is exact.
type database struct {
	transactions, inserted, updated, deleted int64
	walBytes                                 int64
	// statements is -1 without pg_stat_statements.
	statements int64
}

func (m *meter) read(ctx context.Context, p *phase) (reading, error) {
	r := reading{at: time.Now(), confirmed: p.confirmedSoFar(), processes: measure(m.processes)}
	m.notePeak(r.processes)
	var err error
	if m.broker != nil {
		if r.messages, err = m.broker.messages(ctx); err != nil {
			return r, err
		}
	}
	if m.pg != nil {
		r.database, err = readDatabase(ctx, m.pg)
	}
	return r, err
}

// openStatistics connects to a database of nobody's, where the view of the
// statements may be made: it shows those of all databases.
func openStatistics(ctx context.Context, dsn string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("postgres URL: %w", err)
	}
	config.Database = "postgres"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	// Where the extension is missing, the report says that nothing was counted.
	_, _ = conn.Exec(ctx, `CREATE EXTENSION IF NOT EXISTS pg_stat_statements`)
	return conn, nil
}

func readDatabase(ctx context.Context, pg *pgx.Conn) (database, error) {
	const counters = `SELECT sum(xact_commit)::bigint, sum(tup_inserted)::bigint, sum(tup_updated)::bigint,
		sum(tup_deleted)::bigint, (pg_current_wal_insert_lsn() - '0/0')::bigint FROM pg_stat_database`
	d := database{statements: -1}
	err := pg.QueryRow(ctx, counters).Scan(&d.transactions, &d.inserted, &d.updated, &d.deleted, &d.walBytes)
	if err != nil {
		return d, fmt.Errorf("read Postgres statistics: %w", err)
	}
	// Only a server that preloads the extension counts statements.
	if err := pg.QueryRow(ctx, `SELECT sum(calls)::bigint FROM pg_stat_statements`).Scan(&d.statements); err != nil {
		d.statements = -1
	}
	return d, nil
}

// Cost is what one completed checkout used. Zero statements means that they
// were not counted.
type Cost struct {
	CPUMicros       float64            `json:"cpuMicros"`
	CPUByProcess    map[string]float64 `json:"cpuMicrosByProcess"`
	Cores           float64            `json:"cores"`
	Transactions    float64            `json:"transactions"`
	Statements      float64            `json:"statements,omitempty"`
	RowsInserted    float64            `json:"rowsInserted"`
	RowsUpdated     float64            `json:"rowsUpdated"`
	RowsDeleted     float64            `json:"rowsDeleted"`
	WALBytes        float64            `json:"walBytes"`
	Messages        float64            `json:"messages"`
	MessagesByTopic map[string]float64 `json:"messagesByTopic"`
}

// cost divides what was used between two readings by the orders completed.
func cost(from, to *reading) Cost {
	orders := float64(max(1, to.confirmed-from.confirmed))
	per := func(from, to int64) float64 { return float64(to-from) / orders }
	c := Cost{
		CPUByProcess: map[string]float64{}, MessagesByTopic: map[string]float64{},
		Transactions: per(from.database.transactions, to.database.transactions),
		RowsInserted: per(from.database.inserted, to.database.inserted),
		RowsUpdated:  per(from.database.updated, to.database.updated),
		RowsDeleted:  per(from.database.deleted, to.database.deleted),
		WALBytes:     per(from.database.walBytes, to.database.walBytes),
	}
	if from.database.statements >= 0 {
		c.Statements = per(from.database.statements, to.database.statements)
	}
	var cpu time.Duration
	for name, u := range to.processes {
		used := u.cpu - from.processes[name].cpu
		cpu += used
		c.CPUByProcess[name] = float64(used.Microseconds()) / orders
	}
	c.CPUMicros = float64(cpu.Microseconds()) / orders
	c.Cores = cpu.Seconds() / to.at.Sub(from.at).Seconds()
	for topic, n := range to.messages {
		if sent := per(from.messages[topic], n); sent > 0 {
			c.MessagesByTopic[topic] = sent
			c.Messages += sent
		}
	}
	return c
}
