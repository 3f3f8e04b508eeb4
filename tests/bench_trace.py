"""Traces: how fast they are told in lines, beside tshark over the same file, in how much memory; and the fuzzing.

``python -m tests.bench_trace FILE`` decodes one capture and prints its figures; without FILE, it measures this part
of ``make bench`` alone and writes nothing.
"""

import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console
from rich.table import Table

from apdu.identity import CardId, Role
from apdu.status import StatusError
from apdu.trace.detection import form_named, read
from apdu.trace.inspector import inspect
from apdu.trace.model import Exchange, Item
from apdu.trace.reading import summary
from host.model import ModelSlot, SmartCard, memory_card
from host.recording import RecordingSlot, TraceFile
from host.session import PurseSession
from host.trace_files import open_trace
from tests.bench_criterion import Criterion, show_criteria
from tests.bench_time import child_seconds, in_turn
from tests.fuzz.report import MOST_MEBIBYTES, peak_mebibytes
from tests.fuzz.runner import ENGINES, OUT, kept, sources
from tests.fuzz.targets import MOST_SECONDS, TARGETS
from tests.issuer import CHIP, NOW, PIN, Issuer

__all__ = ["business", "decode", "decoding", "fuzzing", "show_trace", "trace", "varied", "write_capture"]

ROOT = Path(__file__).resolve().parent.parent
SIZES = (10**4, 10**6)
ROUNDS = 3
PAYMENTS = 300
RATIO, COMMAND_RATIO, GROWTH, EXECUTIONS = 0.3, 0.095, 1.1, 10**6
"""Of tshark's rate, in processor time: what decodes and tells, and the command that a person types."""
_PIECE = 1 << 16
_AMOUNTS = (120, 999, 4_500, 9_000)
_STEP = 1 / 16
"""Seconds from one line of the recording to the next."""


# --- the capture -------------------------------------------------------------------------------------------


class _Shop:
    """Cards of all roles in two readers that are recorded; money goes from one to the other."""

    def __init__(self, recording: TraceFile, persons: int = 8) -> None:
        self.issuer, self.chance, self.credits = Issuer(), Random(4), count(2)
        self.nonces = list[bytes]()
        roles = [Role.FLOAT, Role.MERCHANT, *[Role.PERSON] * persons]
        self.serials = [self.chance.getrandbits(32) for _ in roles]
        self.cards = [self._card(serial, role) for serial, role in zip(self.serials, roles, strict=True)]
        self._readers = [ModelSlot(f"reader {number}") for number in (0, 1)]
        clock = (NOW + tick * _STEP for tick in count())
        timer = count(0, 0.004)
        self._slots = [
            RecordingSlot(reader, recording, clock=partial(next, clock), timer=partial(next, timer))
            for reader in self._readers
        ]

    def _card(self, serial: int, role: Role) -> SmartCard:
        card = memory_card(CHIP)
        initial = 10**7 if role is Role.FLOAT else 0
        self.issuer.personalize(card, self.issuer.parameters(serial, role, initial))
        return card

    def _session(self, place: int, card: int) -> PurseSession:
        self._readers[place].insert(self.cards[card])
        return PurseSession(self._slots[place].connect())

    def pay(self, payer: int, payee: int, amount: int) -> None:
        """A payment, sometimes refused, sometimes with a look into the card or new credit before it."""
        paying, paid = self._session(0, payer), self._session(1, payee)
        if self.chance.random() < 0.2:
            paying.get_counters()
            paying.get_credit()
            paying.history(2)
        if self.chance.random() < 0.1:
            paying.put_credit(self.issuer.credit(self.serials[payer], next(self.credits)))
        with suppress(StatusError):
            requested = paid.request(amount, paying.card, NOW)
            self.nonces.append(requested.request.nonce)
            if amount > 5000:
                paying.verify(PIN)
            paying.settle(paid.receive(paying.pay(requested, NOW), NOW))


def business(payments: int = PAYMENTS) -> tuple[list[Item], list[bytes]]:
    """What a recording has of so many payments between real cards of the model; their card IDs and nonces."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace"
        with TraceFile(file, "bench") as recording:
            shop = _Shop(recording)
            for card in range(1, len(shop.cards)):
                shop.pay(0, card, 20_000)
            for _ in range(payments - len(shop.cards) + 1):
                payer, payee = shop.chance.sample(range(1, len(shop.cards)), 2)
                shop.pay(payer, payee, shop.chance.choice(_AMOUNTS))
        with open_trace(file) as (_, items):
            return list(items), [*(shop.issuer.id(serial) for serial in shop.serials), *shop.nonces]


def _other(mark: bytes, number: int) -> bytes:
    """Another card of the same issuer, or another nonce; one for each number."""
    if len(mark) == CardId.SIZE:
        card = CardId(mark)
        return CardId.of(card.issuer, (card.serial + number * 7919) & 0xFFFFFFFF)
    return ((int.from_bytes(mark) + number) % (1 << 64)).to_bytes(len(mark))


def varied(items: list[Item], marks: list[bytes]) -> Iterator[Item]:
    """The business again and again, each time later, with other cards and other nonces; signatures do not change."""
    known = re.compile(b"(" + b"|".join(map(re.escape, marks)) + b")")
    apart = [
        [known.split(raw or b"") for raw in (item.command, item.response)] if isinstance(item, Exchange) else []
        for item in items
    ]
    length = (items[-1].time or 0.0) + 1 - NOW
    for number in count():
        others = {mark: _other(mark, number) for mark in marks}
        for item, parts in zip(items, apart, strict=True):
            later = replace(item, time=None if item.time is None else item.time + number * length)
            if isinstance(later, Exchange):
                command, response = (b"".join([others.get(piece, piece) for piece in pieces]) for pieces in parts)
                later = replace(later, command=command, response=response)
            yield later


def write_capture(file: Path, items: list[Item], marks: list[bytes], exchanges: int) -> None:
    """So many exchanges, with the resets between them, as GSMTAP in pcapng."""

    def enough() -> Iterator[Item]:
        missing = exchanges
        for item in varied(items, marks):
            if isinstance(item, Exchange):
                if not missing:
                    return
                missing -= 1
            yield item

    write = form_named("gsmtap").write
    assert write is not None
    with file.open("wb") as capture:
        capture.writelines(write(enough()))


# --- decoding ----------------------------------------------------------------------------------------------


def decode(file: Path) -> dict[str, Any]:
    """Tell every item of a capture in one line, to nobody; how many there are, its processor time, peak memory."""
    exchanges, unexpected, begin = 0, 0, time.process_time()
    with file.open("rb") as capture, Path(os.devnull).open("w") as nobody:
        _, items = read(iter(partial(capture.read, _PIECE), b""))
        for reading in inspect(items):
            nobody.write(summary(reading) + "\n")
            exchanges += isinstance(reading.item, Exchange)
            unexpected += bool(reading.unexpected)
    seconds = time.process_time() - begin
    return {"exchanges": exchanges, "unexpected": unexpected, "seconds": seconds, "peak_mib": peak_mebibytes()}


def _beside_tshark(file: Path, rounds: int) -> dict[str, Any]:
    """Three programs over a file, whole processes, taken in turn; processor time of each."""
    figures = list[dict[str, Any]]()

    def decoder() -> float:
        seconds, printed = child_seconds([sys.executable, "-m", "tests.bench_trace", str(file)], ROOT)
        figures.append(json.loads(printed))
        return seconds

    def of(*command: str) -> Callable[[], float]:
        return lambda: child_seconds(command, ROOT)[0]

    programs = [decoder, of(sys.executable, "-m", "saifu", "trace", "show", str(file))]
    if shutil.which("tshark"):
        programs.append(of("tshark", "-r", str(file)))
    decoded, shown, *others = in_turn(rounds, *programs)
    told = {name: figures[0][name] for name in ("exchanges", "unexpected")}
    told |= {"bytes": file.stat().st_size, "peak_mib": max(one["peak_mib"] for one in figures)}
    told |= {"per_second": round(told["exchanges"] / decoded), "show_per_second": round(told["exchanges"] / shown)}
    if not others:
        return told | {"tshark_per_second": None, "ratio": None, "show_ratio": None}
    (tshark,) = others
    told |= {"tshark_per_second": round(told["exchanges"] / tshark)}
    return told | {"ratio": round(tshark / decoded, 3), "show_ratio": round(tshark / shown, 3)}


def decoding(
    sizes: tuple[int, ...] = SIZES, rounds: int = ROUNDS, payments: int = PAYMENTS
) -> tuple[list[dict[str, Any]], list[Criterion]]:
    """Point 1: captures of each size, the limits for the last; memory from the first to the last."""
    items, marks = business(payments)
    figures = list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            capture = Path(folder) / f"{size}.pcapng"
            write_capture(capture, items, marks, size)
            figures.append(_beside_tshark(capture, rounds))
    first, last = figures[0], figures[-1]
    growth = last["peak_mib"] / first["peak_mib"] if first["peak_mib"] else None
    name = f"{last['exchanges']:,} exchanges"
    no_memory, no_tshark = "only Linux tells how much memory a process has resident", "tshark is not installed"
    return figures, [
        Criterion(1, f"{name}: peak memory over that of {first['exchanges']:,}", growth, GROWTH, note=no_memory),
        Criterion(1, f"{name}: rate over that of tshark", last["ratio"], RATIO, True, no_tshark),
        Criterion(1, f"{name}: rate of `trace show` over it", last["show_ratio"], COMMAND_RATIO, True, no_tshark),
    ]


# --- fuzzing -----------------------------------------------------------------------------------------------


def fuzzing(out: Path = OUT) -> tuple[dict[str, Any], list[Criterion]]:
    """Point 2: the figures that ``make fuzz`` has left, where they are of the readers as they are now."""
    every, figures, criteria = kept(out), dict[str, Any](), list[Criterion]()
    names = [target.name for target in TARGETS]
    for engine in ENGINES:
        runs = every.get(engine, {})
        missing = [name for name in names if runs.get(name, {}).get("sources") != sources(name)]
        figures[engine] = {"runs": runs, "missing": missing}
        criteria += _criteria(engine, [] if missing else [runs[name] for name in names], missing)
    return figures, criteria


def _criteria(engine: str, runs: list[dict[str, Any]], missing: list[str]) -> list[Criterion]:
    note = f"{len(missing)} readers are not fuzzed as they are now: make fuzz" if missing else ""

    def over(figure: Callable[[dict[str, Any]], float], pick: Callable[[Iterator[float]], float]) -> float | None:
        return pick(map(figure, runs)) if runs else None

    what = f"{engine}, {len(TARGETS)} readers"
    return [
        Criterion(2, f"{what}: fewest executions", over(lambda one: one["executions"], min), EXECUTIONS, True, note),
        Criterion(2, f"{what}: findings", over(lambda one: bool(one["finding"]), sum), 0, note=note),
        Criterion(2, f"{what}: slowest, ms", over(lambda one: one["slowest_ms"], max), MOST_SECONDS * 1000, note=note),
        Criterion(2, f"{what}: peak memory, MiB", over(lambda one: one["peak_mib"], max), MOST_MEBIBYTES, note=note),
    ]


# --- both --------------------------------------------------------------------------------------------------


def trace() -> dict[str, Any]:
    """Measure everything: figures under the name of their point, and all criteria under ``criteria``."""
    figures, criteria = dict[str, Any](), list[dict[str, Any]]()
    for point in (decoding, fuzzing):
        figures[point.__name__], found = point()
        criteria += [one.record() for one in found]
    return figures | {"criteria": criteria}


def show_trace(figures: dict[str, Any]) -> None:
    """Print the tables."""
    labels = {
        "per_second": "lines a second of processor time",
        "show_per_second": "  by `saifu trace show`",
        "tshark_per_second": "  by tshark",
        "peak_mib": "peak, MiB",
    }
    sizes = [f"{one['exchanges']:,}" for one in figures["decoding"]]
    table = Table("exchanges", *sizes, title="Traces told in lines: GSMTAP in pcapng")
    for name, label in labels.items():
        table.add_row(label, *(str(one[name]) for one in figures["decoding"]))
    Console().print(table)
    table = Table("reader", *ENGINES, title="Executions without a finding, and when")
    for name in (target.name for target in TARGETS):
        table.add_row(name, *(_told(figures["fuzzing"][engine], name) for engine in ENGINES))
    Console().print(table)
    show_criteria(figures["criteria"])


def _told(fuzzed: dict[str, Any], name: str) -> str:
    one = fuzzed["runs"].get(name)
    if one is None:
        return "none"
    changed = "; changed since" if name in fuzzed["missing"] else ""
    return f"[bold red]{one['finding']}" if one["finding"] else f"{one['executions']:,}, {one['date']}{changed}"


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(decode(Path(sys.argv[1]))))
    else:
        show_trace(trace())
