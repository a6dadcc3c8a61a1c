# Where Swift code is that `swift format` looks after. Sourced, never run.
# shellcheck shell=bash

readonly swift_sources=(
    Package.swift Sources Examples Tests Fuzzing Benchmarks/peers/grpc-swift Benchmarks/hummingbird-bare
)
