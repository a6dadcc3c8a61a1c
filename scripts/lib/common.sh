# What every script shares: talking, failing, steps with their times, cleaning up. Sourced, never run.
# shellcheck shell=bash
set -euo pipefail

# Exit codes, after sysexits.h.
# shellcheck disable=SC2034 # for those who source this
readonly usage=64 unavailable=69

bold='' plain=''
if [ -t 2 ] && [ -z "${NO_COLOR-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

say() { printf '%sdev:%s %s\n' "$bold" "$plain" "$*" >&2; }

# die CODE MESSAGE: ends the script with one line that says why.
die() {
    current=''
    say "$2"
    exit "$1"
}

# step NAME COMMAND...: runs one part of a longer job, and keeps its time for the summary. Never use it in a condition:
# bash would ignore failures inside it.
steps=() current=''
step() {
    local began=$SECONDS
    current=$1
    say "== $current"
    "${@:2}"
    steps+=("$current $((SECONDS - began)) s")
    current=''
}

say_passed() {
    local list
    printf -v list ', %s' "${steps[@]}"
    say "passed: ${list#, }"
}

# However the script ends: name the step that failed, then run the clean-up commands, each with the exit code.
at_exit=()
finish() {
    local status=$? command
    [ -z "$current" ] || [ "$status" = 0 ] || say "FAILED at: $current (exit code $status)"
    for command in "${at_exit[@]}"; do "$command" "$status" || true; done
}
trap finish EXIT
