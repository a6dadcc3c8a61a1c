# The two ways in which the programs are built. Sourced, never run.
# shellcheck shell=bash

# build_release PRODUCT...: releases contain Swift's libraries and gRPC's core.
build_release() {
    local options product
    options=$(Sources/CGRPC/static-core.sh .build/static-core)
    mapfile -t options <<<"$options"
    for product; do
        say "building $product (the first release build takes some minutes)"
        swift build -c release --static-swift-stdlib "${options[@]}" --product "$product"
    done
}

# Programs and tests. A warning in our own code is an error; MESSENGER_WARNINGS=allow lets a newer compiler pass.
build_debug() {
    local strict=(-Xswiftc -warnings-as-errors)
    [ "${MESSENGER_WARNINGS-}" != allow ] || strict=()
    swift build --build-tests "${strict[@]}"
}
