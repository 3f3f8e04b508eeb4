"""The conformance part of ``make bench``: the whole suite in process, over vpcd, and over libccid at T=1 and at T=0.

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

from tests.bench_criterion import Criterion, show_criteria

__all__ = ["conformance", "show_conformance"]

ROOT = Path(__file__).resolve().parent.parent
SAIFU = (sys.executable, "-m", "saifu")
LIMIT_IN_PROCESS, LIMIT_CCID = 60, 120
CONNECTIONS: dict[str, tuple[str, ...] | None] = {
    "in process": None,
    "vpcd": (),
    "libccid, T=1": ("--driver", "ccid", "--protocol", "T=1"),
    "libccid, T=0": ("--driver", "ccid", "--protocol", "T=0"),
}


def saifu(folder: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    """One command with --json; what it printed."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run([*SAIFU, *arguments, "--json"], cwd=folder, env=env, stdout=subprocess.PIPE, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


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


def run(options: tuple[str, ...] | None) -> dict[str, Any]:
    """One run of the suite, over a connection of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options is None:
            return figures_of(saifu(folder, "conform", "--reader", "model"))
        with virtual_reader(folder, options) as (socket, reader):
            return figures_of(saifu(folder, "conform", "--reader", reader, PCSCLITE_CSOCK_NAME=socket))


def figures_of(report: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a report."""
    wanted = ("card", "counts", "coverage", "exchanges", "seconds")
    return {name: report[name] for name in wanted}


def conformance() -> dict[str, Any]:
    """Measure everything; a connection that this machine lacks is left out, with a note."""
    figures, criteria = dict[str, Any](), list[dict[str, Any]]()
    for name, options in CONNECTIONS.items():
        try:
            figures[name] = run(options)
        except (subprocess.CalledProcessError, KeyError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
        if name != "vpcd":
            criteria.append(_criterion(name, figures.get(name)).record())
    return {"runs": figures, "criteria": criteria}


def _criterion(name: str, found: dict[str, Any] | None) -> Criterion:
    limit = LIMIT_IN_PROCESS if name == "in process" else LIMIT_CCID
    seconds = None if found is None else found["seconds"]
    return Criterion(3, f"the whole suite, {name}, s", seconds, limit, note="there is no such driver here")


def show_conformance(figures: dict[str, Any]) -> None:
    """Print the tables."""
    table = Table("connection", "passed", "failed", "skipped", "exchanges", "seconds", title="The conformance suite")
    for name, run in figures["runs"].items():
        table.add_row(name, *map(str, run["counts"].values()), str(run["exchanges"]), f"{run['seconds']:.2f}")
    Console().print(table)
    show_criteria(figures["criteria"])


if __name__ == "__main__":
    show_conformance(conformance())
