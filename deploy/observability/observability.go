// Package observability is what a stack needs to be seen: the registry of its
// metrics, and what is generated from it. The files are in the binary, so that a
// tool that starts a stack needs no working tree beside it.
package observability

import "embed"

// Files are named as in this directory.
//
//go:embed alerts.yaml collector.yaml metrics.yaml prometheus/rules.yml slo/*.yaml
var Files embed.FS
