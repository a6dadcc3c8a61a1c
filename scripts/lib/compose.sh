# Compose, whichever there is. Sourced, never run.
# shellcheck shell=bash

# compose ARGUMENTS...: Docker's Compose or Podman's, or what MESSENGER_COMPOSE names.
compose() {
    # Not every Compose turns on a profile for a service that is named; and Podman keeps health checks in images of
    # Docker's format only.
    local -x COMPOSE_PROFILES=tests,cluster BUILDAH_FORMAT=docker
    if [ -n "${MESSENGER_COMPOSE-}" ]; then
        "$MESSENGER_COMPOSE" "$@"
    elif docker compose version >/dev/null 2>&1; then
        docker compose "$@"
    elif command -v docker-compose >/dev/null; then
        docker-compose "$@"
    elif command -v podman-compose >/dev/null; then
        podman-compose "$@"
    else
        die "$unavailable" "neither 'docker compose' nor podman-compose here: https://docs.docker.com/compose/install"
    fi
}
