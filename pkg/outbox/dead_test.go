package outbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"example.com/ballast/pkg/testkit"
)

// desk is a relay whose messages for one topic died, and its admin listener.
type desk struct {
	*bundle
	relay *Relay
	admin *httptest.Server
	dead  string // the topic that was not there
}

// mourn lets versions 2 and 3 of key a die in one row, and version 4 in another,
// while 1 and 5 are published.
func mourn(t *testing.T) *desk {
	t.Helper()
	b := setup(t)
	d := &desk{bundle: b, relay: b.relay("one"), dead: testkit.Unique(t, "nowhere")}
	d.relay.TopicPatience = 200 * time.Millisecond
	mux := http.NewServeMux()
	d.relay.Mount(mux)
	d.admin = httptest.NewServer(mux)
	t.Cleanup(d.admin.Close)
	b.run(d.relay)
	second, third, fourth := b.msg("a", 2), b.msg("a", 3), b.msg("a", 4)
	second.Topic, third.Topic, fourth.Topic = d.dead, d.dead, d.dead
	b.queue(b.msg("a", 1), second, third)
	b.queue(fourth, b.msg("a", 5))
	d.relay.Signal()
	testkit.Eventually(t, "three messages are dead", func() bool { return b.empty() && b.count("outbox_dead") == 3 })
	return d
}

// call returns the status and decodes the answer.
func (d *desk) call(method, path, body string, answer any) int {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.admin.URL+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
		d.t.Fatal(err)
	}
	return res.StatusCode
}

func (d *desk) list(query string) []Dead {
	d.t.Helper()
	var got struct{ Dead []Dead }
	if status := d.call(http.MethodGet, "/outbox/dead"+query, "", &got); status != http.StatusOK {
		d.t.Fatalf("list: %d", status)
	}
	return got.Dead
}

func (d *desk) decide(what, body string) []int64 {
	d.t.Helper()
	var got struct{ Done []int64 }
	if status := d.call(http.MethodPost, "/outbox/dead/"+what, body, &got); status != http.StatusOK {
		d.t.Fatalf("%s: %d", what, status)
	}
	return got.Done
}

// TestDeadRowsAreReplayed: in the order in which they were queued, once, and
// what was decided stays on record.
func TestDeadRowsAreReplayed(t *testing.T) {
	t.Parallel()
	d := mourn(t)
	rows := d.list("")
	if len(rows) != 3 || rows[0].Messages[0].Topic != d.dead || rows[0].Messages[0].Value != nil {
		t.Fatalf("listed: %+v", rows)
	}
	testkit.Eventually(t, "they are counted", func() bool { return d.relay.Stats().DeadOpen == 3 })
	if page := d.list("?limit=1&after=" + strconv.FormatInt(rows[0].ID, 10)); len(page) != 1 || page[0].ID != rows[1].ID {
		t.Errorf("the second page: %+v", page)
	}
	var one Dead
	if status := d.call(http.MethodGet, "/outbox/dead/"+strconv.FormatInt(rows[2].ID, 10), "", &one); status != http.StatusOK {
		t.Errorf("show: %d", status)
	}
	if m := one.Messages[0]; m.Version != 4 || string(m.Value) != "a" {
		t.Errorf("shown: %+v", m)
	}

	d.createTopic(d.dead)
	ids, err := json.Marshal([]int64{rows[2].ID, rows[0].ID, rows[1].ID})
	if err != nil {
		t.Fatal(err)
	}
	verdict := `{"ids": ` + string(ids) + `, "by": "ada", "why": "the topic is there"}`
	var done [2][]int64
	var both errgroup.Group // two operators at once
	for i := range done {
		both.Go(func() error { done[i] = d.decide("replay", verdict); return nil })
	}
	if err := both.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(done[0])+len(done[1]) != 3 {
		t.Errorf("two operators replayed %v and %v; want each row once", done[0], done[1])
	}
	testkit.Eventually(t, "they are published", func() bool { return d.empty() && len(d.log(d.dead)["a"]) >= 3 })
	if again := d.decide("replay", verdict); again != nil {
		t.Errorf("a second replay did %v", again)
	}
	if diff := cmp.Diff([]int64{2, 3, 4}, d.log(d.dead)["a"]); diff != "" {
		t.Error(diff)
	}
	if open := d.list(""); len(open) != 0 {
		t.Errorf("still open: %+v", open)
	}
	record := d.list("?all=true")[0]
	want := Dead{Decision: Replayed, By: "ada", Why: "the topic is there"}
	if diff := cmp.Diff(want, record, cmpopts.IgnoreFields(Dead{}, "ID", "OutboxID", "DiedAt", "Reason", "Bytes", "Messages", "DecidedAt")); diff != "" || record.DecidedAt == nil {
		t.Errorf("on record: %s", diff)
	}
}

// TestDeadRowsAreDiscarded: what is given up is not sent, and needs a reason.
func TestDeadRowsAreDiscarded(t *testing.T) {
	t.Parallel()
	d := mourn(t)
	rows := d.list("")
	id := strconv.FormatInt(rows[0].ID, 10)
	for _, body := range []string{`{"ids": [` + id + `], "by": "ada"}`, `{"ids": [], "by": "ada", "why": "x"}`, `{"ids": [` + id + `], "why": "x"}`, `[`} {
		var refused struct{ Error string }
		if status := d.call(http.MethodPost, "/outbox/dead/discard", body, &refused); status != http.StatusBadRequest || refused.Error == "" {
			t.Errorf("%s: %d %q; want it refused", body, status, refused.Error)
		}
	}
	if len(d.list("")) != 3 {
		t.Error("a refused verdict changed something")
	}
	if done := d.decide("discard", `{"ids": [`+id+`], "by": "ada", "why": "a test"}`); len(done) != 1 {
		t.Errorf("discarded: %v", done)
	}
	if done := d.decide("replay", `{"ids": [`+id+`], "by": "bob"}`); done != nil {
		t.Errorf("a discarded row was replayed: %v", done)
	}
	if !d.empty() || len(d.list("")) != 2 {
		t.Error("more than one row was discarded, or one was sent")
	}
	var missing struct{ Error string }
	if status := d.call(http.MethodGet, "/outbox/dead/999999", "", &missing); status != http.StatusNotFound {
		t.Errorf("a row that is not there: %d", status)
	}
}
