package stack

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"example.com/ballast/pkg/cache"
)

// Cache is what one process says of its caches and their Redis.
type Cache struct {
	// Child is the process.
	Child string `json:"child"`
	cache.Status
}

// Caches asks every service of the stack. A process that does not answer, or has
// no cache, is left out.
func Caches(ctx context.Context, s State) []Cache {
	var caches []Cache
	for _, c := range s.Children {
		service, _, _ := strings.Cut(c.Name, "-")
		admin, ok := s.Endpoints.Admin[c.Name]
		if !ok || !slices.Contains(services[:], service) {
			continue
		}
		if status, ok := cacheStatus(ctx, admin); ok {
			caches = append(caches, Cache{Child: c.Name, Status: status})
		}
	}
	return caches
}

func cacheStatus(ctx context.Context, admin string) (status cache.Status, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/cache", nil)
	if err != nil {
		return status, false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return status, false
	}
	defer res.Body.Close()
	ok = res.StatusCode == http.StatusOK && json.NewDecoder(res.Body).Decode(&status) == nil
	return status, ok
}
