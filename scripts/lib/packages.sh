# Finds what is missing on this machine, and installs it. Sourced, never run.
#
# A list in scripts/packages has one Debian package a line: what shows that it is there, and the package's name. Whatever
# is found needs no package, so another way of installing it will do too. The dockerfiles read the same lists.
# shellcheck shell=bash

readonly venv=.build/venv
readonly requirements=Tests/acceptance/requirements.txt

# found PROBE: whether this machine has it: a glob of files (starts with /), a header or proto (by its suffix),
# python:MODULE, or else a command.
found() {
    case $1 in
    /*) compgen -G "$1" ;;
    *.h | *.proto) compgen -G "/usr/include/$1" || compgen -G "/usr/include/*/$1" ;;
    python:*) python3 -c "import ${1#python:}" 2>/dev/null ;;
    *) command -v "$1" ;;
    esac >/dev/null
}

# need LIST...: installs what is missing of these lists, or ends with one line that says what to install.
need() {
    local probe package missing=() probes=()
    while read -r probe package; do
        found "$probe" && continue
        missing+=("$package")
        probes+=("$probe")
    done < <(sed 's/#.*//; /^ *$/d' "${@/#/scripts/packages/}")
    [ ${#missing[@]} -gt 0 ] || return 0

    command -v apt-get >/dev/null ||
        die "$unavailable" "missing: ${missing[*]} (Debian's names). Install them, or run: docker compose up --build"
    local root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null ||
            die "$unavailable" "no sudo here. As root, run: apt-get update && apt-get install ${missing[*]}"
        root=(sudo)
    fi
    say "installing ${missing[*]}${root:+ with sudo, which may ask for your password}"
    local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update >&2 </dev/null ||
        die "$unavailable" "apt-get update failed, so these could not be installed: ${missing[*]}"
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >&2 </dev/null ||
        die "$unavailable" "apt-get could not install ${missing[*]}"
    for probe in "${probes[@]}"; do
        found "$probe" || die "$unavailable" "$probe is still not found, although its package is installed"
    done
}

# Swift is the one thing that apt does not have: look for it before anything is installed.
need_swift() {
    local wanted version
    wanted=$(sed -n 's|^// swift-tools-version: *\([0-9.]*\).*|\1|p' Package.swift)
    local how="get it from https://www.swift.org/install/linux, or build without it: docker compose up --build"
    command -v swift >/dev/null || die "$unavailable" "no Swift on PATH: $how"
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p')
    [ -n "$version" ] || die "$unavailable" "'swift --version' does not work here: $how"
    printf '%s\n' "$wanted" "$version" | sort --version-sort --check=quiet ||
        die "$unavailable" "Swift $wanted or later is needed, this is $version: $how"
}

need_for_building() {
    need_swift
    need building
}

# The tests' Python packages, in a virtual environment that is made again when their list changes. CI needs the browser,
# too. Elsewhere the page's tests are skipped without one: it is large.
need_python_packages() {
    need testing ${CI:+browser}
    local stamp
    stamp="$(python3 --version) $PWD $(sha256sum <"$requirements")"
    if [ -x "$venv/bin/python" ] && [ "$(cat "$venv/stamp" 2>/dev/null)" = "$stamp" ]; then return; fi
    say "installing the tests' Python packages into $venv (half a minute)"
    rm -rf "$venv"
    python3 -m venv "$venv"
    local options=(--quiet --disable-pip-version-check --use-pep517)
    "$venv/bin/python" -m pip install "${options[@]}" --requirement "$requirements" >&2 ||
        die "$unavailable" "pip could not install what $requirements lists"
    echo "$stamp" >"$venv/stamp"
}

# need_prometheus: Debian's Prometheus and its promtool in .build/prometheus. An installed one would run as a service.
need_prometheus() {
    local folder=.build/prometheus
    [ ! -x "$folder"/usr/bin/prometheus ] || return 0
    say "fetching prometheus into $folder"
    rm -rf "$folder"
    mkdir -p "$folder"
    (cd "$folder" && apt-get -q download prometheus >&2 && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb) ||
        die "$unavailable" "apt-get could not download prometheus (it needs a recent apt-get update)"
}
