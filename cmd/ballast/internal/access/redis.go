package access

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// redisCommands are all that the cache and the rate limits of a service send, and what
// their scripts call: Redis asks for the right to that, too. None takes a pattern of
// keys, and none changes the server.
var redisCommands = [...]string{
	"ping",            // by whom a connection is looked at
	"get",             // cached values
	"eval", "evalsha", // the scripts, which call:
	"getrange", "set", // storing, unless a newer version is there
	"pttl", "del", // invalidating
	"time",           // the clock of the rate limits
	"info", "dbsize", // the metrics: memory, evictions, keys
}

// RedisACL is the ACL file of the Redis of a service: the service may do what it does
// to the keys that it has; whoever has no name may do nothing, and a health check may
// ask whether somebody is there. The password's hash stands for the password.
func RedisACL(s Service, password string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "user default off resetkeys resetchannels -@all\n")
	fmt.Fprintf(&b, "user health on nopass resetkeys resetchannels -@all +ping\n")
	fmt.Fprintf(&b, "user %s on #%x resetkeys resetchannels -@all", s.Name, sha256.Sum256([]byte(password)))
	for _, prefix := range s.RedisKeys {
		fmt.Fprintf(&b, " ~%s*", prefix)
	}
	if len(s.RedisKeys) > 0 {
		for _, command := range redisCommands {
			fmt.Fprintf(&b, " +%s", command)
		}
	}
	b.WriteString("\n")
	return b.String()
}
