#!/usr/bin/env bash
# Makes the certificates of the tests anew: an authority, a server and a client that it signed, and a stranger's client.
# They are committed, so that tests need no openssl; nothing but tests trusts them.
set -euo pipefail
cd "$(dirname "$0")"

readonly days=36500

authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "$days" \
        -subj "/CN=$1" -keyout "$1.key" -out "$1.pem" 2>/dev/null
}

# certificate NAME AUTHORITY SUBJECT_ALTERNATIVE_NAMES USAGE
certificate() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -days "$days" -out "$1.pem" 2>/dev/null \
        -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=%s\n' "$3" "$4")
    rm "$1.csr"
}

authority authority
authority other-authority
certificate server authority DNS:localhost,IP:127.0.0.1,IP:::1 serverAuth
certificate client authority DNS:client.test clientAuth
certificate stranger other-authority DNS:stranger.test clientAuth
# Signed by itself: what the server's certificate is replaced with.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "$days" -subj "/CN=renewed" \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout renewed.key -out renewed.pem 2>/dev/null
# Nothing more is to be signed.
rm authority.key other-authority.key ./*.srl 2>/dev/null || true
