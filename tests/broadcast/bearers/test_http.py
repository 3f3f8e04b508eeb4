"""HTTP against a real server, with and without TLS: what is fetched, what is not, and servers that lie."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import httpx
import pytest

from apdu.errors import BearerError, FormatError, InputError
from broadcast.bearers.bundle import pack
from broadcast.bearers.http import HttpReceiver
from broadcast.bearers.http_server import HttpTransmitter
from broadcast.bearers.index import Index
from host.virtual.certificates import Authority
from tests.broadcast.bearers.false_server import answer, false_server, index_of, serving
from tests.broadcast.bearers.objects import object_packets, take

CHANNEL = "terminals/1"
PLENTY = 60.0
FULL, DELTA, LONG_DELTA = object_packets(7, 0, 20_000), object_packets(7, 1, 300), object_packets(7, 4, 900)
NEXT_FULL, NEXT_DELTA = object_packets(8, 0, 20_100), object_packets(8, 1, 200)


@pytest.fixture
def transmitter() -> Iterator[HttpTransmitter]:
    with HttpTransmitter("127.0.0.1", 0, 5, CHANNEL) as serving:
        yield serving


def hear(url: str, have: int = 0, seconds: float = 0.0, ca: Path | None = None) -> list[bytes]:
    """All packets of one round, for a terminal that finishes no object."""
    with HttpReceiver(url, lambda: have, ca) as receiver:
        return list(receiver.packets(seconds))


@pytest.mark.parametrize(("have", "wanted"), [(7, []), (6, DELTA), (3, LONG_DELTA), (2, FULL), (0, FULL)])
def test_receiver_takes_what_leads_from_its_edition_and_nothing_else(
    transmitter: HttpTransmitter, have: int, wanted: list[bytes]
) -> None:
    transmitter.send([*DELTA, *LONG_DELTA, *FULL])
    edition = [have]
    with HttpReceiver(transmitter.url, lambda: edition[0]) as receiver:
        assert (take(receiver, len(wanted)) if wanted else []) == wanted
        edition[0] = 7
        assert list(receiver.packets(0)) == []


def test_chain_of_deltas_is_fetched_step_by_step(transmitter: HttpTransmitter) -> None:
    transmitter.send([*DELTA, *NEXT_DELTA, *NEXT_FULL])
    edition, heard = [6], list[bytes]()
    with HttpReceiver(transmitter.url, lambda: edition[0]) as receiver:
        for packet in receiver.packets(0):
            heard.append(packet)
            edition[0] = {len(DELTA): 7, len(DELTA) + len(NEXT_DELTA): 8}.get(len(heard), edition[0])
    assert heard == [*DELTA, *NEXT_DELTA]


def test_refused_delta_is_followed_by_the_full_list_and_nothing_comes_twice(transmitter: HttpTransmitter) -> None:
    transmitter.send([*DELTA, *FULL])
    with HttpReceiver(transmitter.url, lambda: 6) as receiver:
        assert list(receiver.packets(0)) == [*DELTA, *FULL]
        assert list(receiver.packets(0)) == []


def test_next_edition_replaces_everything(transmitter: HttpTransmitter) -> None:
    edition = [0]
    with HttpReceiver(transmitter.url, lambda: edition[0], poll_seconds=0.05) as receiver:
        transmitter.send([*LONG_DELTA, *FULL])
        packets = receiver.packets(PLENTY)
        assert [next(packets) for _ in FULL] == FULL
        edition[0] = 7
        transmitter.send([*NEXT_DELTA, *NEXT_FULL])
        assert [next(packets) for _ in NEXT_DELTA] == NEXT_DELTA
    assert httpx.get(f"{transmitter.url}/delta/4").status_code == 404


def test_several_receivers_fetch_the_same(transmitter: HttpTransmitter) -> None:
    transmitter.send(FULL)
    heard: dict[int, list[bytes]] = {}
    threads = [Thread(target=lambda n=n: heard.update({n: hear(transmitter.url)})) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == dict.fromkeys(range(8), FULL)


def test_tags_tell_what_is_new(transmitter: HttpTransmitter) -> None:
    transmitter.send([*DELTA, *FULL])
    tag = ""
    for path, content in (("delta/1", pack(DELTA)), ("full", pack(FULL))):
        response = httpx.get(f"{transmitter.url}/{path}")
        assert (response.status_code, response.content) == (200, content)
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.headers["cache-control"] == "public, no-cache"
        tag = response.headers["etag"]
        for known in (tag, f'"x", W/{tag}', "*"):
            again = httpx.get(f"{transmitter.url}/{path}", headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    transmitter.send(NEXT_FULL)
    assert httpx.get(f"{transmitter.url}/full", headers={"If-None-Match": tag}).status_code == 200


def test_index_tells_what_is_on_the_air(transmitter: HttpTransmitter) -> None:
    transmitter.send([*DELTA, *FULL])
    response = httpx.get(f"{transmitter.url}/index")
    assert response.headers["content-type"] == "application/json"
    found = {(e.edition, e.span): (e.size, f'"{e.etag}"') for e in Index.decode(response.content).entries}
    tags = [httpx.get(f"{transmitter.url}/{path}").headers["etag"] for path in ("full", "delta/1")]
    assert found == {(7, 0): (len(pack(FULL)), tags[0]), (7, 1): (len(pack(DELTA)), tags[1])}


def test_only_reading_is_served_and_only_what_is_there(transmitter: HttpTransmitter) -> None:
    transmitter.send(FULL)
    assert httpx.head(f"{transmitter.url}/full").headers["content-length"] == str(len(pack(FULL)))
    assert {httpx.request(method, f"{transmitter.url}/full").status_code for method in ("POST", "PUT", "DELETE")} == {
        405
    }
    other = transmitter.url.replace("/5/", "/6/")
    for url in (
        f"{transmitter.url}/delta/1",
        f"{transmitter.url}/../full",
        f"{other}/full",
        f"{transmitter.url}/full/7",
    ):
        assert httpx.get(url).status_code == 404


def test_channels_share_a_port_also_where_one_name_begins_the_other() -> None:
    with HttpTransmitter("127.0.0.1", 0, 5, "terminals") as first, first.beside("terminals/1") as beside:
        first.send(FULL)
        beside.send(NEXT_FULL)
        assert (hear(first.url), hear(f"{first.url}/1")) == (FULL, NEXT_FULL)


def test_channel_asks_for_patience_until_it_has_objects_and_is_gone_when_it_has_none_any_more(
    transmitter: HttpTransmitter,
) -> None:
    transmitter.send(FULL)
    with transmitter.beside("terminals/2") as beside:
        url = transmitter.url.replace("terminals/1", "terminals/2")
        with pytest.raises(BearerError, match="status 503"):
            hear(url)
        beside.send(FULL)
        assert hear(url) == FULL
        beside.send([])
        with pytest.raises(BearerError, match="status 404"):
            hear(url)


def test_packets_that_make_no_bundle_leave_what_is_served(transmitter: HttpTransmitter) -> None:
    transmitter.send(FULL)
    with pytest.raises(FormatError):
        transmitter.send(NEXT_FULL[:-1])
    assert hear(transmitter.url) == FULL


def test_tls_is_for_those_who_trust_the_ca_and_use_the_right_name(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    other = Authority.make(tmp_path, "other CA")
    with ExitStack() as stack:
        good, stranger = (
            stack.enter_context(HttpTransmitter("127.0.0.1", 0, 5, CHANNEL, *authority.certify(host)))
            for host in ("127.0.0.1", "center.example")
        )
        good.send(FULL)
        assert good.url.startswith("https://")
        assert hear(good.url, ca=authority.ca) == FULL
        for url, ca in ((good.url, other.ca), (stranger.url, authority.ca), (good.url, None)):
            with pytest.raises(BearerError, match=r"not trusted.*--ca FILE"):
                hear(url, seconds=PLENTY, ca=ca)


def test_mixing_up_http_and_https_is_an_error(transmitter: HttpTransmitter, tmp_path: Path) -> None:
    with pytest.raises(BearerError, match="no TLS"):
        hear(transmitter.url.replace("http:", "https:"), seconds=PLENTY)
    authority = Authority.make(tmp_path)
    files = authority.certify("127.0.0.1")
    with HttpTransmitter("127.0.0.1", 0, 5, CHANNEL, *files) as secure, pytest.raises(BearerError, match="reached"):
        hear(secure.url.replace("https:", "http:"))


def test_files_for_tls_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    certificate, key = Authority.make(tmp_path).certify("127.0.0.1")
    for files in ((certificate, None), (None, key), (key, key), (tmp_path / "none", key)):
        with pytest.raises(InputError, match=r"certificate|cannot be used"):
            HttpTransmitter("127.0.0.1", 0, 5, CHANNEL, *files)
    with pytest.raises(InputError, match="cannot be used as a CA"):
        HttpReceiver("https://center.example/blacklist/5/terminals/1", ca=tmp_path / "none")


def test_port_in_use_is_an_error(transmitter: HttpTransmitter) -> None:
    port = httpx.URL(transmitter.url).port or 0
    with pytest.raises(BearerError, match=f"port {port} cannot be served"):
        HttpTransmitter("127.0.0.1", port, 5, CHANNEL)
    with pytest.raises(BearerError, match="cannot be served"):
        HttpTransmitter("192.0.2.1", 0, 5, CHANNEL)
    with pytest.raises(InputError, match="channel"):
        HttpTransmitter("127.0.0.1", 0, 5, "a//b")


@pytest.mark.parametrize(
    "url",
    ["", "center", "ftp://center/x", "http://", "http://a b/", "https://user:secret@center/x", "http://a/?b=secret"],
)
def test_address_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InputError) as caught:
        HttpReceiver(url)
    assert "secret" not in str(caught.value)


def test_refused_connection_is_an_error_when_time_is_up() -> None:
    with HttpTransmitter("127.0.0.1", 0, 5, CHANNEL) as transmitter:
        url = transmitter.url
    with pytest.raises(BearerError, match=r"cannot be reached.*check"):
        hear(url, seconds=0.5)


def test_channel_that_is_not_served_is_an_error(transmitter: HttpTransmitter) -> None:
    transmitter.send(FULL)
    with pytest.raises(BearerError, match=r"404.*channel"):
        hear(transmitter.url.replace("terminals", "nobody"), seconds=PLENTY)


def test_receiver_waits_for_a_service_that_starts_later() -> None:
    with HttpTransmitter("127.0.0.1", 0, 5, CHANNEL) as first:
        port, url = httpx.URL(first.url).port or 0, first.url
    heard: list[bytes] = []
    with HttpReceiver(url) as receiver:
        thread = Thread(target=lambda: heard.extend(take(receiver, len(FULL))))
        thread.start()
        with HttpTransmitter("127.0.0.1", port, 5, CHANNEL) as late:
            late.send(FULL)
            thread.join()
    assert heard == FULL


# --- servers that lie --------------------------------------------------------------------------------------


INDEX = index_of((7, 0), (7, 1))


@pytest.mark.parametrize(("index", "content", "complaint"), [
    (answer(b"<html>"), b"", "not an index"),
    (answer(b'{"objects": 5}'), b"", "not an index"),
    (answer(bytes(70_000)), b"", "more than 65536 bytes"),
    (answer(b"", "304 Not Modified"), b"", "status 304"),
    (answer(b"", "302 Found", "Location: http://127.0.0.1:1/"), b"", "status 302"),
    (answer(b"", "403 Forbidden"), b"", "status 403"),
    (answer(b"", "503 Service Unavailable"), b"", "status 503"),
    (answer(b"x", "200 OK", "Content-Encoding: gzip"), b"", "compressed"),
    (b"junk\r\n\r\n", b"", "cannot be reached"),
    (b"", b"", "cannot be reached"),
    (answer(b"", "200 OK", "X: " + "a" * 200_000), b"", "cannot be reached"),
    (INDEX, answer(b"<html>"), "not a bundle"),
    (INDEX, answer(b""), "not a bundle"),
    (INDEX, answer(pack(FULL)[:-1]), "not a bundle"),
    (INDEX, answer(b"", "404 Not Found"), "no longer there"),
    (INDEX, answer(b"half", "200 OK", "Content-Length: 100"), "cannot be reached"),
])  # fmt: skip
def test_wrong_answer_is_an_error(index: bytes, content: bytes, complaint: str) -> None:
    with false_server(index, content) as url, pytest.raises(BearerError, match=complaint):
        hear(url, have=6)


def test_endless_content_is_cut_off() -> None:
    endless = answer(b"", "200 OK", "content-length: 99999999999")
    with false_server(INDEX, endless, is_endless=True) as url, pytest.raises(BearerError, match="more than"):
        hear(url, have=6)


def test_index_that_promises_other_objects_gives_what_is_there_once() -> None:
    with false_server(index_of((9, 1), (9, 0)), answer(pack(DELTA))) as url:
        assert hear(url, have=8) == DELTA * 2


def test_index_without_anything_newer_gives_nothing() -> None:
    with false_server(index_of((6, 0), (5, 1)), answer(pack(DELTA))) as url:
        assert hear(url, have=6) == []


def test_nothing_of_a_server_is_sent_back_but_a_mark_that_is_one() -> None:
    asked: list[bytes] = []
    marks = [b'"good"', b'"\xff"', b'"' + b"x" * 200 + b'"', b"bare", b""]

    def give(accepted: socket.socket) -> None:
        asked.append(accepted.recv(4000))
        head = b"\r\n".join([b"HTTP/1.1 200 OK", b"Set-Cookie: a=b", b"ETag: " + marks[len(asked) - 1]])
        accepted.sendall(head + b"\r\nContent-Length: 15\r\nConnection: close\r\n\r\n" + b'{"objects": []}')

    with serving(give) as port, HttpReceiver(f"http://127.0.0.1:{port}/blacklist/5/a") as receiver:
        for _ in marks:
            assert list(receiver.packets(0)) == []
    assert [b"If-None-Match" in one for one in asked] == [False, True, False, False, False]
    assert b'If-None-Match: "good"\r\n' in asked[1]
    assert not any(b"ookie" in one for one in asked)


def test_server_that_falls_silent_in_tls_is_an_error(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certify("127.0.0.1"))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            accepted, _ = listener.accept()
            accepted.close()

        thread = Thread(target=serve)
        thread.start()
        with pytest.raises(BearerError, match="cannot be reached"):
            hear(f"https://127.0.0.1:{listener.getsockname()[1]}/blacklist/5/a", ca=authority.ca)
        thread.join()
