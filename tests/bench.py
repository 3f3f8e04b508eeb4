"""``make bench``: every figure of the documents, measured in one run, written to build/bench.json.

Times are processor times, over a bound taken in turn in the same run (tests/bench_time.py); sizes are exact. What a
reader adds to a round trip is waiting, and so its two figures alone are wall time, each over the other's in turn.
Nothing here is a test.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from apdu.commands import BY_INS, Ins
from apdu.errors import PcscUnavailableError
from apdu.identity import Role
from apdu.money import currency
from apdu.signature import sign, verify
from apdu.trace.card_time import CARDS, WRITE, modelled, writes
from apdu.trace.line_time import LINES
from host.connection import CardConnection
from host.model import CardFile, ModelSlot, SmartCard, create_card
from host.pcsc import PcscSlot
from host.session import PurseSession
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.pos import PointOfSale
from host.terminal.sales import SalesStore
from host.terminal.steps import Step
from host.terminal.transfer import transfer
from host.terminal.trust import Trust
from host.virtual.cards import CARD_PROGRAM, CardProcess
from host.virtual.reader import VirtualReader
from tests.bench_broadcast import broadcast, show_broadcast
from tests.bench_conformance import conformance, show_conformance
from tests.bench_sales import sales, show_sales
from tests.bench_time import least, processor_seconds
from tests.bench_trace import show_trace, trace
from tests.host.virtual.echo_card import ATR_T1, PROGRAM
from tests.issuer import CHIP, NOW, Issuer

P = ParamSpec("P")
R = TypeVar("R")
OUT = Path("build/bench.json")
GET_DATA = bytes.fromhex("00CA010000")
"""GET DATA 0100: card ID, state, balance."""


class CountingSlot(ModelSlot):
    """A slot that keeps what went through it."""

    def __init__(self, name: str, card: SmartCard) -> None:
        super().__init__(name, card)
        self.exchanges: list[tuple[bytes, bytes]] = []

    def transmit(self, command: bytes) -> bytes:
        answer = super().transmit(command)
        self.exchanges.append((command, answer))
        return answer


class Silent:
    """A display and an input that nobody looks at."""

    def step(self, step: Step, detail: str = "") -> None:
        del step, detail

    def show(self, text: str) -> None:
        del text

    def pin(self, reason: str) -> bytes:
        raise AssertionError(reason)


def card_of(slot: ModelSlot) -> SmartCard:
    """The card that the test issuer has put into a slot."""
    card = slot._card  # the bench puts the same card into a slot that counts
    assert card is not None
    return card


def payment() -> dict[str, Any]:
    """A POS sale: what goes to the payer's card and back, and the modelled time of both cards' commands.

    The payer's part is done with PAY: SELECT, and REQUEST at the till's card, come before it. The whole is all six
    commands, SELECT of both cards and the four of the transfer.
    """
    issuer = Issuer()
    source = issuer.purse(1, initial=100_000)
    customer = CountingSlot("customer", card_of(issuer.purse(2)))
    till = CountingSlot("till", card_of(issuer.purse(3, Role.MERCHANT)))
    purses = [PurseSession(slot.connect()) for slot in (source, customer)]
    transfer(purses[0], purses[1], 5_000, NOW, lambda _: b"")
    customer.exchanges.clear()
    with tempfile.TemporaryDirectory() as folder:
        store = BlacklistStore.import_trust(Path(folder), Trust(1, currency("EUR"), issuer.keys).encode())
        pos = PointOfSale(store, Silent(), Silent(), lambda: NOW)
        stores = SalesStore(Path(folder) / "sales.sqlite")
        pos.sell(customer, till, 250, stores)
        stores.close()
    sizes = [(len(command), len(answer)) for command, answer in customer.exchanges]
    of_a_transfer = (Ins.SELECT, Ins.REQUEST, Ins.PAY, Ins.RECEIVE, Ins.SETTLE)
    whole = [each for each in customer.exchanges + till.exchanges if each[0][1] in of_a_transfer]
    until_paid = [each for each in whole if each[0][1] in (Ins.REQUEST, Ins.PAY)] + customer.exchanges[:1]
    parts = {"paid": until_paid, "whole": whole}
    told = {
        name: {line: {part: milliseconds(each, name, line) for part, each in parts.items()} for line in LINES}
        for name in CARDS
    }
    counted = {BY_INS[command[1]].name: writes(command, answer) for command, answer in whole}
    return {
        "payer_apdus": len(sizes), "payer_bytes": sum(map(sum, sizes)), "sizes": sizes, "modelled_ms": told,
        "write_ms": WRITE, "writes": counted,
    }  # fmt: skip


def milliseconds(exchanges: list[tuple[bytes, bytes]], card: str, line: str) -> float:
    """The modelled time of exchanges, on a card and over a line."""
    return round(sum(modelled(*each, card, LINES[line]) for each in exchanges) * 1000, 1)


class Stopwatch:
    """Sums the processor time that a function takes, called from inside something else."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def of(self, function: Callable[P, R]) -> Callable[P, R]:
        """The same function, timed."""

        def timed(*arguments: P.args, **named: P.kwargs) -> R:
            begin = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds += time.process_time() - begin

        return timed


def transfers(rounds: int = 180) -> dict[str, Any]:
    """A whole transfer in process, SELECT to SETTLE, over the ECDSA operations inside it."""
    issuer = Issuer()
    payer, payee = issuer.purse(1, initial=100_000, history=200), issuer.purse(2, history=200)
    watch, times, bounds = Stopwatch(), list[float](), list[float]()

    def one_transfer() -> None:
        transfer(PurseSession(payer), PurseSession(payee), 1, NOW, lambda _: b"")

    with patch("applet_model.key_pair.sign", watch.of(sign)), patch("apdu.messages.verify", watch.of(verify)):
        for _ in range(rounds):
            watch.seconds = 0.0
            times.append(processor_seconds(one_transfer))
            bounds.append(watch.seconds)
    return {"ratio_to_ecdsa": round(least(times) / least(bounds), 2), "us": round(least(times) * 1e6)}


def round_trips(connections: dict[str, tuple[CardConnection, bytes]], rounds: int) -> dict[str, float]:
    """Median seconds of a round trip for each connection, taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in connections}
    for _ in range(rounds):
        for name, (connection, command) in connections.items():
            begin = time.perf_counter()
            connection.transmit(command)
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(found) for name, found in times.items()}


def virtual_reader() -> dict[str, Any]:
    """GET DATA over a private pcscd and vpcd, beside an echo card, and beside itself without quick ACK."""
    with one_core(), tempfile.TemporaryDirectory() as name, VirtualReader() as reader:
        folder = Path(name)
        image, echo = folder / "purse.card", folder / "echo"
        create_card(image, CHIP, 64, 4)
        personalize(image)
        echo.write_text(ATR_T1.hex())
        quick = measure(reader, [(image, CARD_PROGRAM), (echo, PROGRAM)], 2000)
        slow = measure(reader, [(image, (*CARD_PROGRAM, "--no-quick-ack")), (echo, PROGRAM)], 40)
    return {
        "ratio_to_echo": round(quick[0] / quick[1], 2),
        "gain_over_no_quickack": round(slow[0] / quick[0]),
        "get_data_us": round(quick[0] * 1e6),
        "echo_us": round(quick[1] * 1e6),
    }


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, the daemon and both cards on one core.

    Or the scheduler puts one card beside its client and the other one not, and it is that which is measured.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def personalize(image: Path) -> None:
    """Make the blank image a purse."""
    issuer = Issuer()
    card = CardFile(image)
    issuer.personalize(card, issuer.parameters(1))
    card.close()


def measure(reader: VirtualReader, cards: list[tuple[Path, tuple[str, ...]]], rounds: int) -> list[float]:
    """Put a card into each slot, and take the round trips in turn."""
    processes = [
        CardProcess(image, port, program) for (image, program), port in zip(cards, reader.pcscd.ports, strict=True)
    ]
    try:
        for process in processes:
            process.wait_until_inserted()
        slots = [PcscSlot(name) for name in reader.pcscd.readers]
        connections = []
        for slot in slots:
            slot.wait_for_card(seconds=5)
            connections.append(slot.connect())
        PurseSession(connections[0])
        found = round_trips({str(i): (connection, GET_DATA) for i, connection in enumerate(connections)}, rounds)
        for slot in slots:
            slot.close()
        return list(found.values())
    finally:
        for number, process in enumerate(processes, 1):
            process.take_out()
            reader.pcscd.wait_until_empty(number)


def show(figures: dict[str, Any]) -> None:
    """Print the figures beside what they must reach."""
    table = Table("figure", "measured", "must be")
    made, model = figures["payment"], figures["payment"]["modelled_ms"]
    rows = [
        ("APDUs to the payer's card", made["payer_apdus"], "<= 3"),
        ("bytes, both directions", made["payer_bytes"], "<= 560"),
        ("modelled ms to the end of PAY, J3R180", model["J3R180"]["T=1 115.2"]["paid"], "<= 170"),
        ("  contactless at 424 kbit/s", model["J3R180"]["14443 424"]["paid"], "<= 130"),
        *(
            (f"  {card}, {line}: to the end of PAY; whole", f"{each['paid']}; {each['whole']}", "")
            for card, lines in model.items()
            for line, each in lines.items()
        ),
        ("transfer over its ECDSA operations", figures["transfer"]["ratio_to_ecdsa"], "<= 2"),
    ]
    if "vpcd" in figures:
        rows += [
            ("GET DATA over an echo, vpcd", figures["vpcd"]["ratio_to_echo"], "<= 1.5"),
            ("gain over no quick ACK", figures["vpcd"]["gain_over_no_quickack"], ">= 200"),
        ]
    for row in rows:
        table.add_row(*map(str, row))
    Console().print(table)


def main() -> None:
    """Measure everything, show it, write it."""
    figures: dict[str, Any] = {"payment": payment(), "transfer": transfers()}
    try:
        figures["vpcd"] = virtual_reader()
    except PcscUnavailableError as error:
        print(f"vpcd is left out: {error}", file=sys.stderr)
    figures["sales"] = sales()
    figures["broadcast"] = broadcast()
    figures["trace"] = trace()
    figures["conformance"] = conformance()
    show(figures)
    show_sales(figures["sales"])
    show_broadcast(figures["broadcast"])
    show_trace(figures["trace"])
    show_conformance(figures["conformance"])
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
