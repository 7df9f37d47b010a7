#!/usr/bin/env bash
# Installs what is missing of the given servers and tools: postgres redis java pip. Only on
# Debian and its kin as root; elsewhere it says what will be used in their place,
# or the line that installs them. It never fails: who needs a server says so.
set -euo pipefail

postgres_there() { command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null ||
  compgen -G '/opt/homebrew/opt/postgresql*/bin/postgres' >/dev/null; }
redis_there() { command -v redis-server >/dev/null; }
pip_there() { python3 -m pip --version >/dev/null 2>&1; }
java_there() { command -v java >/dev/null && { command -v mvn >/dev/null || [ -n "${KAFKA_HOME:-}" ]; }; }

missing=() packages=()
for server in "$@"; do
  "${server}_there" && continue
  missing+=("$server")
  case $server in
    postgres) [ -n "${POSTGRES_URL:-}" ] || packages+=(postgresql) ;;
    redis) packages+=(redis-server) ;;
    pip) packages+=(python3-pip) ;;
    java) packages+=(openjdk-17-jdk-headless maven) ;;
  esac
done
[ ${#packages[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing ${packages[*]}"
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  if apt-get update -qq >"$log" 2>&1 && apt-get install -qq -y --no-install-recommends "${packages[@]}" >>"$log" 2>&1; then
    exit 0
  fi
  tail -5 "$log"
  echo "could not install ${packages[*]}: going on with what is there"
fi
for server in "${missing[@]}"; do
  case $server in
    postgres) echo "no Postgres here: binaries are downloaded once (not as root); or: brew install postgresql" ;;
    redis) echo "no redis-server here: miniredis stands in, which shows no eviction; or: brew install redis" ;;
    pip) echo "no pip here, which brings the linters of scripts and Dockerfile: brew install python" ;;
    java) echo "no Java or Maven here, which a real Apache Kafka needs: brew install openjdk maven" ;;
  esac
done
