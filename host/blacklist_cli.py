"""``saifu terminal``: how the blacklist comes into a terminal, and what it does with it."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from apdu.counting import counted, duration
from apdu.errors import AuthenticityError, FormatError, InputError
from apdu.money import Money
from broadcast.cipher_key import CIPHER_KEYS_FORMAT
from broadcast.edition import EDITION_MAGIC
from broadcast.reception import Progress
from host.air import AirOption, CaOption, Line, LoginOption
from host.card_cli import date_text
from host.console import JsonOption, desk, emit, parse_amount
from host.numbers import LONGEST_RUN, decimal_from
from host.progress_screen import Bar, ProgressScreen
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.listening import Listener
from host.terminal.listening_note import ListeningNote, listeners, noting
from host.terminal.stale_policy import StaleAction, StalePolicy
from host.terminal_cli import check, open_store

__all__ = ["app"]

app = typer.Typer(help="The terminal's blacklist, and the check of a card at insertion.", no_args_is_help=True)


@app.command("import")
def import_command(
    context: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(help="A center's trust.json, cipher keys, or editions of the blacklist.")
    ],
    expired: Annotated[
        bool, typer.Option("--expired", help="Also take an edition whose successor is overdue.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take in files of the center: first its trust file, then cipher keys, or editions of the blacklist."""
    folder, done = desk(context).terminal_folder, []
    now = None if expired else int(time.time())
    for file in files:
        try:
            done.append(_import(folder, file.read_bytes(), now))
        except OSError as error:
            raise InputError(f"{file} cannot be read: {error.strerror}") from None
        except (InputError, FormatError, AuthenticityError) as error:
            raise type(error)(f"{file}: {error}") from None
    emit(as_json, {"imported": done}, done)


def _import(folder: Path, raw: bytes, now: int | None) -> str:
    if raw.startswith(EDITION_MAGIC):
        head = BlacklistStore(folder).import_edition(raw, now).head.body
        return f"edition {head.edition} of {date_text(head.time)} UTC is in force: {counted(head.count, 'card')} listed"
    text = raw.decode("utf-8", "replace")
    if CIPHER_KEYS_FORMAT in text:
        keys = BlacklistStore(folder).import_cipher_keys(text)
        numbers = ", ".join(str(key.number) for key in keys.keys)
        return f"this terminal is of group {keys.group} and holds its cipher keys {numbers}"
    store = BlacklistStore.import_trust(folder, text)
    return f"this terminal trusts issuer {store.trust.issuer}, currency {store.trust.unit.code}"


@app.command()
def status(context: typer.Context, as_json: JsonOption = False) -> None:
    """Say which edition is in force, how old it is, and what happens when it is too old."""
    store, now = open_store(context), int(time.time())
    keys, edition = store.cipher_keys, store.edition
    stale = store.staleness(now)
    document: dict[str, Any] = {
        "issuer": store.trust.issuer,
        "currency": store.trust.unit.code,
        "edition": store.number,
        "newest_known": store.newest_known,
        "listed": edition.tree.count if edition else 0,
        "issued": edition.head.body.time if edition else None,
        "next": edition.head.body.next if edition else None,
        "age": max(0, now - edition.head.body.time) if edition else None,
        "stale": stale,
        "policy": {"stale": store.policy.action.value, "cap": store.policy.cap},
        "group": keys.group if keys else None,
        "cipher_keys": [key.number for key in keys.keys] if keys else [],
        "listening": listeners(store.folder),
    }
    emit(as_json, document, _status_lines(store, document))


def _status_lines(store: BlacklistStore, document: dict[str, Any]) -> list[str]:
    group, numbers = document["group"], ", ".join(map(str, document["cipher_keys"]))
    lines = [
        f"issuer {document['issuer']}",
        f"edition {document['edition']}, {counted(document['listed'], 'card')} listed",
    ]
    if document["issued"] is not None:
        issued, due = date_text(document["issued"]), date_text(document["next"])
        lines.append(f"issued {issued} UTC, {duration(document['age'])} ago; the next is due {due} UTC")
    lines.append(f"group {group}, cipher keys {numbers}" if group else "no cipher keys: broadcasts can't be read")
    lines.append(f"with an old list: {_policy_text(store)}")
    lines += [line for note in document["listening"] for line in _note_lines(note)]
    return [*lines, document["stale"] or "current"]


def _note_lines(note: dict[str, Any]) -> Iterator[str]:
    received, useful = note["packets"]["received"], note["packets"]["useful"]
    heard = f"{counted(received, 'packet')}, {useful} useful"
    yield f"listening by {note['air']} since {date_text(note['since'])} UTC: {heard}"
    for one in note["progress"]:
        yield f"  {_object_text(one['edition16'], one['span'])}: {one['have']} of {counted(one['need'], 'packet')}"


def _policy_text(store: BlacklistStore) -> str:
    cap = Money(store.policy.cap, store.trust.unit)
    texts = {StaleAction.WARN: "warn", StaleAction.CAP: f"move {cap} at most at once", StaleAction.REFUSE: "refuse"}
    return texts[store.policy.action]


@app.command()
def policy(
    context: typer.Context,
    action: Annotated[StaleAction, typer.Argument(help="What to do with business while the list is old.")],
    cap: Annotated[str, typer.Option("--cap", help="With cap: the most that moves at once, as in 10.00.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Choose what this terminal does while its list is old: warn, cap the amount, or refuse."""
    store = open_store(context)
    if (action is StaleAction.CAP) != bool(cap):
        raise InputError("--cap AMOUNT goes with cap, and only with it: saifu terminal policy cap --cap 10.00")
    store.policy = StalePolicy(action, parse_amount(cap, store.trust.unit) if cap else 0)
    document = {"stale": action.value, "cap": store.policy.cap}
    emit(as_json, document, [f"with an old list: {_policy_text(store)}"])


@app.command()
def listen(
    context: typer.Context,
    air: AirOption,
    once: Annotated[bool, typer.Option("--once", help="End as soon as what is on the air is in force.")] = False,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", parser=decimal_from(0.1, LONGEST_RUN), help="End after so many seconds."),
    ] = None,
    ca: CaOption = None,
    login: LoginOption = None,
    as_json: JsonOption = False,
) -> None:
    """Receive the blacklist over the air or the line, all the time or once [0014].

    Exit code 0 when the list on the air is in force at the end, 1 when it is not.
    """
    store = open_store(context)
    with ProgressScreen(quiet=as_json) as screen, noting(store.folder, air) as note:
        listener = Listener(store, screen.tell)
        with suppress(KeyboardInterrupt):  # Ctrl-C is how somebody ends a receiver that listens all the time
            listener.tune_in(air, Line(ca, login), seconds, once, lambda: _show(listener, screen, note))
    _finish(listener, store, screen.told, as_json)


def _finish(listener: Listener, store: BlacklistStore, told: list[str], as_json: bool) -> None:
    counts, current = asdict(listener.reception.statistics), listener.is_current
    stale = store.staleness(int(time.time())) or (None if current else "a newer one was heard, and not all of it")
    heard = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"
    document = {"edition": store.number, "current": current, "stale": stale, "packets": counts, "told": told}
    number = f"edition {store.number} is in force" if store.number else "no edition is in force"
    lines = [f"{number}: {stale or 'current'}", f"packets: {heard}"]
    if counts["forged"] > counts["useful"] + counts["old"] + counts["duplicate"]:
        lines.append("most were not for this group, or it has new cipher keys (saifu terminal import FILE)")
    emit(as_json, document, lines)
    if not current:
        raise typer.Exit(1)


def _show(listener: Listener, screen: ProgressScreen, note: ListeningNote) -> None:
    """After each packet: bars for who watches, a note for who asks."""
    screen.show(_bars(listener.reception.progress))
    note.update(listener.reception)


def _bars(under_way: list[Progress]) -> Iterator[Bar]:
    """One bar for each object that is coming in."""
    for one in under_way:
        text = _object_text(one.edition16, one.span)
        yield Bar(text, text, min(one.have, one.need), one.need)


def _object_text(edition: int, span: int) -> str:
    return f"edition {edition}, {f'step from {(edition - span) & 0xFFFF}' if span else 'full list'}"


app.command()(check)
