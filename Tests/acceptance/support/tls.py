"""The tests' certificates, and who shows and trusts which."""

import grpc

from support.processes import ROOT

CERTIFICATES = ROOT / "Tests" / "Certificates"
SERVER = {"MESSENGER_TLS_CERT": CERTIFICATES / "server.pem", "MESSENGER_TLS_KEY": CERTIFICATES / "server.key"}
MUTUAL = SERVER | {"MESSENGER_TLS_CLIENT_CA": CERTIFICATES / "authority.pem"}
TRUST = {"MESSENGER_TLS_CA": CERTIFICATES / "authority.pem"}


def identity(name: str) -> dict[str, object]:
    return {"MESSENGER_TLS_CERT": CERTIFICATES / f"{name}.pem", "MESSENGER_TLS_KEY": CERTIFICATES / f"{name}.key"}


def credentials(name: str | None = None) -> grpc.ChannelCredentials:
    """Of a channel that trusts the server, and shows a certificate if one is named."""
    own = [(CERTIFICATES / f"{name}.{kind}").read_bytes() for kind in ("key", "pem")] if name else []
    return grpc.ssl_channel_credentials((CERTIFICATES / "authority.pem").read_bytes(), *own)
