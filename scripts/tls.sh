#!/usr/bin/env bash
# Makes an authority and Kafka's certificate for docker-compose.tls.yml, good for a
# year, where they are missing. The authority's key is thrown away: a year later all
# of it is made anew, or a real authority takes its place.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=deploy/compose/secrets/tls
[ -f "$dir/kafka.pem" ] && exit 0
umask 077
mkdir -p "$dir"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=ballast \
  -keyout "$scratch/ca.key" -out "$scratch/ca.pem" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=kafka \
  -keyout "$scratch/kafka.key" -out "$scratch/kafka.csr" 2>/dev/null
openssl x509 -req -in "$scratch/kafka.csr" -CA "$scratch/ca.pem" -CAkey "$scratch/ca.key" -days 365 \
  -extfile <(echo "subjectAltName=DNS:kafka") -out "$scratch/kafka.crt" 2>/dev/null
# Kafka reads key and certificates from one file, the key in PKCS 8.
cat "$scratch/kafka.key" "$scratch/kafka.crt" "$scratch/ca.pem" >"$dir/kafka.pem.new"
cp "$scratch/ca.pem" "$dir/ca.pem"
# Readable to the containers that are given one; the directory is its owner's alone.
chmod 444 "$dir/ca.pem" "$dir/kafka.pem.new"
mv "$dir/kafka.pem.new" "$dir/kafka.pem"
