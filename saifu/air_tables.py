"""Tables about the blacklist in the air: what bearers carry, what receivers keep to, and how long a list takes.

Sizes of lists are those that `make bench` has measured on this machine; without them there is nothing to say.
"""

import json
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any

from broadcast.bearer import Transmitter
from broadcast.bearers import afsk
from broadcast.bearers.bundle import LARGEST_BUNDLE, LARGEST_PACKET
from broadcast.bearers.index import LARGEST_INDEX
from broadcast.bearers.pager import PagerTransmitter
from broadcast.bearers.pocsag import BATCH_SIZE
from broadcast.bearers.sound import SoundTransmitter
from broadcast.bearers.sound_frame import frame_size
from broadcast.packets import LENGTH_SIZE, MAX_OBJECT, MAX_SYMBOLS, Packet
from broadcast.reception import IDLE_SECONDS, MAX_SYMBOL_BYTES, MAX_UNDER_WAY
from saifu.reference_tables import table

__all__ = ["MEASURED", "REGIONS"]

MEASURED = frozenset({"air bench", "air times"})
"""Regions that tell of this machine."""

_BENCH = Path(__file__).resolve().parent.parent / "build" / "bench.json"
_HEADERS = 28
_PAGE_BATCHES = 4
_SOUND, _PAGER = SoundTransmitter.symbol_size, PagerTransmitter.symbol_size
_SOUND_BITS = frame_size(_SOUND) * afsk.BITS_PER_BYTE
_PAGE_BITS = _PAGE_BATCHES * BATCH_SIZE * 8
_UDP_BITS = (Transmitter.symbol_size + Packet.FRAME + _HEADERS) * 8
_BEARERS = [
    ("UDP, 1 Mbit/s", Transmitter.symbol_size, _UDP_BITS, 1_000_000),
    ("UDP, 16 kbit/s", Transmitter.symbol_size, _UDP_BITS, 16_000),
    ("sound", _SOUND, _SOUND_BITS, afsk.BAUD),
    ("pager", _PAGER, _PAGE_BITS, 1200),
]
"""Name, bytes of a symbol, bits on the air for a packet, bits a second."""


def _bench() -> dict[str, Any]:
    """What was measured of the broadcast here; empty if nothing was."""
    if not _BENCH.exists():
        return {}
    figures: dict[str, Any] = json.loads(_BENCH.read_text(encoding="utf-8")).get("broadcast", {})
    return figures


def _bearers() -> str:
    rows = [
        ("UDP", "one datagram", Transmitter.symbol_size, f"{_UDP_BITS // 8} bytes with the headers of IPv4 and UDP"),
        (
            "sound",
            "one frame",
            _SOUND,
            f"{frame_size(_SOUND)} bytes, {_SOUND_BITS} bits, {_SOUND_BITS / afsk.BAUD:.2f} s",
        ),
        ("pager", "one page", _PAGER, f"{_PAGE_BATCHES} batches, {_PAGE_BITS} bits, {_PAGE_BITS / 1200:.2f} s"),
        ("MQTT, HTTP", "a part of a bundle", Transmitter.symbol_size, "as many bytes"),
    ]
    cells = [(name, str(size), str(size + Packet.FRAME), what, air) for name, what, size, air in rows]
    return table(("bearer", "T", "packet, bytes", "is", "on the air"), cells)


def _limits() -> str:
    rows = [
        ("a sealed object", f"{MAX_OBJECT} bytes"),
        ("symbols of an object", f"{MAX_SYMBOLS}"),
        ("objects put together at once", f"{MAX_UNDER_WAY}"),
        ("symbols of all of them", f"{MAX_SYMBOL_BYTES} bytes"),
        ("an object without a useful packet gives way after", f"{IDLE_SECONDS:.0f} s"),
        ("a packet by UDP or in a bundle", f"{LARGEST_PACKET} bytes"),
        ("a bundle", f"{LARGEST_BUNDLE} bytes"),
        ("an index", f"{LARGEST_INDEX} bytes"),
    ]
    return table(("what", "at most"), rows)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _passes(sealed: int) -> list[str]:
    """How long K packets of an object take over each bearer."""
    times = []
    for _, symbol, bits, rate in _BEARERS:
        symbols = ceil((LENGTH_SIZE + sealed) / symbol)
        times.append(_duration(symbols * bits / rate))
    return times


def _times() -> str:
    """How long one object takes by itself, without losses."""
    if not (bench := _bench()):
        return ""
    cards = (f"{one['listed']:,} of {one['universe']:,} cards" for one in bench["full_lists"])
    objects = list(zip(cards, (one["sealed_bytes"] for one in bench["full_lists"]), strict=True))
    deltas = [(f"delta, {one['changes']} off and {one['changes']} on", one["sealed_bytes"]) for one in bench["deltas"]]
    rows = [(name, f"{size:,}", *_passes(size)) for name, size in deltas + objects]
    return table(("object", "bytes, sealed", *(name for name, *_ in _BEARERS)), rows)


def _figures() -> str:
    """The part of the README about the air."""
    if not (bench := _bench()):
        return ""
    names = ("rice", "xz", "zstd", "roaring")
    rows = []
    for one in bench["full_lists"]:
        sizes = [one["sealed_bytes"], *(one["others_bytes"][name] for name in names)]
        ratios = (f"{size / one['limit_bytes']:.4f}" for size in sizes)
        rows.append((f"{one['listed']:,} of {one['universe']:,}", f"{one['limit_bytes']:,}", *ratios))
    head = ("listed", "limit, bytes", "saifu", "Golomb-Rice", "xz -9e", "zstd -19", "Roaring")
    return f"{table(head, rows)}\n\n{_sentences(bench)}"


def _sentences(bench: dict[str, Any]) -> str:
    air, sound, pager = bench["air"], bench["sound"], bench["pager"]
    large = next(one for one in bench["terminal"] if (one["universe"], one["listed"]) == (10**7, 10**6))
    said = [
        f"With {air['loss']:.0%} of the packets lost, a full list takes {air['mean']:.3f} times limit/(1-p) bytes of",
        f"  air in the mean, {air['p95']:.3f} in 95 of 100 cases; a carousel without a fountain",
        f"  {air['plain_over_fountain']:.1f} times as much as that.",
        f"A terminal with {large['listed']:,} listed of {large['universe']:,} cards starts in",
        f"  {large['start_ms']:.0f} ms of processor time, puts a step of 500 off and 500 on in force in",
        f"  {large['delta_ms']:.0f} ms, and",
        f"  keeps {large['resident_mib']:.0f} MiB, {large['delta_mib']:.0f} after steps.",
    ]
    if "mean" in sound and "exact" in pager:
        said += [
            f"By sound as loud as the noise, 2 kB take {sound['mean']:.2f} times as many bytes in the mean; at",
            f"  {pager['snr_db']:.0f} dB, of {pager['pages']} pages {min(pager['exact'])} come exactly.",
        ]
    return "\n".join(line if line.startswith(" ") else f"- {line}" for line in said)


REGIONS: dict[str, Callable[[], str]] = {
    "bearers": _bearers,
    "air limits": _limits,
    "air times": _times,
    "air bench": _figures,
}
"""Regions by name."""
