// Package bank is the provider's state: payment intents, refunds and stored
// answers, all rebuilt from its book.
//
// Invariants:
//   - a change is decided from the state, appended to the book and applied in
//     one critical section, so the book's order is the order of decisions;
//   - the same apply runs live and on start, so the book alone is the state;
//   - nothing is answered before every line it was decided from is durable;
//   - refunded <= captured <= amount, and a canceled intent is never captured.
package bank

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/ballast/services/provider/internal/book"
)

// Errors of Execute that store nothing.
var (
	// ErrNotFound means that the intent is not in this book.
	ErrNotFound = errors.New("no such payment intent")
	// ErrFull means that the configured number of intents is reached.
	ErrFull = errors.New("the book is full: raise MAX_INTENTS or start with a new BOOK_FILE")
)

// Config of a Bank.
type Config struct {
	BookFile   string
	Sync       func(*os.File) error // as in book.Open
	KeyTTL     time.Duration        // how long answers are stored, at least
	MaxIntents int                  // create is refused beyond it
	Now        func() time.Time
}

type status uint8

const (
	requiresMethod status = iota
	requiresConfirmation
	succeeded
	canceled
)

// intent is what memory keeps of a payment intent: 40 bytes without pointers.
type intent struct {
	order            uuid.UUID // of metadata {"order_id": uuid}; any other is in Bank.metadata
	amount, refunded uint32    // minor units
	created          uint32    // unix seconds
	lastRefund       uint32    // 1 + index of the newest refund, 0 without one
	currency         uint8
	status           status
	method           uint8 // given at creation
	used             uint8 // of the newest confirmation
	code             uint8 // why that was declined
}

type refund struct {
	intent, amount, created uint32
	previous                uint32 // 1 + index of the intent's refund before
	reason, metadata        string
}

// Bank is safe for concurrent use.
type Bank struct {
	cfg  Config
	book *book.Book

	mu       sync.Mutex
	id       string // 8 hex digits in every id, so that ids of another book are not found
	intents  chunked[intent]
	refunds  chunked[refund]
	metadata map[uint32]string
	keys     *keyring
	last     int64 // unix milliseconds of the newest line
}

// Open rebuilds the bank from its book.
func Open(cfg Config) (*Bank, book.Recovered, error) {
	b := &Bank{cfg: cfg, metadata: map[uint32]string{}, keys: newKeyring(cfg.KeyTTL)}
	bk, rec, err := book.Open(cfg.BookFile, cfg.Sync, func(e *book.Entry) error {
		_, err := b.apply(e)
		return err
	})
	if err != nil {
		return nil, rec, err
	}
	b.book = bk
	if b.id != "" {
		return b, rec, nil
	}
	var nonce [4]byte
	_, _ = rand.Read(nonce[:]) // never fails, by its documentation
	e := &book.Entry{Kind: book.Opened, Book: hex.EncodeToString(nonce[:]), TimeMilli: cfg.Now().UnixMilli()}
	batch, err := bk.Append(e)
	if err == nil {
		_, err = b.apply(e)
	}
	if err == nil {
		err = batch.Wait()
	}
	return b, rec, err
}

// Book is the witness itself.
func (b *Bank) Book() *book.Book { return b.book }

// ID names the book, in every id that it gives.
func (b *Bank) ID() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.id
}

// Counts returns how many intents and refunds there are.
func (b *Bank) Counts() (intents, refunds int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.intents.n, b.refunds.n
}

// Claim takes a key for one call. It returns the stored answer if there is
// one, and otherwise marks the key as in use until Execute or Release.
func (b *Bank) Claim(key string, fingerprint uint64) (*Answer, error) {
	h := hashKey(key)
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, busy := b.keys.inFlight[h]; busy {
		return nil, ErrKeyInUse
	}
	r, ok := b.keys.get(h, uint32(b.milli()/1000))
	if !ok {
		b.keys.inFlight[h] = struct{}{}
		return nil, nil
	}
	if r.fingerprint != fingerprint {
		return nil, ErrKeyMismatch
	}
	a := b.answer(r)
	// The key was in use until its line was durable, so the answer may go out.
	return &a, b.book.Err()
}

// Release gives up a claim without an answer.
func (b *Bank) Release(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.keys.inFlight, hashKey(key))
}

// Execute decides the call, writes it into the book, and returns when it is
// there. An error other than ErrNotFound and ErrFull means that the book can't
// be written: there must be no answer at all.
func (b *Bank) Execute(c Call) (Answer, error) {
	if c.Key != "" {
		defer b.Release(c.Key)
	}
	b.mu.Lock()
	e, err := b.decide(c)
	if err != nil {
		b.mu.Unlock()
		return Answer{}, errors.Join(err, b.book.Pending().Wait())
	}
	batch, err := b.book.Append(e)
	if err != nil {
		b.mu.Unlock()
		return Answer{}, err
	}
	r, err := b.apply(e)
	if err != nil { // decide and apply disagree: a bug that must not go on
		b.mu.Unlock()
		return Answer{}, fmt.Errorf("apply own line %d: %w", e.Seq, err)
	}
	a := b.answer(r)
	a.Line = e.Seq
	b.mu.Unlock()
	return a, batch.Wait()
}

// milli is the time in unix milliseconds; it stands still while the clock is
// set back, so that the book's lines are in the order of their times.
func (b *Bank) milli() int64 { return max(b.cfg.Now().UnixMilli(), b.last) }

// id prefixes as Stripe's; the digits are the place in the book's lists.
func (b *Bank) format(prefix string, i uint32) string {
	return fmt.Sprintf("%s_%s%016x", prefix, b.id, i)
}

// index is the inverse of format.
func (b *Bank) index(prefix, id string, n int) (uint32, bool) {
	if len(id) != len(prefix)+1+8+16 || id[:len(prefix)+1] != prefix+"_" || id[len(prefix)+1:len(prefix)+9] != b.id {
		return 0, false
	}
	var i uint64
	for _, c := range []byte(id[len(prefix)+9:]) {
		switch {
		case c >= '0' && c <= '9':
			i = i<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			i = i<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return uint32(i), i < uint64(n)
}

// orderOf reads the order id that metadata carries.
func orderOf(metadata string) string {
	if id, ok := onlyOrder(metadata); ok {
		return id.String()
	}
	var m struct {
		OrderID string `json:"order_id"`
	}
	if metadata == "" || json.Unmarshal([]byte(metadata), &m) != nil {
		return ""
	}
	return m.OrderID
}

// onlyOrder recognises metadata that is nothing but an order's UUID, as this
// platform sends it: 16 bytes stand for it.
func onlyOrder(metadata string) (uuid.UUID, bool) {
	id, ok := strings.CutPrefix(metadata, orderPrefix)
	if !ok || len(id) != 36+len(orderSuffix) {
		return uuid.Nil, false
	}
	order, err := uuid.Parse(id[:36])
	return order, err == nil && order != uuid.Nil && uuidMetadata(order) == metadata
}

const orderPrefix, orderSuffix = `{"order_id":"`, `"}`

func uuidMetadata(id uuid.UUID) string { return orderPrefix + id.String() + orderSuffix }

func (b *Bank) setMetadata(i uint32, in *intent, metadata string) {
	order, ok := onlyOrder(metadata)
	switch {
	case ok:
		in.order = order
	case metadata != "":
		b.metadata[i] = metadata
	}
}

func (b *Bank) metadataOf(i uint32, in *intent) string {
	if in.order != uuid.Nil {
		return uuidMetadata(in.order)
	}
	return b.metadata[i]
}

func (b *Bank) orderID(i uint32, in *intent) string {
	if in.order != uuid.Nil {
		return in.order.String()
	}
	return orderOf(b.metadata[i])
}
