#!/usr/bin/env bash
# Runs the tests that touch a broker on a real Apache Kafka: the one that
# KAFKA_BROKERS names, or one that is started for this run.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${KAFKA_BROKERS:-}" ]; then
  home=$(mktemp -d) base=${PORT_BASE:-19080}
  trap 'bin/ballast down --home "$home"; rm -rf "$home"' EXIT
  bin/ballast up --servers-only --broker apache --home "$home" --port-base "$base" --detach
  KAFKA_BROKERS=127.0.0.1:$((base + 41))
fi
export KAFKA_BROKERS
# Whoever asks the harness for a broker, and the tests that exist for it alone.
mapfile -t packages < <(grep -rlE 'testkit\.Kafka\(|^//go:build apachekafka' --include='*_test.go' . | xargs -n1 dirname | sort -u)
echo "on $KAFKA_BROKERS: ${packages[*]}"
# One package at a time: they share the broker and the two cores of a small machine.
# Tags given here take the place of those that CI gives to all of go (Dockerfile).
go test -tags apachekafka,grpcnotrace -count=1 -p 1 -timeout 15m "$@" "${packages[@]}"
