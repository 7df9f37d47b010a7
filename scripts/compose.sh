#!/usr/bin/env bash
# Runs the platform by docker compose, and says in words what is in the way.
#
#   scripts/compose.sh up          secrets where they are missing, images, everything healthy
#   scripts/compose.sh down        stop; the data stays
#   scripts/compose.sh logs        follow what all say
#   scripts/compose.sh replay CSV [FLAG...]
#                                  place a shop's order history, compare the books
#   scripts/compose.sh backup DIR  stop, copy every volume and the secrets, go on
#   scripts/compose.sh restore DIR back to that copy; what was there since is lost
#
# COMPOSE_PROFILES, COMPOSE_FILE and the *_PORT of docker-compose.yml are taken from the
# environment, or from a file .env.
set -euo pipefail
cd "$(dirname "$0")/.."
secrets=deploy/compose/secrets

die() { echo "compose: $*" >&2; exit 1; }

check_docker() {
  command -v docker >/dev/null ||
    die "no docker here: https://docs.docker.com/engine/install has it, and 'make run' starts the platform without"
  docker compose version >/dev/null 2>&1 ||
    die "docker has no compose plugin: https://docs.docker.com/compose/install"
  docker info >/dev/null 2>&1 ||
    die "the docker daemon does not answer: is it running, and may $(id -un) talk to it? 'docker info' says more"
}

# A port that is taken would be found out by docker, after minutes of building.
check_ports() {
  [ -z "$(docker compose ps --quiet)" ] || return 0
  local line port taken=()
  while read -r line; do
    port=${line//[!0-9]/}
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then taken+=("$port"); fi
  done < <(docker compose config | grep -E '^ +published: ')
  ((${#taken[@]} == 0)) ||
    die "taken on 127.0.0.1: ${taken[*]}. Stop what listens there ('make down' if it is 'make run'), or choose others: ORDERS_PORT=9080 make compose-up; docker-compose.yml has the names"
}

# Servers keep the passwords with which their volumes were made.
check_volumes() {
  [ -d "$secrets/postgres" ] || ! docker volume inspect "${COMPOSE_PROJECT_NAME:-ballast}_postgres" >/dev/null 2>&1 ||
    die "data of an earlier stack is here and its passwords are not: bring back $secrets, from its clone or a copy, or delete that data by: docker compose --profile '*' down --volumes"
}

# What is there stays as it is. The directory is its owner's alone; the files in it are
# readable to the containers that are given one, whoever they run as.
make_secrets() {
  mkdir -p "$secrets"
  docker run --rm --network none --read-only --user "$(id -u):$(id -g)" --volume "$PWD/$secrets:/secrets" \
    "ballast/ballast:${TAG:-dev}" access secrets --dir /secrets --mode 444 | { grep -v '^kept' || true; }
  chmod 700 "$secrets"
}

# What two profiles need beside their containers.
set_up_profiles() {
  services=$(docker compose config --services)
  case $services in *chaos-*) export SERVERS=servers ;; esac
  case $services in *collector*) export TELEMETRY=otlp ;; esac
}

# What a profile of last time has left would answer to the names of what starts now.
stop_other_profiles() {
  local others
  others=$(docker compose --profile '*' ps --services | grep -vxF "$services" || true)
  # shellcheck disable=SC2086 # A name each.
  [ -z "$others" ] || docker compose --profile '*' rm --stop --force $others
}

up() {
  set_up_profiles
  check_ports
  check_volumes
  REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)
  VERSION=$(git describe --always --dirty 2>/dev/null || echo dev)
  export REVISION VERSION
  # One service of each image: built twice an image has two digests, and what runs on
  # the first is made anew.
  docker compose build ballast orders inventory payments provider
  make_secrets
  stop_other_profiles
  docker compose up --detach --wait
}

# in_volume VOLUME DIR COMMAND runs a command as root with the volume at /volume and
# the directory at /copy, in an image that has a shell and is here anyway.
in_volume() {
  docker run --rm --user root --network none --volume "${COMPOSE_PROJECT_NAME:-ballast}_$1:/volume" --volume "$2:/copy" --entrypoint bash \
    "$(docker compose config --images postgres | head -n 1)" -c "$3"
}

# Everything of one moment: what the database says, what is under way in Kafka and what
# the provider has booked belong together. So all of it stands still meanwhile.
backup() {
  local dir volume
  set_up_profiles
  (umask 077 && mkdir -p "$1")
  dir=$(realpath "$1")
  [ -z "$(ls -A "$dir")" ] || die "$dir is not empty: want a new directory for each copy"
  docker compose --profile '*' stop
  for volume in $(docker compose config --volumes); do
    in_volume "$volume" "$dir" "tar -C /volume -czf /copy/$volume.tgz ."
  done
  (umask 077 && tar -C "$secrets" -czf "$dir/secrets.tgz" .)
  docker compose up --detach --wait
  du -sh "$dir"
}

restore() {
  local dir volume
  set_up_profiles
  dir=$(realpath "$1")
  [ -f "$dir/secrets.tgz" ] || die "$dir has no copy: 'scripts/compose.sh backup DIR' makes one"
  docker compose --profile '*' down --volumes
  # The passwords are in the copies of the servers, too.
  rm -rf "$secrets" && (umask 077 && mkdir -p "$secrets") && tar -C "$secrets" -xzf "$dir/secrets.tgz"
  docker compose create
  for volume in $(docker compose config --volumes); do
    in_volume "$volume" "$dir" "find /volume -mindepth 1 -delete && tar -C /volume -xzf /copy/$volume.tgz"
  done
  docker compose up --detach --wait
}

command=${1:-help}
case $command in
  up) check_docker && up ;;
  down) check_docker && docker compose --profile '*' down ;;
  logs) check_docker && docker compose --profile '*' logs --follow --tail 100 ;;
  replay)
    check_docker
    csv=${2:?"want a file in the UCI Online Retail format, plain or .gz"}
    [ -f "$csv" ] || die "$csv is not there: want a file in the UCI Online Retail format, plain or .gz"
    up
    docker compose run --rm --volume "$(realpath "$csv"):/history:ro" ballast replay --csv /history "${@:3}" ;;
  backup) check_docker && backup "${2:?want a new directory}" ;;
  restore) check_docker && restore "${2:?want a directory that backup has made}" ;;
  *) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
