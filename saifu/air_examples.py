"""The worked example of docs/reference/blacklist-format.md: an edition on its way into the air, byte by byte.

What the modulator draws at random is drawn from a seed here, so the message is put together by hand; that the
demodulator opens it is what tests/saifu/test_air_examples.py looks at, with the bytes as they stand in the page.
"""

import base64
from collections.abc import Callable, Iterator
from functools import cache

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from apdu.messages import Head
from broadcast.bearers.bundle import Bundle
from broadcast.bearers.index import Index
from broadcast.bearers.sound_frame import PARITY, frame
from broadcast.cipher_key import CipherKey
from broadcast.edition import Edition
from broadcast.fountain import FountainEncoder
from broadcast.modulator import external_data
from broadcast.packets import LENGTH_SIZE, Packet
from saifu.example_purses import ISSUER, LISTED, NOW, center_key, edition, stream

__all__ = ["KEY", "REGIONS", "SYMBOL_SIZE", "later_edition", "sealed"]

KEY = CipherKey(1, bytes(range(32)))
"""The cipher key of the example's terminal group."""
SYMBOL_SIZE = 120
_LINE = 40
_ORDERS, _DAY = 2, 86400
_FOUND, _STOLEN = 77, (80, 70_001)
_HEAD_SIZE, _COUNTS = 108, 4
_PROTECTED = bytes.fromhex("A10103")


def _hex(raw: bytes) -> str:
    """Bytes in lines of at most 40, set in."""
    text = raw.hex().upper()
    return "\n".join("    " + text[i : i + 2 * _LINE] for i in range(0, len(text), 2 * _LINE)) or "    (nothing)"


def _block(lines: Iterator[str]) -> str:
    return "```text\n" + "\n".join(lines) + "\n```"


@cache
def later_edition() -> Edition:
    """Edition 8 of the examples: one card was found again, two more were stolen."""
    head = Head(_ORDERS, ISSUER, 8, NOW + _DAY, NOW + 2 * _DAY, 0, b"")
    return Edition.make(center_key(_ORDERS), head, (set(LISTED) - {_FOUND}) | {*_STOLEN})


def _draws(seed: str) -> tuple[bytes, bytes]:
    """ID encryption key (48) and IV of one message."""
    return stream(f"content key of {seed}", 1, 32), stream(f"IV of {seed}", 1, 12)


def _authenticated() -> bytes:
    """The Enc_structure of RFC 9052 clause 5.3, in CBOR."""
    external = external_data(KEY.number)
    return b"\x83\x67Encrypt\x43" + _PROTECTED + bytes([0x40 + len(external)]) + external


def _parts(content: bytes, seed: str) -> list[tuple[str, bytes]]:
    """A sealed message in pieces, each with its name."""
    content_key, iv = _draws(seed)
    ciphertext = AESGCM(content_key).encrypt(iv, content, _authenticated())
    return [
        ("tag 96, array of 4; protected: A256GCM; unprotected: IV of 12 bytes", bytes.fromhex("D8608443A10103A1054C")),
        ("the IV", iv),
        (f"byte string of {len(ciphertext)}: ciphertext, and its tag of 16", b"\x58" + bytes([len(ciphertext)])),
        ("", ciphertext),
        ("one recipient: nothing protected; A256KW, kid of 2 bytes", bytes.fromhex("818340A201240442")),
        ("the number of the cipher key", KEY.number.to_bytes(2)),
        ("byte string of 40: the content key, wrapped", b"\x58\x28" + aes_key_wrap(KEY.key, content_key)),
    ]


def sealed(content: bytes, seed: str) -> bytes:
    """A content of 8 to 239 bytes, sealed with what is drawn from a seed."""
    return b"".join(part for _, part in _parts(content, seed))


def _full_list() -> str:
    """The content of the example's edition."""
    content, start = edition().content(), 1 + _HEAD_SIZE

    def lines() -> Iterator[str]:
        """Part by part."""
        yield f"edition 7, listed serials {', '.join(map(str, LISTED))}"
        yield f"kind: full list\n{_hex(content[:1])}\nsigned head\n{_hex(content[1:start])}"
        yield f"last serial, {edition().last}\n{_hex(content[start : start + 4])}"
        yield f"coded set of {len(LISTED)} out of {edition().last + 1}\n{_hex(content[start + 4 :])}"

    return _block(lines())


def _delta() -> str:
    """The step from the example's edition to the next."""
    content, start = later_edition().delta_from(edition()), 1 + _HEAD_SIZE
    numbers = [content[start + 4 * i : start + 4 * i + 4] for i in range(_COUNTS)]
    on = start + 4 * _COUNTS + int.from_bytes(numbers[3])

    def lines() -> Iterator[str]:
        """Part by part."""
        yield f"edition 8: {_FOUND} is off, {' and '.join(map(str, _STOLEN))} are on"
        yield f"kind: delta\n{_hex(content[:1])}\nsigned head of edition 8\n{_hex(content[1:start])}"
        names = ("base", "last serial", "serials taken off", "bytes of the next part")
        for name, number in zip(names, numbers, strict=True):
            yield f"{name}, {int.from_bytes(number)}\n{_hex(number)}"
        yield f"off: place 1 of the 7 in the old list\n{_hex(content[start + 4 * _COUNTS : on])}"
        places = [serial - sum(old < serial for old in LISTED) for serial in _STOLEN]
        yield f"on: numbers {places[0]} and {places[1]} of those not in the old list\n{_hex(content[on:])}"

    return _block(lines())


def _sealing() -> str:
    """The example's edition as COSE_Encrypt."""
    content_key, _ = _draws("edition 7")

    def lines() -> Iterator[str]:
        """Keys, external data, message."""
        yield f"cipher key {KEY.number}\n{_hex(KEY.key)}\npacket key\n{_hex(KEY.packet_key)}"
        yield f"content key (ID key 48), random\n{_hex(content_key)}"
        yield f"Enc_structure: what the ciphertext's tag covers besides\n{_hex(_authenticated())}"
        yield "the sealed message"
        for name, part in _parts(edition().content(), "edition 7"):
            yield f"  {name}\n{_hex(part)}" if name else _hex(part)

    return _block(lines())


def _packets(number: int, span: int, message: bytes, count: int) -> list[bytes]:
    encoder = FountainEncoder(message, SYMBOL_SIZE)
    packets = (Packet(number, span, encoder.K, esi, encoder.symbol(esi)) for esi in range(count))
    return [packet.encode(KEY.packet_key) for packet in packets]


def _on_the_air() -> str:
    """Packets of both objects, and what bearers make of the first."""
    full = sealed(edition().content(), "edition 7")
    step = sealed(later_edition().delta_from(edition()), "edition 8")
    first = _packets(7, 0, full, 3)

    def lines() -> Iterator[str]:
        """Packets, a sound frame, a page, a bundle."""
        cut = FountainEncoder(full, SYMBOL_SIZE).K
        yield f"full list, {len(full)} bytes sealed: with {LENGTH_SIZE} bytes of length {cut} symbols of {SYMBOL_SIZE}"
        yield from (f"packet {esi}\n{_hex(raw)}" for esi, raw in enumerate(first))
        yield f"delta, {len(step)} bytes sealed"
        yield from (f"packet {esi}\n{_hex(raw)}" for esi, raw in enumerate(_packets(8, 1, step, 2)))
        parity = _hex(frame(first[0])[-PARITY:])
        yield f"packet 0 of the full list as sound: 2DD4, the packet, {PARITY} bytes of parity\n{parity}"
        page = "S>" + base64.b64encode(first[0]).decode().rstrip("=")
        yield f"as a page\n    {page[:90]}\n    {page[90:]}"
        bundle = Bundle.sort(first[:cut])
        yield f"as a bundle on a line: the size of a packet, then packets 0 and 1\n{_hex(bundle[0].raw[:2])}"
        yield f"and the index\n    {Index.of(bundle).encode().decode()}"

    return _block(lines())


REGIONS: dict[str, Callable[[], str]] = {
    "full list example": _full_list,
    "delta example": _delta,
    "sealing example": _sealing,
    "packets example": _on_the_air,
}
"""Regions by name."""
