"""``saifu center backup`` and ``saifu center recover``: a copy of the center, and how an older copy comes back."""

from pathlib import Path
from typing import Annotated, Any

import typer

from apdu.counting import counted
from apdu.errors import InputError
from apdu.money import Money
from center.backup import back_up
from center.center import Center
from center.evidence import UNKNOWN_HOLDER
from center.float_purse import float_image
from center.opening import PassphraseOption, open_center
from center.recovery import MARGIN, Finished, Plan, TakenIn, finish, take_in_card, take_in_edition
from center.standing import HELP, open_findings
from center.witness import FloatState
from host.console import JsonOption, desk, emit, open_slot, parse_amount
from host.numbers import number_from
from host.session import PurseSession

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Put the commands among those of the center."""
    app.command("backup")(backup_command)
    app.command("recover")(recover_command)


def backup_command(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="Name of a new folder for the copy.")],
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the whole center while it runs: database, float, keys. The copy is as secret as the center."""
    with open_center(desk(context).center_folder, passphrase_file) as center:
        back_up(center, target)
    emit(as_json, {"folder": str(target)}, [f"the center is copied into {target}, which was opened and is whole"])


def recover_command(
    context: typer.Context,
    reader: Annotated[
        list[str] | None, typer.Option("--reader", "-r", help="A card to take in again; may be given several times.")
    ] = None,
    holder: Annotated[str, typer.Option(help="Whose the card is, if the registry does not know it.")] = UNKNOWN_HOLDER,
    edition: Annotated[
        list[Path] | None, typer.Option("--edition", help="A published edition, or a terminal's newest-head.")
    ] = None,
    finishing: Annotated[
        bool, typer.Option("--finish", help="Go on above everything that may have been given out.")
    ] = False,
    current: Annotated[
        bool, typer.Option("--current", help="With --finish: nothing was done after this folder was copied.")
    ] = False,
    margin: Annotated[
        int,
        typer.Option(
            parser=number_from(1, 10**6), help="With --finish: the most that was given out since, if nobody knows."
        ),
    ] = MARGIN,
    newest_float: Annotated[
        bool, typer.Option("--newest-float", help="With --finish: the float's image is the newest there was.")
    ] = False,
    lost_float: Annotated[
        bool, typer.Option("--lost-float", help="With --finish: make the float anew, as it was last known.")
    ] = False,
    float_amount: Annotated[
        str | None, typer.Option("--float", help="With --finish: make the float anew, with this amount.")
    ] = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether an older copy was put back, take cards and editions in again, and go on above what was lost."""
    if (current or newest_float or lost_float or float_amount is not None) and not finishing:
        raise InputError("--current, --newest-float, --lost-float and --float say how to --finish")
    with open_center(desk(context).center_folder, passphrase_file) as center:
        amount = None if float_amount is None else parse_amount(float_amount, center.unit)
        cards = [_take_in(center, one, holder) for one in reader or []]
        editions = [take_in_edition(center, _read(path)) for path in edition or []]
        plan = Plan(current, margin, lost_float, amount, newest_float)
        finished = finish(center, plan) if finishing else None
        lines = [*map(_card_line, cards), *(_edition_line(*one) for one in editions)]
        document, said = _standing(center) if finished is None else _finished(finished)
    document["cards"] = [{"card": one.card.text, "new": one.new, "lost_records": one.lost} for one in cards]
    document["editions"] = [{"edition": number, "listed_again": listed} for number, listed in editions]
    emit(as_json, document, [*lines, *said])


def _take_in(center: Center, reader: str, holder: str) -> TakenIn:
    slot = open_slot(reader)
    try:
        return take_in_card(center, PurseSession(slot.connect()), holder)
    finally:
        slot.close()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def _card_line(one: TakenIn) -> str:
    what = "is in the registry again" if one.new else "is known"
    lost = f"; {one.lost} older ones are lost" if one.lost else ""
    return f"card {one.card} {what}, up to record {one.record}; {counted(one.records, 'record')} taken in{lost}"


def _edition_line(number: int, listed: int) -> str:
    return f"edition {number} was published; {listed} of its cards are listed again"


def _standing(center: Center) -> tuple[dict[str, Any], list[str]]:
    """What was found, and what helps."""
    with center.session() as session:
        found = open_findings(session)
    told = center.witnesses.told()
    document = {"behind": bool(found), "findings": [{"kind": one.kind, "text": one.text} for one in found]}
    if not found:
        return document, ["this center is current"]
    lines = ["this center is behind, and gives nothing out:", *(f"- {one.text}" for one in found)]
    lines.append(
        f"known as given out: serial {told.serial}, edition {told.edition}{_float_text(center, told.float_state)}"
    )
    lines.append(
        "put the newest copy back if there is one; else take cards in again (--reader), and the newest edition "
        f"(--edition); then --finish. See {HELP}"
    )
    return document, lines


def _float_text(center: Center, state: FloatState | None) -> str:
    if state is None:
        return ""
    held = Money(state.balance, center.unit)
    return f"; the float had {held} at its record {state.record} ({float_image(center).name})"


def _finished(finished: Finished) -> tuple[dict[str, Any], list[str]]:
    new = finished.new_float
    document: dict[str, Any] = {"behind": False, "serial": finished.serial, "edition": finished.edition}
    document["new_float"] = new.text if new else None
    lines = [f"the float is card {new} now; the lost one is listed"] if new else []
    above = f"serials go on above {finished.serial}, editions above {finished.edition}"
    return document, [*lines, f"this center gives out again: {above}"]
