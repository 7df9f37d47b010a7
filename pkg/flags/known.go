package flags

import (
	"slices"
	"strings"
)

// Kind of a flag's values.
type Kind string

// The kinds.
const (
	Bool   Kind = "bool"
	Number Kind = "number"
	String Kind = "string"
)

// Flag is one flag that some service asks for.
type Flag struct {
	// Name is <service>.<thing>, in kebab-case.
	Name string
	Kind Kind
	// Default says what holds when the flag is not set: a value, or the setting
	// that it comes from.
	Default string
	// Subject is what a percentage is of: order, customer, sku. Empty means that the
	// flag holds for all calls alike.
	Subject string
	// Min and Max bound a number; a Max of 0 means none.
	Min, Max float64
	// OneOf lists the values of a string; empty means any.
	OneOf []string
	// About says what it does.
	About string
}

// services have the same faults to switch on; see pkg/faults.
var services = [...]string{"orders", "inventory", "payments"}

// own are the flags of one service each. A new flag is a row here.
var own = [...]Flag{
	{Name: "orders.stale-reads", Kind: Bool, Default: "true", Subject: "order",
		About: "answer GetOrder from an old cache entry when the database can't"},
	{Name: "inventory.stale-reads", Kind: Bool, Default: "true", Subject: "sku",
		About: "answer GetProduct from an old cache entry when the database can't"},

	{Name: "orders.watch-limit", Kind: Number, Default: "WATCH_LIMIT", About: "streams of WatchOrder at once"},
	{Name: "orders.hedged-reads", Kind: Bool, Default: "true", About: "read an order a second time when the database is slow to answer"},
	{Name: "inventory.hedged-reads", Kind: Bool, Default: "true", About: "read a product a second time when the database is slow to answer"},

	{Name: "orders.rate-limit", Kind: Number, Default: "RATE_LIMIT", Min: 0.01, About: "calls a second of one customer"},
	{Name: "orders.rate-burst", Kind: Number, Default: "RATE_BURST", Min: 1, About: "calls of one customer at once, after a pause"},
	{Name: "inventory.rate-limit", Kind: Number, Default: "RATE_LIMIT", Min: 0.01, About: "calls a second of one customer"},
	{Name: "inventory.rate-burst", Kind: Number, Default: "RATE_BURST", Min: 1, About: "calls of one customer at once, after a pause"},

	{Name: "provider.decline-rate", Kind: Number, Default: "FAULTS", Max: 1, About: "share of confirmations that are declined"},
	{Name: "provider.error-rate", Kind: Number, Default: "FAULTS", Max: 1, About: "share of calls that fail with 500 before anything is done"},
	{Name: "provider.charge-timeout-rate", Kind: Number, Default: "FAULTS", Max: 1, About: "share of confirmations that charge and do not answer"},
	{Name: "provider.charge-error-rate", Kind: Number, Default: "FAULTS", Max: 1, About: "share of confirmations that charge and answer 500"},
	{Name: "provider.latency-ms", Kind: Number, Default: "FAULTS", Max: 600_000, About: "milliseconds added to every call"},
	{Name: "provider.jitter-ms", Kind: Number, Default: "FAULTS", Max: 600_000, About: "milliseconds added at random, from 0 to this"},
	{Name: "provider.rate-per-second", Kind: Number, Default: "FAULTS", About: "calls a second beyond which it answers 429; 0 is no limit"},
	{Name: "provider.webhook-duplicate-rate", Kind: Number, Default: "FAULTS", Max: 1, About: "share of events that are sent twice"},
	{Name: "provider.webhook-delay-rate", Kind: Number, Default: "FAULTS", Max: 1, About: "share of events that are sent late"},
	{Name: "provider.webhook-reorder-rate", Kind: Number, Default: "FAULTS", Max: 1, About: "share of events that are passed by later ones"},
	{Name: "provider.webhook-forged-rate", Kind: Number, Default: "FAULTS", Max: 1, About: "share of events that are first sent with another's signature"},
	{Name: "provider.webhook-first-rate", Kind: Number, Default: "FAULTS", Max: 1, About: "share of events that are delivered before the call that caused them is answered"},
	{Name: "provider.outage", Kind: String, Default: "FAULTS", OneOf: []string{"", "error", "hang", "reset"}, About: "every call fails like this"},
}

// limits of a service that can be changed while it runs; the names follow its
// own. The defaults are settings of the same meaning.
var limits = [...]Flag{
	{Name: ".shedding", Kind: Bool, Default: "true", About: "refuse calls in an overload, lowest priority first"},
	{Name: ".shed-min", Kind: Number, Default: "SHED_MIN", Min: 1, About: "calls at once below which none is refused"},
	{Name: ".shed-max", Kind: Number, Default: "SHED_MAX", Min: 1, About: "calls at once, at most"},
	{Name: ".shed-lag", Kind: Number, Default: "SHED_LAG", Min: 1, About: "unread messages at which all calls are refused"},
}

// faults of a service; the names follow its own.
var faults = [...]Flag{
	{Name: ".fault-rpc-latency-ms", Kind: Number, Default: "0", Max: 60_000, About: "milliseconds that every call waits first"},
	{Name: ".fault-rpc-error-percent", Kind: Number, Default: "0", Max: 100, About: "percent of calls that are answered unavailable"},
	{Name: ".fault-handler-latency-ms", Kind: Number, Default: "0", Max: 60_000, About: "milliseconds that every batch of messages waits first"},
	{Name: ".fault-lease-stall", Kind: Bool, Default: "false", About: "POST /leases/{name}/stall may pause a leader inside a transaction"},
	{Name: ".fault-handler-panic", Kind: Bool, Default: "false", Subject: "message key", About: "the handler of messages panics at them"},
}

// Known returns every flag that the platform asks for, sorted by name. It is one
// table, although it names services, because the tool that sets flags must know
// all of them, and the file is one.
func Known() []Flag {
	known := slices.Clone(own[:])
	for _, service := range services {
		for _, f := range slices.Concat(limits[:], faults[:]) {
			f.Name = service + f.Name
			known = append(known, f)
		}
	}
	slices.SortFunc(known, func(a, b Flag) int { return strings.Compare(a.Name, b.Name) })
	return known
}

// Find returns the flag of a name.
func Find(name string) (Flag, bool) {
	known := Known()
	i := slices.IndexFunc(known, func(f Flag) bool { return f.Name == name })
	if i < 0 {
		return Flag{}, false
	}
	return known[i], true
}
