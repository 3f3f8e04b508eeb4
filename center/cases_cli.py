"""``saifu center cases``: what does not agree in what cards have told, with its evidence."""

from typing import Annotated, Any

import typer

from apdu.messages import Attestation, Outcome
from apdu.money import Currency
from center.case_evidence import Evidence
from center.cases import REFUSED, Case, cases
from center.contradictions import Contradiction
from center.opening import PassphraseOption, open_center
from host.card_cli import record_document, record_line
from host.console import JsonOption, desk, emit
from host.numbers import NUMBER_MAX, number_from

__all__ = ["add_to"]

_TEXT = {
    Contradiction.TWO_VALUES: "two values were given with one counter: the payer's card is copied, or a card is broken",
    Contradiction.AMOUNTS_DIFFER: "payer and payee tell of different amounts",
    Contradiction.NEVER_PAID: "it was received, and the payer's history has no such payment: the value is made up",
    Contradiction.REFUNDED_AND_RECEIVED: "the payer has the money back, and the payee has it too",
    Contradiction.SETTLED_NOT_RECEIVED: "the payer waits for it no more, and the payee can never receive it",
    Contradiction.DECISION: "the cards say otherwise than was decided",
    Contradiction.RESOLUTION: "the cards say otherwise than the center has found and signed",
    REFUSED: "its renewal was refused: its history is none that it could have; a copy, or a broken card",
}


def cases_command(
    context: typer.Context,
    case: Annotated[
        int | None,
        typer.Argument(parser=number_from(1, NUMBER_MAX), help="Number of a case, to see its evidence."),
    ] = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what does not agree in what cards have told, or show one case with its evidence."""
    with open_center(desk(context).center_folder, passphrase_file) as center:
        with center.session() as session:
            found = cases(session, center.issuer, case)
        unit = center.unit
    if case is None:
        lines = [_line(row) for row in found]
        emit(as_json, {"cases": [_document(row) for row in found]}, lines or ["everything agrees so far"])
    for row in found if case is not None else ():
        document = _document(row) | {"evidence": _evidence_document(row.evidence)}
        emit(as_json, document, [_line(row), _TEXT[row.kind], *_evidence_lines(row.evidence, unit)])


def _line(case: Case) -> str:
    payment = f"payment {case.counter}" if case.counter else ""
    return f"{case.number:5}  {case.kind:22}  {case.card}  {payment}".rstrip()


def _document(case: Case) -> dict[str, Any]:
    return {
        "case": case.number,
        "order": case.order,
        "kind": str(case.kind),
        "card": case.card.text,
        "counter": case.counter,
    }


def _evidence_document(evidence: Evidence) -> dict[str, Any]:
    """What is signed, and the records that its chain is over, also as they are, in hex."""
    return {
        "records": [
            {"card": card.text, "request": record.request, "raw": record.encode().hex()} | record_document(record)
            for card, record in evidence.records
        ],
        "attestations": [_state_document(signed.body) | {"raw": signed.raw.hex()} for signed in evidence.attestations],
        "decisions": [
            {"outcome": _outcome(decision.outcome), "order": decision.order} for decision in evidence.decisions
        ],
        "resolutions": [
            {"outcome": _outcome(signed.body.outcome), "raw": signed.raw.hex()} for signed in evidence.resolutions
        ],
    }


def _state_document(state: Attestation) -> dict[str, Any]:
    return {
        "card": state.card.text,
        "record": state.record,
        "balance": state.balance,
        "counter": state.counter,
        "request": state.request,
        "open": bool(state.open),
        "unsettled": list(state.unsettled_counters),
    }


def _evidence_lines(evidence: Evidence, unit: Currency) -> list[str]:
    lines = [f"record of {card}: {record_line(record, unit)}" for card, record in evidence.records]
    for signed in evidence.attestations:
        state = signed.body
        waits = ", ".join(map(str, state.unsettled_counters)) or "nothing"
        lines.append(
            f"signed by {state.card}: record {state.record}, payment {state.counter}, request {state.request} "
            f"{'open' if state.open else 'closed'}, waits for {waits}"
        )
    lines += [f"decided: {_outcome(decision.outcome)}" for decision in evidence.decisions]
    return [*lines, *(f"signed by the center: {_outcome(signed.body.outcome)}" for signed in evidence.resolutions)]


def _outcome(outcome: Outcome) -> str:
    """The word that ``saifu center decide`` takes."""
    return outcome.name.lower().replace("_", "-")


def add_to(app: typer.Typer) -> None:
    """Add the command to the center's group."""
    app.command("cases")(cases_command)
