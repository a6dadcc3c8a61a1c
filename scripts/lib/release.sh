# What images and packages are made of. Sourced, never run.
# shellcheck shell=bash

# put_program NAME FOLDER BACKTRACES: a release's program, and in another folder the one that prints its backtraces.
put_program() {
    local to=$2/$1
    strip --strip-debug -o "$to" ".build/release/$1"
    # Backtraces need the names of functions, but of none that the compiler made by itself: witnesses, copies, metadata.
    nm "$to" | awk '$2 !~ /^[tTwWi]$/ || $3 ~ /^\$s.*(TW|Tm|Tq|Tj|TK|WO.?|Wl|Ma|Mr|Mi|w..)$/ { print $3 }' |
        sort -u >"$to.others"
    objcopy --strip-symbols="$to.others" "$to"
    rm "$to.others"
    mkdir -p "$3"
    strip -o "$3/swift-backtrace" "$(backtracer)"
}

# backtracer: the toolchain's program that prints backtraces.
backtracer() {
    local toolchain
    toolchain=$(readlink -f "$(command -v swift)")
    echo "${toolchain%/bin/*}/libexec/swift/linux/swift-backtrace-static"
}

# shared_libraries PROGRAM...: the files of the libraries that the loader finds, and the loader.
shared_libraries() { ldd "$@" | sed -n 's|^\t\(.* => \)\{0,1\}\(/[^ ]*\) .*|\2|p' | sort -u; }

# owners FILE...: the Debian packages of these files, NAME VERSION, a line each.
owners() {
    local file
    # shellcheck disable=SC2016 # dpkg-query's own variables
    for file; do dpkg -S "*/${file##*/}" | sed 's/[:,].*//' | head -n 1; done | sort -u |
        xargs dpkg-query --show --showformat '${Package} ${Version}\n' | sort -u
}

# core_archives: the archives of gRPC's core that a release contains.
core_archives() { cat .build/static-core/*/lib*.so | grep -o '/[^ ]*\.a' | sort -u; }

# source_epoch: when the sources were last changed, in seconds since 1970: the time of the commit, or of nothing better.
source_epoch() { echo "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}"; }
