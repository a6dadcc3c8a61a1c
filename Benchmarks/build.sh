#!/usr/bin/env bash
# Builds the load program and the peers into .build/bench: `Benchmarks/build.sh [NAME...]`, all of them without a name.
# What is newer than its sources is left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

out=$PWD/../.build/bench
readonly cxx=(g++ -std=c++17 -O2 -Wall -Wextra -Werror)

# One function for each program: how it is built, in its own folder, into the file named by $1.
build_messenger_load() { "${cxx[@]}" -I../common ./*.cpp -o "$1"; }
build_cpp_core() { "${cxx[@]}" -I../../common ./*.cpp -o "$1" "$static_core" -lgrpc -lgpr -labsl_synchronization -pthread; }
build_cpp_callback() {
    "${cxx[@]}" -isystem generated ./*.cpp generated/*.cc -o "$1" \
        -l:libgrpc++.a "$static_core" -lgrpc -lgpr -labsl_synchronization -lprotobuf -pthread
}
# With Debian's Go packages, which are source trees.
build_grpc_go() { GOPATH=/usr/share/gocode GO111MODULE=off GOFLAGS='' go build -o "$1" .; }
# These resolve their packages on the first build, which takes some minutes.
build_swift() {
    swift build -c release --scratch-path "$1" --product Server >&2
    cp "$1/release/Server" "$2"
}
build_grpc_swift() { build_swift "$out/swift" "$1"; }
build_hummingbird_bare() { build_swift "$out/hummingbird" "$1"; }

declare -rA folders=(
    [messenger-load]=load
    [cpp-core]=peers/cpp-core
    [cpp-callback]=peers/cpp-callback
    [grpc-go]=peers/grpc-go
    [grpc-swift]=peers/grpc-swift
    [hummingbird-bare]=hummingbird-bare
)

build() {
    local name=$1 program=$out/$1 folder=${folders[$1]-}
    [ -n "$folder" ] || { echo "build.sh: there is no $name" >&2 && exit 64; }
    local sources=("$folder" common build.sh ../Sources/CGRPC/static-core.sh)
    [ ! -e "$program" ] || [ -n "$(find "${sources[@]}" -newer "$program" -print -quit)" ] || return 0
    echo "building $name" >&2
    (cd "$folder" && "build_${name//-/_}" "$program.new")
    mv "$program.new" "$program"
}

mkdir -p "$out"
# The C++ peers have gRPC's core in them, as our releases.
static_core=$(../Sources/CGRPC/static-core.sh "$out/static-core" | grep '^-L')
names=("$@")
[ $# -gt 0 ] || names=("${!folders[@]}")
for name in "${names[@]}"; do build "$name"; done
