package edge

import (
	"context"
	"strconv"
	"time"

	"connectrpc.com/connect/v2"
)

// FromCache tells the client of a call that its answer comes from a service's
// cache and how old it is, in the headers of RFC 9111 and RFC 9211: Age, in whole
// seconds, and Cache-Status. Stale means that the source may say something else by
// now, and could not be asked or was not waited for.
func FromCache(ctx context.Context, service string, age time.Duration, stale bool) {
	info, ok := connect.CallInfoForServerContext(ctx)
	if !ok {
		return
	}
	status := service + "; hit"
	if stale {
		status += "; detail=stale"
	}
	info.ResponseHeader().Set("Age", strconv.Itoa(int(age.Seconds())))
	info.ResponseHeader().Set("Cache-Status", status)
}
