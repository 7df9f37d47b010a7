package edge

import (
	"strconv"
	"testing"
	"time"
)

func TestTokenCacheIsBoundedAndKeepsWhatIsUsed(t *testing.T) {
	t.Parallel()
	const limit = 100
	c := tokenCache{limit: limit}
	now := time.Now()
	c.put("hot", verified{id: Identity{Customer: "hot"}, expires: now.Add(time.Hour)})
	for i := range 10 * limit {
		c.put(strconv.Itoa(i), verified{expires: now.Add(time.Hour)})
		if id, ok := c.get("hot", now); !ok || id.Customer != "hot" {
			t.Fatalf("the token in use was dropped after %d others", i)
		}
	}
	if n := len(c.young) + len(c.old); n > 2*limit {
		t.Errorf("%d tokens kept, want at most %d", n, 2*limit)
	}
	if _, ok := c.get("0", now); ok {
		t.Error("a token that nobody used was kept")
	}
}
