"""``saifu conform``: hold a card to the protocol."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from apdu.errors import InputError, MisbehaviourError
from apdu.protocol import Protocol
from host.channel_keys import read_channel_keys
from host.console import JsonOption, emit, open_slot
from host.files import require_replaceable, write_whole
from host.model import HISTORY_RANGE, UNSETTLED_RANGE, ModelSlot, create_card, memory_card
from host.scp03 import StaticKeys
from saifu.conformance.case import Case
from saifu.conformance.issuer import CHIP, STATIC, Issuer
from saifu.conformance.report import Report, deviation_lines
from saifu.conformance.running import Outcome, Result, Running
from saifu.conformance.stand import Stand
from saifu.conformance.subject import Subject
from saifu.conformance.suite import suite

__all__ = ["app"]

app = typer.Typer(
    help="Hold a card to the protocol, with the model as the oracle. The card becomes a test card for ever.",
    invoke_without_command=True,
)

_MODEL = "model"
_ISSUER = 0xFFFF
"""Number of the issuer of all test cards."""


@app.callback()
def conform(
    context: typer.Context,
    reader: Annotated[
        str, typer.Option("--reader", "-r", help="model, model:FILE, or a PC/SC reader by name, part of it, or number.")
    ] = "",
    keys: Annotated[
        Path | None, typer.Option("--keys", help="File with the card's SCP03 keys; without it the test keys are taken.")
    ] = None,
    clause: Annotated[
        list[str] | None,
        typer.Option("--clause", help="Only clauses that begin so, as PAY or 'PAY 11'; again for more."),
    ] = None,
    protocol: Annotated[
        Protocol, typer.Option("--protocol", help="Of the cards of --reader model; others say it themselves.")
    ] = Protocol.T1,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write the report as JUnit XML.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report as a page.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the suite against the card in a reader: a blank card, or one that the suite has had before."""
    if context.invoked_subcommand is not None:
        return
    if not reader:
        raise InputError("--reader is missing: model, model:FILE, or a PC/SC reader")
    for place, mark in ((junit, b"<testsuites"), (html, b"<title>saifu conform")):
        if place is not None:
            require_replaceable(place, mark, "a report of an earlier run")
    cases = _chosen(clause or [])
    subject = _subject_maker(reader, protocol, read_channel_keys(keys) if keys else STATIC)
    report = _run(reader, subject, cases, as_json)
    _write(report, junit, html)
    emit(as_json, report.document(), [])
    if not as_json:
        _show(report)
    if report.failed:
        raise MisbehaviourError(f"{len(report.failed)} of {len(report.results)} promises of the protocol are not kept")


def _chosen(clauses: list[str]) -> list[Case]:
    """The cases of some clauses: a command's name stands for all of its own."""
    cases = suite()
    for clause in clauses:
        if not any(_is_of(case, clause) for case in cases):
            raise InputError(f"--clause {clause}: there is no such clause; see saifu conform list")
    return [case for case in cases if not clauses or any(_is_of(case, clause) for clause in clauses)]


def _is_of(case: Case, clause: str) -> bool:
    return case.clause == clause or case.clause.startswith(f"{clause} ") or case.command == clause


def _subject_maker(reader: str, protocol: Protocol, keys: StaticKeys) -> Callable[[], Subject]:
    issuer = Issuer(_ISSUER)
    if reader == _MODEL:
        return lambda: Subject(ModelSlot(_MODEL, memory_card(CHIP, protocol=protocol)), issuer, keys)
    slot = open_slot(reader)
    return lambda: Subject(slot, issuer, keys)


def _run(reader: str, make: Callable[[], Subject], cases: list[Case], quiet: bool) -> Report:
    subject = make()
    begin = time.perf_counter()
    running = Running(Stand(subject, make if reader == _MODEL else lambda: None), cases, _watch(quiet))
    try:
        with subject.slot.transaction():
            results = running.run()
    finally:
        subject.slot.close()
    capacities = subject.twin.cells.capacities
    card = f"{subject.twin.protocol.value}, {capacities.history} records, {capacities.unsettled} unsettled transfers"
    spent = time.perf_counter() - begin
    return Report(reader, card, tuple(results), running.exchanges, spent, frozenset(running.covered))


def _watch(quiet: bool) -> Callable[[Result], object]:
    """Failures as they come."""

    def watch(result: Result) -> None:
        if result.outcome is Outcome.FAILED and not quiet:
            for line in (f"FAILED  {result.case.name}", f"  {result.why}", *deviation_lines(result.deviation)):
                typer.echo(line)

    return watch


def _write(report: Report, junit: Path | None, html: Path | None) -> None:
    if junit is not None:
        write_whole(junit, report.junit())
    if html is not None:
        write_whole(html, report.html())


def _show(report: Report) -> None:
    table = Table("command", *(outcome.value for outcome in Outcome), title=f"{report.reader}: {report.card}")
    for name, counts in report.rows():
        table.add_row(name, *(str(count or "") for count in counts.values()))
    Console().print(table)
    sums = ", ".join(f"{count} {name}" for name, count in report.counts().items())
    typer.echo(f"{sums}; {report.exchanges} exchanges in {report.seconds:.1f} s")


@app.command("list")
def list_cases(as_json: JsonOption = False) -> None:
    """List the promises that the suite looks at, with their clauses of the protocol."""
    cases = suite()
    document = [{"clause": c.clause, "state": c.state.text, "command": c.command, "title": c.title} for c in cases]
    emit(as_json, {"cases": document}, [case.name for case in cases])


@app.command()
def blank(
    image: Annotated[Path, typer.Argument(help="File to make.")],
    history: Annotated[
        int, typer.Option(help="Records of the history.", min=HISTORY_RANGE[0], max=HISTORY_RANGE[-1])
    ] = 64,
    unsettled: Annotated[
        int, typer.Option(help="Places for unsettled transfers.", min=UNSETTLED_RANGE[0], max=UNSETTLED_RANGE[-1])
    ] = 4,
    as_json: JsonOption = False,
) -> None:
    """Make the image of a blank card with the test keys, to put into a virtual reader."""
    create_card(image, CHIP, history, unsettled)
    emit(
        as_json,
        {"image": str(image)},
        [f"{image}: a blank card with the test keys; see: saifu conform --reader model:{image}"],
    )
