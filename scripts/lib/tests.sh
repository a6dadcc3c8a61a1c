# How the tests are run. Sourced, never run.
# shellcheck shell=bash

# Python's compiled modules, so that each process need not compile them again.
export PYTHONPYCACHEPREFIX=$PWD/.build/pycache
unset PYTHONDONTWRITEBYTECODE

# swift_tests ARGUMENTS...: the debug build's, with Swift Testing's own arguments. `swift test` would plan the build again,
# which takes 5 s. Eight tests at a time: if all run at once, Swift Testing's thread that waits for exit tests spins until
# a task of theirs gets its turn.
swift_tests() {
    SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=8 .build/debug/messengerPackageTests.xctest \
        --testing-library swift-testing "$@"
}

# unit_tests ARGUMENTS...: the arguments go to Swift Testing.
unit_tests() {
    MESSENGER_TEST_PYTHON=$PWD/$venv/bin/python swift_tests "$@"
    [ $# != 0 ] || MESSENGER_TEST_ALONE=1 swift_tests --filter nothingIsLeftBehind
}

# run_pytest ARGUMENTS...: the acceptance tests, one after the other.
run_pytest() { "$venv/bin/python" -m pytest -c Tests/acceptance/pytest.ini Tests/acceptance "$@"; }

# parallel_acceptance_tests ARGUMENTS...: all but those that measure, several at a time, as most of them wait for
# something; the arguments go to pytest.
parallel_acceptance_tests() { run_pytest -n 5 --dist worksteal --alone skip "$@"; }

# acceptance_tests ARGUMENTS...: these, and then the tests that measure, alone.
# shellcheck disable=SC2120 # callers in other scripts pass some
acceptance_tests() {
    local parallel=0 alone=0
    parallel_acceptance_tests "$@" || parallel=$?
    run_pytest --alone only "$@" || alone=$?
    # 5: no test was selected.
    case "$parallel $alone" in '0 0' | '0 5' | '5 0') ;; *) return 1 ;; esac
}

# tests_named PATTERN: in whichever language they are written.
tests_named() {
    local ran=0 status=0
    # Not grep -q: its early end would fail the pipe, and skip the tests.
    if swift_tests --list-tests 2>/dev/null | grep -i -- "$1" >/dev/null; then
        unit_tests --filter "(?i)$1"
        ran=1
    fi
    run_pytest -k "$1" || status=$?
    # 5: there is none.
    [ $status = 0 ] || [ "$status $ran" = "5 1" ] || die 1 "a test named '$1' failed, or there is none"
}

# in_background NAME COMMAND...: its output goes to .build/logs, and is shown if it fails.
declare -A running=()
failed=()
in_background() {
    mkdir -p .build/logs
    "${@:2}" >".build/logs/$1.log" 2>&1 </dev/null &
    running[$1]=$!
}

# await_background: waits for all of them, and ends the script if anything has failed.
await_background() {
    local name
    for name in "${!running[@]}"; do
        if wait "${running[$name]}"; then
            say "passed: $name"
        else
            failed+=("$name")
            tail -n 100 ".build/logs/$name.log"
        fi
    done
    running=()
    [ ${#failed[@]} = 0 ] || die 1 "FAILED: ${failed[*]} (the logs are in .build/logs)"
}
