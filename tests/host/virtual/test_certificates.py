"""Our own certificate authority: what TLS clients make of its certificates."""

import re
import socket
import ssl
from pathlib import Path
from threading import Thread

import pytest

from host.virtual.certificates import Authority


def handshake(certificate: Path, key: Path, ca: Path, name: str) -> str | None:
    """Why a client that trusts ``ca`` does not trust a server called ``name``; None when it does."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=ca)
    server.load_cert_chain(certificate, key)
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = Thread(target=serve)
    thread.start()
    try:
        with ours, client.wrap_socket(ours, server_hostname=name):
            return None
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    finally:
        ours.close()
        thread.join()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "center.example", "10.1.2.3"])
def test_a_host_is_trusted_by_whoever_trusts_the_authority(authority: Authority, host: str) -> None:
    assert handshake(*authority.certify(host), authority.ca, host) is None


def test_one_certificate_serves_several_names(authority: Authority) -> None:
    files = authority.certify("localhost", "127.0.0.1")
    assert [handshake(*files, authority.ca, name) for name in ("localhost", "127.0.0.1")] == [None, None]


def test_another_name_is_not_trusted(authority: Authority) -> None:
    refused = handshake(*authority.certify("center.example"), authority.ca, "other.example")
    assert re.match("Hostname mismatch", refused or "")


def test_another_authority_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority.make(tmp_path / "other")
    refused = handshake(*authority.certify("localhost"), stranger.ca, "localhost")
    assert refused is not None


def test_keys_are_for_their_owner_alone_and_the_authoritys_is_nowhere(authority: Authority, tmp_path: Path) -> None:
    _, key = authority.certify("localhost")
    assert key.stat().st_mode & 0o777 == 0o600
    assert [path for path in tmp_path.iterdir() if b"PRIVATE KEY" in path.read_bytes()] == [key]
    assert "EllipticCurve" not in repr(authority)
