package ids_test

import (
	"testing"

	"example.com/ballast/pkg/ids"
)

func TestNewIsVersion7AndRises(t *testing.T) {
	t.Parallel()
	last := ""
	for range 1000 {
		id := ids.New()
		if id.Version() != 7 {
			t.Fatalf("version %d, want 7", id.Version())
		}
		if id.String() <= last {
			t.Fatalf("%s after %s", id, last)
		}
		last = id.String()
	}
}

func TestParseTakesOneSpelling(t *testing.T) {
	t.Parallel()
	id := ids.New()
	if got, err := ids.Parse(id.String()); err != nil || got != id {
		t.Errorf("got %v, %v, want %v", got, err, id)
	}
	for _, bad := range []string{"", "x", "{" + id.String() + "}", "urn:uuid:" + id.String(), id.String()[1:], "zzzzzzzz-0000-7000-8000-000000000000"} {
		if _, err := ids.Parse(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
