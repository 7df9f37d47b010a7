// Package slo makes the rules that Prometheus evaluates: for each objective in
// slo/*.yaml (OpenSLO) the recording rules of its error ratios and the alerts on the
// rate at which its error budget burns, and the alerts on causes in alerts.yaml.
//
// The burn rates are those of the Google SRE workbook, chapter 5: a long window
// says that it matters, a short one that it still goes on.
//
// # Invariants
//
//   - A call that fails where nobody else calls pages nobody: an alert needs a least
//     number of failures, which the objective may set (annotation leastFailures).
//   - No calls are no failures: without traffic the ratios are absent and the alerts
//     silent. Where silence is failure, the objective is one of timeslices, which
//     counts a slice without metrics as bad.
//   - The names of the rules don't depend on the scale at which they are rendered.
package slo
