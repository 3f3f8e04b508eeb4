"""The conformance part of ``make bench``: the whole suite in process, over vpcd, and over libccid at T=1 and at T=0.

What is held against a limit is the processor time of the whole program for one exchange with the card, over a
signature and a verification, taken in turn with it: the twin beside the card works each command out as well.

``python -m tests.bench_conformance`` measures this part alone and writes nothing.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from apdu.signature import point_of, private_key, sign, verify
from tests.bench_criterion import Criterion, show_criteria
from tests.bench_time import child_seconds, in_turn, processor_seconds

__all__ = ["conformance", "show_conformance"]

ROOT = Path(__file__).resolve().parent.parent
SAIFU = (sys.executable, "-m", "saifu")
ROUNDS, PAIRS = 3, 500
LIMITS = {"in process": 2.2, "vpcd": 3.2, "libccid, T=1": 3.6, "libccid, T=0": 2.9}
CONNECTIONS: dict[str, tuple[str, ...] | None] = {
    "in process": None,
    "vpcd": (),
    "libccid, T=1": ("--driver", "ccid", "--protocol", "T=1"),
    "libccid, T=0": ("--driver", "ccid", "--protocol", "T=0"),
}


def saifu(folder: Path, *arguments: str, **environment: str) -> tuple[float, dict[str, Any]]:
    """One command with --json; its processor time, and what it printed."""
    seconds, printed = child_seconds([*SAIFU, *arguments, "--json"], folder, {"PYTHONPATH": str(ROOT), **environment})
    return seconds, json.loads(printed)


@contextmanager
def virtual_reader(folder: Path, options: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """A virtual reader with a blank card in it: its socket, and the name of its first slot."""
    saifu(folder, "conform", "blank", "test.card")
    command = [*SAIFU, "reader", "run", "--json", *options, "test.card"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline() or b"{}")
            yield said["socket"], said["slots"][0]["reader"]
        finally:
            process.terminate()


def one_run(options: tuple[str, ...] | None) -> tuple[float, dict[str, Any]]:
    """The suite over a connection of its own, with a card that is blank at first."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options is None:
            return saifu(folder, "conform", "--reader", "model")
        with virtual_reader(folder, options) as (socket, reader):
            return saifu(folder, "conform", "--reader", reader, PCSCLITE_CSOCK_NAME=socket)


def run(options: tuple[str, ...] | None) -> dict[str, Any]:
    """What is kept of the last report; processor time of an exchange over a signature and a verification."""
    reports, key = list[dict[str, Any]](), private_key(bytes(31) + b"\x07")
    point = point_of(key)

    def of_an_exchange() -> float:
        seconds, report = one_run(options)
        reports.append(report)
        return seconds / int(report["exchanges"])

    def pairs() -> None:
        for number in range(PAIRS):
            message = number.to_bytes(4)
            verify(point, message, sign(key, message))

    exchange, pair = in_turn(ROUNDS, of_an_exchange, lambda: processor_seconds(pairs) / PAIRS)
    kept = {name: reports[-1][name] for name in ("card", "counts", "coverage", "exchanges", "seconds")}
    return kept | {"exchange_us": round(exchange * 1e6), "over_ecdsa": round(exchange / pair, 2)}


def conformance() -> dict[str, Any]:
    """Measure everything; a connection that this machine lacks is left out, with a note."""
    figures, criteria = dict[str, Any](), list[dict[str, Any]]()
    for name, options in CONNECTIONS.items():
        try:
            figures[name] = run(options)
        except (subprocess.CalledProcessError, KeyError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
        criteria.append(_criterion(name, figures.get(name)).record())
    return {"runs": figures, "criteria": criteria}


def _criterion(name: str, found: dict[str, Any] | None) -> Criterion:
    over = None if found is None else found["over_ecdsa"]
    what = f"the whole suite, {name}: processor time of an exchange over its bound"
    return Criterion(3, what, over, LIMITS[name], note="there is no such driver here")


def show_conformance(figures: dict[str, Any]) -> None:
    """Print the tables."""
    table = Table(
        "connection",
        "passed",
        "failed",
        "skipped",
        "platform",
        "exchanges",
        "s",
        "us an exchange",
        title="The conformance suite",
    )
    for name, run in figures["runs"].items():
        told = [*run["counts"].values(), run["exchanges"], f"{run['seconds']:.2f}", run["exchange_us"]]
        table.add_row(name, *map(str, told))
    Console().print(table)
    show_criteria(figures["criteria"])


if __name__ == "__main__":
    show_conformance(conformance())
