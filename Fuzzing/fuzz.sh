#!/usr/bin/env bash
# Builds the fuzzers and runs each for a share of the time: fuzz.sh SECONDS. `./dev fuzz` has what it needs installed.
#
# Each target is one program of its own, built here and not by SwiftPM, whose executables have a main function where
# libFuzzer brings its own. What it finds is in .build/fuzz/findings; what it learns, in .build/fuzz/corpus.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly seconds=$1 out=.build/fuzz targets=(Wire Services JSON)

# Instrumented, and optimised as a release is, with its checks.
sanitizers=fuzzer,address
options=(
    "-sanitize=$sanitizers" -parse-as-library -O -g -wmo -swift-version 6 -package-name messenger
    -enable-upcoming-feature ExistentialAny -enable-upcoming-feature InternalImportsByDefault
    -enable-upcoming-feature MemberImportVisibility -warnings-as-errors
    -I "$out" -Xcc -fmodule-map-file=Sources/CGRPC/module.modulemap -I Sources/CMessenger/include
    -I Sources/CGRPCServices/include -Xcc "-fmodule-map-file=$out/CGRPCTuning.modulemap"
)

libraries=(-lgrpc -lgpr -lprotobuf-c -labsl_synchronization -lstdc++)

# module NAME FILE...: builds a module that targets import.
module() {
    swiftc "${options[@]}" -emit-module -emit-module-path "$out/$1.swiftmodule" -module-name "$1" -c "${@:2}" \
        -o "$out/$1.o"
    objects+=("$out/$1.o")
}

# fuzzer NAME FILE...: builds a target, with the modules made so far.
fuzzer() {
    local object=$out/Fuzz$1.o
    swiftc "${options[@]}" -module-name "Fuzz$1" -c "Fuzzing/Targets/$1.swift" "${@:2}" -o "$object"
    swiftc "-sanitize=$sanitizers" -use-ld=lld "$object" "${objects[@]}" "${libraries[@]}" -o "$out/$1"
}

build() {
    local objects=() sources file
    mkdir -p "$out"
    for file in Sources/CMessenger/*.c Sources/CMessenger/*/*/*.c Sources/CGRPCServices/*/*/*/*.c; do
        clang -fsanitize=fuzzer-no-link,address -g -O1 -I Sources/CMessenger/include -I Sources/CGRPCServices/include \
            -c "$file" -o "$out/${file//\//-}.o"
        objects+=("$out/${file//\//-}.o")
    done
    # The one module whose map SwiftPM makes up.
    echo "module CGRPCTuning { header \"$PWD/Sources/CGRPCTuning/include/cgrpc_tuning.h\" export * }" \
        >"$out/CGRPCTuning.modulemap"
    clang++ -std=c++17 -O1 -I Sources/CGRPCTuning/include -c Sources/CGRPCTuning/*.cpp -o "$out/CGRPCTuning.o"
    objects+=("$out/CGRPCTuning.o")
    mapfile -t sources < <(find Sources/LibGRPC -name '*.swift')
    module LibGRPC "${sources[@]}"
    module NIOCore Fuzzing/StandIns/NIOCore.swift
    module Messenger Sources/Messenger/Wire/*.swift Sources/Messenger/{Message,SendTime}.swift
    fuzzer Wire Fuzzing/Support/*.swift
    mapfile -t sources < <(find Sources/GRPCServices -name '*.swift')
    fuzzer Services Fuzzing/Support/*.swift "${sources[@]}"
    fuzzer JSON Fuzzing/Support/Harness.swift Sources/Client/JSON/*.swift \
        Sources/Client/HTTP/SendMessageBody.swift
}

# run NAME SECONDS: a share of the time for one target; its last line has the figures.
run() {
    local corpus=$out/corpus/$1
    mkdir -p "$corpus" "$out/findings"
    echo "== $1: $2 s"
    if ! "$out/$1" "$corpus" "Fuzzing/Corpus/$1" -max_total_time="$2" -timeout=25 -rss_limit_mb=1024 -max_len=65536 \
        -artifact_prefix="$out/findings/$1-" -print_final_stats=1 >"$out/$1.log" 2>&1 </dev/null; then
        tail -50 "$out/$1.log"
        echo "$1 has found something; the input is in $out/findings" >&2
        return 1
    fi
    grep -E 'DONE|stat::number_of_executed_units' "$out/$1.log"
}

# A backtrace of Swift's own would wait for somebody to read it.
export SWIFT_BACKTRACE=enable=no

build
for target in "${targets[@]}"; do
    run "$target" $(((seconds + ${#targets[@]} - 1) / ${#targets[@]}))
done
