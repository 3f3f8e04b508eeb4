"""``saifu conform``: hold a card to the protocol."""

import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from apdu.errors import InputError, MisbehaviourError, RefusedError
from apdu.identity import TEST_ISSUER
from apdu.protocol import Protocol
from apdu.text import visible
from broadcast import children
from host.channel_keys import read_channel_keys
from host.console import JsonOption, emit, open_slot, say
from host.files import require_folder, require_replaceable, write_whole
from host.model import CHAIN_CAPACITY, CHAIN_RANGE, HISTORY_RANGE, UNSETTLED_RANGE, ModelSlot, create_card, memory_card
from host.numbers import number_from
from host.pcsc import PcscSlot
from host.recording import recorded
from host.scp03 import StaticKeys
from saifu.conformance.case import Case
from saifu.conformance.issuer import CHIP, STATIC, Issuer
from saifu.conformance.report import Report, deviation_lines
from saifu.conformance.running import Outcome, Result, Running
from saifu.conformance.stand import Stand
from saifu.conformance.subject import Subject, UnmetError
from saifu.conformance.suite import suite

__all__ = ["app"]

app = typer.Typer(
    help="Hold a card to the protocol, with the model as the oracle. The card becomes a test card for ever.",
    invoke_without_command=True,
)

_MODEL = "model"
_PATIENCE = 30
"""Seconds until a card that was renewed has to be in its reader."""
_RENEWAL, _QUOTED = 600, 1000
"""Seconds that a command may take to renew a card; characters that are quoted of what it says."""


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
        typer.Option("--clause", help="Only this clause or command, as PAY or 'PAY 11'; again for more."),
    ] = None,
    protocol: Annotated[
        Protocol | None, typer.Option("--protocol", help="Of the cards of --reader model; others say it themselves.")
    ] = None,
    renew: Annotated[
        str,
        typer.Option(
            "--renew",
            help="Command that puts another blank card with these keys into the reader, for what costs the card.",
        ),
    ] = "",
    junit: Annotated[Path | None, typer.Option("--junit", help="Write the report as JUnit XML.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report as a page.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the suite against the card in a reader: a blank card, or one that the suite has had before."""
    if context.invoked_subcommand is not None:
        return
    _require_sense(reader, own_cards=bool(keys or renew), protocol=protocol)
    for place, mark in ((junit, b"<testsuites"), (html, b"<title>saifu conform")):
        if place is not None:
            require_folder(place)
            require_replaceable(place, mark, "a report of an earlier run")
    cases = _chosen(clause or [])
    cards = _cards(reader, protocol or Protocol.T1, read_channel_keys(keys) if keys else STATIC, _words(renew))
    report, interrupted = _report(cards, cases, reader, as_json)
    _write(report, junit, html)
    emit(as_json, report.document(), [])
    if not as_json:
        _show(report)
    if interrupted is not None:
        raise interrupted
    if report.failed:
        raise MisbehaviourError(f"{len(report.failed)} of {len(report.results)} promises of the protocol are not kept")
    if not report.passed:
        raise RefusedError("none of this could be tried on this card: see why it was skipped")


def _require_sense(reader: str, own_cards: bool, protocol: Protocol | None) -> None:
    """Raise InputError for options that do not go together."""
    if not reader:
        raise InputError("--reader is missing: model, model:FILE, or a PC/SC reader")
    if reader == _MODEL and own_cards:
        raise InputError("--keys and --renew are for a card that is there; --reader model makes cards of its own")
    if reader != _MODEL and protocol:
        raise InputError("--protocol is for --reader model; a card in a reader says itself what it speaks")


def _chosen(clauses: list[str]) -> list[Case]:
    """The cases of some clauses: a command's name stands for all of its own."""
    cases = suite()
    for clause in clauses:
        if not any(_is_of(case, clause) for case in cases):
            raise InputError(f"--clause {clause}: there is no such clause; see saifu conform list")
    return [case for case in cases if not clauses or any(_is_of(case, clause) for clause in clauses)]


def _is_of(case: Case, clause: str) -> bool:
    return case.clause == clause or case.clause.startswith(f"{clause} ") or case.command == clause


_TWO_FILES = 256
"""Records of other cards of the model, whose history takes two files."""


@dataclass(frozen=True, slots=True)
class _Cards:
    """Where cards under test come from: the one that is there, and others, if there are any."""

    first: Callable[[], Subject]
    spare: Callable[[], Subject | None]
    in_turn: bool
    """Whether all of them go through the same reader."""


def _cards(reader: str, protocol: Protocol, keys: StaticKeys, renew: list[str]) -> _Cards:
    issuer = Issuer(TEST_ISSUER)
    if reader == _MODEL:

        def made(history: int = 64) -> Subject:
            """A new card of the model."""
            return Subject(recorded(ModelSlot(_MODEL, memory_card(CHIP, history, protocol=protocol))), issuer, keys)

        return _Cards(made, lambda: made(_TWO_FILES), in_turn=False)
    _require_image(reader, bool(renew))
    slot = open_slot(reader)

    def there() -> Subject:
        """The card that is in the reader."""
        try:
            return Subject(slot, issuer, keys)
        except BaseException:
            slot.close()
            raise

    def renewed() -> Subject:
        """The blank card that the user's command puts in."""
        slot.close()
        _do(renew)
        if isinstance(slot, PcscSlot):
            slot.wait_for_card(seconds=_PATIENCE)
        return there()

    return _Cards(renewed, renewed, in_turn=True) if renew else _Cards(there, lambda: None, in_turn=False)


def _require_image(reader: str, renewed: bool) -> None:
    image = Path(reader.removeprefix("model:"))
    if reader.startswith("model:") and image.name and not image.is_file() and not renewed:
        raise InputError(f"{image} is no card image; make one with the test keys: saifu conform blank {image}")


def _do(command: list[str]) -> None:
    """Run the user's command; raises InputError with what it said."""
    try:
        done = children.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_RENEWAL)
    except OSError as error:
        raise InputError(f"--renew {command[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"--renew {command[0]} did not end within {_RENEWAL} seconds") from None
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[-_QUOTED:]
        raise InputError(f"--renew {command[0]} ended with {done.returncode}: {said or 'it said nothing'}")


def _words(command: str) -> list[str]:
    """A command line taken apart; raises InputError."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise InputError(f"--renew: {error}") from None


def _report(cards: _Cards, cases: list[Case], reader: str, quiet: bool) -> tuple[Report, BaseException | None]:
    """The report of the run, and why that has ended before its end, if it did."""
    try:
        running = _run(cards, cases, quiet)
    except UnmetError as error:
        report = Report.of_unmet(reader, error, cases)
        _tell_failures(report.failed, quiet)
        return report, None
    return Report.of(running), running.interrupted


def _run(cards: _Cards, cases: list[Case], quiet: bool) -> Running:
    subject = cards.first()
    with Progress(console=Console(stderr=True), transient=True, disable=quiet or not sys.stderr.isatty()) as progress:
        running = Running(Stand(subject, cards.spare), cases, _watch(progress, len(cases), quiet))
        if cards.in_turn:
            running.afresh = lambda: Stand(cards.first())
        try:
            running.run()
        finally:
            subject.slot.close()
    return running


def _watch(progress: Progress, cases: int, quiet: bool) -> Callable[[Result], object]:
    """How far the run is, and failures as they come."""
    task = progress.add_task("", total=cases)

    def watch(result: Result) -> None:
        """Go on, and tell a failure."""
        progress.update(task, advance=1, description=f"{result.case.clause} [{result.case.state.text}]".ljust(40)[:40])
        _tell_failures([result] if result.outcome is Outcome.FAILED else [], quiet)

    return watch


def _tell_failures(results: Iterable[Result], quiet: bool) -> None:
    """Each with its bytes."""
    for result in results:
        for line in (f"FAILED  {result.case.name}", f"  {result.why}", *deviation_lines(result.deviation)):
            if not quiet:
                say(line)


def _write(report: Report, junit: Path | None, html: Path | None) -> None:
    if junit is not None:
        write_whole(junit, report.junit())
    if html is not None:
        write_whole(html, report.html())


def _show(report: Report) -> None:
    title = Text(visible(f"{report.reader}: {report.card}"))
    table = Table("command", *(outcome.value for outcome in Outcome), title=title)
    for name, counts in report.rows():
        table.add_row(name, *(str(count or "") for count in counts.values()))
    Console().print(table)
    sums = ", ".join(f"{count} {name}" for name, count in report.counts().items())
    typer.echo(f"{sums}; {report.exchanges} exchanges in {report.seconds:.1f} s")
    for why, count in report.skipped().items():
        typer.echo(f"  {count} skipped: {why}")
    for result in report.of_platform():
        typer.echo(f"  platform: {result.case.name}: {result.why}")


@app.command("list")
def list_cases(
    clause: Annotated[list[str] | None, typer.Option("--clause", help="Only this clause or command.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the promises that the suite looks at, with their clauses of the protocol."""
    cases = _chosen(clause or [])
    document = [{"clause": c.clause, "state": c.state.text, "about": c.command, "title": c.title} for c in cases]
    emit(as_json, {"cases": document}, [case.name for case in cases])


@app.command()
def blank(
    image: Annotated[Path, typer.Argument(help="File to make.")],
    history: Annotated[
        int, typer.Option(help="Records of the history.", parser=number_from(HISTORY_RANGE[0], HISTORY_RANGE[-1]))
    ] = 64,
    unsettled: Annotated[
        int,
        typer.Option(
            help="Places for unsettled transfers.", parser=number_from(UNSETTLED_RANGE[0], UNSETTLED_RANGE[-1])
        ),
    ] = 4,
    chain: Annotated[
        int, typer.Option(help="Bytes that a chain may carry.", parser=number_from(CHAIN_RANGE[0], CHAIN_RANGE[-1]))
    ] = CHAIN_CAPACITY,
    as_json: JsonOption = False,
) -> None:
    """Make the image of a blank card with the test keys, to put into a virtual reader."""
    create_card(image, CHIP, history, unsettled, chain)
    emit(
        as_json,
        {"image": str(image)},
        [f"{image}: a blank card with the test keys; see: saifu conform --reader model:{image}"],
    )
