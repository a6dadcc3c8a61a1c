#!/usr/bin/env bash
# static-core.sh DIRECTORY: prints the options, a line each, with which `swift build` links gRPC's core into a program.
#
# For releases: with the core in it a program starts in two thirds of the time, as it has not sixty libraries to find and
# bind, and a call takes a tenth less of the processor, as the core's thread-local variables need no lookup.
#
# The directory gets linker scripts in the place of those shared libraries that are linked by name. OpenSSL and zlib stay
# shared, so that their security updates come with the system's; so does what has no archive here.
set -euo pipefail

mkdir -p "$1"
directory=$(cd "$1" && pwd)
archives=$(cd "$(pkg-config --variable=pcfiledir grpc)/.." && pwd)
inputs=()
for name in $(pkg-config --static --libs-only-l grpc | tr ' ' '\n' | sed -n 's/^-l//p' | sort -u); do
    archive=$archives/lib$name.a
    case $name in
    atomic | dl | rt) continue ;; # the C library has what is needed of these
    crypto | ssl | z) ;;
    *) if [ -e "$archive" ]; then inputs+=("$archive") && continue; fi ;;
    esac
    inputs+=("-l$name")
done
for name in grpc gpr absl_synchronization; do
    echo "GROUP ( ${inputs[*]} )" >"$directory/lib$name.so"
done
printf '%s\n' -Xlinker "-L$directory"
