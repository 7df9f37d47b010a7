package dlq

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/ballast/pkg/outbox"
)

// outboxTimeout bounds one call to a service's admin listener.
const outboxTimeout = 15 * time.Second

// maxAnswer bounds what is read of an answer: a thousand rows, or one large value.
const maxAnswer = 64 << 20

// Outbox has the messages that one service could not publish, behind the base
// URL of its admin listener. Any of its replicas will do.
type Outbox struct{ URL string }

// Rows lists the dead rows, oldest first: the open ones, or all.
func (o Outbox) Rows(ctx context.Context, all bool) ([]outbox.Dead, error) {
	var rows []outbox.Dead
	for after := int64(0); ; {
		var page struct {
			Dead []outbox.Dead `json:"dead"`
		}
		path := fmt.Sprintf("/outbox/dead?after=%d&all=%t", after, all)
		if err := o.call(ctx, http.MethodGet, path, nil, &page); err != nil {
			return nil, err
		}
		if len(page.Dead) == 0 {
			return rows, nil
		}
		rows = append(rows, page.Dead...)
		after = rows[len(rows)-1].ID
	}
}

// Row returns one row with its values.
func (o Outbox) Row(ctx context.Context, id int64) (outbox.Dead, error) {
	var row outbox.Dead
	err := o.call(ctx, http.MethodGet, "/outbox/dead/"+strconv.FormatInt(id, 10), nil, &row)
	return row, err
}

// verdictRows is how many rows are decided about in one call.
const verdictRows = 1000

// Decide replays or discards rows and returns those that were open. The rows of
// one call are decided about together or not at all.
func (o Outbox) Decide(ctx context.Context, d outbox.Decision, v outbox.Verdict) (done []int64, err error) {
	path := "/outbox/dead/replay"
	if d == outbox.Discarded {
		path = "/outbox/dead/discard"
	}
	for ids := range slices.Chunk(v.IDs, verdictRows) {
		var answer struct {
			Done []int64 `json:"done"`
		}
		if err := o.call(ctx, http.MethodPost, path, outbox.Verdict{IDs: ids, By: v.By, Why: v.Why}, &answer); err != nil {
			return done, err
		}
		done = append(done, answer.Done...)
	}
	return done, nil
}

func (o Outbox) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, outboxTimeout)
	defer cancel()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return fmt.Errorf("encode: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, o.URL+path, &body)
	if err != nil {
		return fmt.Errorf("admin listener: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("admin listener: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("admin listener: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s%s: %s: %s", method, o.URL, path, res.Status, strings.TrimSpace(string(answer)))
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s%s: %w", method, o.URL, path, err)
	}
	return nil
}
