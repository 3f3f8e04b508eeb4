"""The worked example of blacklist-format.md, as it stands in the page, goes through the real receiver."""

import json
import re
from base64 import b64decode

import pytest

from apdu.objects import CenterKey, KeyUse
from apdu.signature import point_of
from broadcast.bearers.bundle import unpack
from broadcast.bearers.index import Index
from broadcast.bearers.sound_frame import SYNC, FrameScanner
from broadcast.cipher_key import CipherKey, CipherKeys
from broadcast.demodulator import demodulate
from broadcast.edition import Delta, Edition, read_content
from broadcast.reception import Reception
from saifu.documents import ROOT
from saifu.example_purses import ISSUER, LISTED, center_key

PAGE = (ROOT / "docs/reference/blacklist-format.md").read_text("utf-8")


def region(name: str) -> str:
    start = PAGE.index(f"<!-- generated: {name} -->")
    return PAGE[start : PAGE.index("<!-- end of generated -->", start)]


def hex_below(name: str, line: str) -> bytes:
    """The bytes that stand below a line."""
    found = re.search(rf"^ *{re.escape(line)}.*\n((?:    [0-9A-F]+\n)+)", region(name), re.MULTILINE)
    assert found, line
    return bytes.fromhex("".join(found[1].split()))


KEYS = (CenterKey(2, KeyUse.ORDERS, point_of(center_key(2))),)


@pytest.fixture
def key() -> CipherKey:
    return CipherKey(1, hex_below("sealing example", "cipher key 1"))


def packets(which: str) -> list[bytes]:
    """The packets that stand under the full list or the delta."""
    text = region("packets example").split(f"{which}, ")[1].split("as sound")[0].split("delta, ")[0]
    blocks = re.findall(r"^packet \d\n((?:    [0-9A-F]+\n)+)", text, re.MULTILINE)
    return [bytes.fromhex("".join(block.split())) for block in blocks]


def received(raw: list[bytes], key: CipherKey, current: int = 0) -> Edition | Delta:
    reception = Reception([key], current)
    wholes = [whole for packet in raw if (whole := reception.take(packet))]
    return read_content(demodulate(wholes[0].sealed, CipherKeys(ISSUER, "example", (key,))), ISSUER, KEYS)


@pytest.mark.parametrize("heard", [(0, 1), (0, 2), (1, 2), (2, 1)])
def test_any_two_packets_give_the_list(heard: tuple[int, int], key: CipherKey) -> None:
    shown = packets("full list")
    edition = received([shown[esi] for esi in heard], key)
    assert isinstance(edition, Edition)
    assert (edition.number, *edition.serials.tolist()) == (7, *LISTED)


def test_the_delta_leads_to_the_next_edition(key: CipherKey) -> None:
    edition, delta = received(packets("full list"), key), received(packets("delta"), key, 7)
    assert isinstance(edition, Edition)
    assert isinstance(delta, Delta)
    assert delta.apply(edition).serials.tolist() == sorted({*LISTED} - {77} | {80, 70_001})


def test_contents_are_those_in_the_packets(key: CipherKey) -> None:
    names = ("kind: full list", "signed head", "last serial", "coded set")
    parts = [hex_below("full list example", name) for name in names]
    edition = received(packets("full list"), key)
    assert isinstance(edition, Edition)
    assert b"".join(parts) == edition.content()
    delta = ("kind: delta", "signed head", "base", "last serial", "serials taken off", "bytes of", "off:", "on:")
    content = b"".join(hex_below("delta example", name) for name in delta)
    assert read_content(content, ISSUER, KEYS) == received(packets("delta"), key, 7)


def test_keys_are_as_the_text_derives_them(key: CipherKey) -> None:
    assert hex_below("sealing example", "packet key") == key.packet_key


def test_the_frame_is_heard() -> None:
    first = packets("full list")[0]
    parity = hex_below("packets example", "packet 0 of the full list as sound")
    assert FrameScanner(120).feed(SYNC + first + parity) == [first]


def test_the_page_is_read() -> None:
    lines = re.search(r"as a page\n    (\S+)\n    (\S+)\n", region("packets example"))
    assert lines
    text = lines[1] + lines[2]
    assert len(text) == 180
    assert b64decode(text.removeprefix("S>") + "==") == packets("full list")[0]


def test_the_bundle_is_in_the_index() -> None:
    bundle = hex_below("packets example", "as a bundle") + b"".join(packets("full list")[:2])
    shown = re.search(r"and the index\n    (.*)\n", region("packets example"))
    assert shown
    (entry,) = Index.decode(json.dumps(json.loads(shown[1])).encode()).entries
    assert (entry.edition, entry.span, entry.size) == (7, 0, len(bundle))
    assert unpack(bundle) == packets("full list")[:2]
