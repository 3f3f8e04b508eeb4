"""Tables of docs/reference/protocol.md, made from the tables of the wire language and of the card."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path

from apdu.commands import ANY_STATE, COMMANDS, DATA_OBJECTS, GENERAL_STATUS, Command, Security
from apdu.dgi import DGI_TEXT
from apdu.identity import AID, LifeCycle
from apdu.layout import Record
from apdu.messages import (
    SIGNED_BODIES,
    Attestation,
    Certificate,
    Credit,
    Head,
    Receipt,
    Refusal,
    Resolution,
    TerminateOrder,
    UnlockOrder,
    Value,
)
from apdu.objects import (
    PLAIN_OBJECTS,
    Capacities,
    Counters,
    CreditUsed,
    Parameters,
    PurseStatus,
    ReferenceData,
    Request,
    UnsettledEntry,
)
from apdu.payload import Tag
from apdu.signature import SIGNATURE_SIZE
from apdu.status import STATUS_TEXT
from applet_model.card import Protocol, answer_to_reset
from applet_model.life_cycle import TRANSITIONS
from saifu.conformance.suite import suite

__all__ = ["REGIONS", "TAG_CONTENT", "table"]

TAG_CONTENT: dict[Tag, type[Record] | str] = {
    Tag.CARD_ID: "card ID, 6 bytes",
    Tag.STATUS: PurseStatus,
    Tag.DATE: "the terminal's date, 4 bytes: seconds since 1970-01-01 00:00 UTC; 0 bytes: none",
    Tag.AMOUNT: "amount in minor units, 4 bytes",
    Tag.COUNTER: "the payer's counter of a transfer, 4 bytes",
    Tag.CERTIFICATE: Certificate,
    Tag.REQUEST: Request,
    Tag.VALUE: Value,
    Tag.RECEIPT: Receipt,
    Tag.REFUSAL: Refusal,
    Tag.RESOLUTION: Resolution,
    Tag.CREDIT: Credit,
    Tag.HEAD: Head,
    Tag.PROOF: "proof, 35 to 611 bytes: see [the proof](#the-proof)",
    Tag.ORDER: f"signed UnlockOrder, {UnlockOrder.SIZE + SIGNATURE_SIZE} bytes, for UNLOCK;"
    f" signed TerminateOrder, {TerminateOrder.SIZE + SIGNATURE_SIZE} bytes, for TERMINATE",
    Tag.CHALLENGE: "challenge, 16 bytes",
    Tag.ATTESTATION: Attestation,
    Tag.PARAMETERS: Parameters,
    Tag.COUNTERS: Counters,
    Tag.CREDIT_USED: CreditUsed,
    Tag.UNSETTLED: f"UnsettledEntry, {UnsettledEntry.SIZE} bytes, for each unsettled transfer, lowest counter first",
    Tag.CAPACITIES: Capacities,
    Tag.REFERENCE_DATA: ReferenceData,
}
"""What the payload objects hold."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _states(states: Collection[LifeCycle]) -> str:
    if states == ANY_STATE:
        return "any"
    return ", ".join(state.text for state in LifeCycle if state in states)


def _commands() -> str:
    rows = (
        (f"[{row.name}](#{row.name.lower().replace(' ', '-')})", f"{row.cla:02X}", f"{row.ins:02X}", row.p1p2_text,
         _states(row.states), row.security.text)
        for row in COMMANDS
    )  # fmt: skip
    return table(("command", "CLA", "INS", "P1 P2", "states", "wants"), rows)


def _tags(tags: Iterable[Tag], nothing: str) -> str:
    return ", ".join(f"{tag:02X} {_tag_name(tag)}" for tag in tags) or nothing


def _tag_name(tag: Tag) -> str:
    return tag.name.replace("_", " ").lower()


def _command(row: Command) -> str:
    """Header, data, answer and status words of one command."""
    rows = [
        ("class, instruction", f"{row.cla:02X} {row.ins:02X}" + (", chaining allowed" if row.chaining else "")),
        ("P1 P2", row.p1p2_text),
        ("states", _states(row.states)),
    ]
    if row.security is not Security.NONE:
        rows.append(("wants", row.security.text))
    if row.carries:
        kinds = (("", row.takes), ("one of ", row.one_of), ("may have ", row.optional))
        rows.append(("data", "; ".join(word + _tags(tags, "") for word, tags in kinds if tags)))
    else:
        rows.append(("data", row.lc_text))
    if row.gives:
        rows.append(("answer", _tags(row.gives, "none")))
    words = ", ".join(f"{word:04X}" for word in sorted(row.status))
    rows.append(("own status words", words or "none"))
    rows.append(("source", row.clause.replace("design:", "this protocol:")))
    return f"{row.summary}\n\n{table(('', ''), rows)}"


def _general_status() -> str:
    words = ", ".join(f"{word:04X}" for word in sorted(GENERAL_STATUS))
    return f"Any command can end in {words}, by the order of checks; in 61xx or 6Cxx; and in its own words."


def _data_objects() -> str:
    rows = (
        (f"{row.number:04X}", row.name, _tags(row.gives, ""), _states(row.states)) for row in DATA_OBJECTS
    )  # fmt: skip
    return table(("P1 P2", "object", "answer", "states"), rows)


def _status_words() -> str:
    rows = [(f"{word:04X}", text, _users(word)) for word, text in sorted(STATUS_TEXT.items())]
    rows[0:0] = [
        ("61xx", "xx more bytes to fetch with GET RESPONSE; 00: 256 or more", "any"),
        ("63Cx", "wrong PIN or resetting code, x tries left", "VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER"),
        ("6Cxx", "wrong Le: exactly xx bytes; 00: 256", "any"),
    ]
    return table(("SW", "meaning", "from"), sorted(rows))


def _users(word: int) -> str:
    if word == 0x9501:
        return "any that only an active card obeys"
    if word in GENERAL_STATUS:
        return "any"
    return ", ".join(row.name for row in COMMANDS if word in row.status)


def _content(tag: Tag) -> str:
    content = TAG_CONTENT[tag]
    if isinstance(content, str):
        return content
    signed = content in SIGNED_BODIES
    size = content.SIZE + (SIGNATURE_SIZE if signed else 0)
    anchor = f"[{content.__name__}](#{content.__name__.lower()}-object)"
    return f"{'signed ' if signed else ''}{anchor}, {size} bytes"


def _payload_tags() -> str:
    return table(("tag", "object", "holds"), ((f"{tag:02X}", _tag_name(tag), _content(tag)) for tag in Tag))


def _layout(kind: type[Record]) -> str:
    """One record: what it is for, its sizes, and every field with its offset."""
    first = (kind.__doc__ or "").split("\n", 1)[0]
    signed = kind in SIGNED_BODIES
    sizes = f"{kind.SIZE} bytes" + (f", {kind.SIZE + SIGNATURE_SIZE} with its signature" if signed else "")
    rows, at = [], 0
    if kind.TYPE is not None:
        rows, at = [("0", "1", "type", f"`{kind.TYPE:02X}`")], 1
    for name, field in kind.LAYOUT.items():
        rows.append((str(at), str(field.size), name.replace("_", " "), field.meaning))
        at += field.size
    return f"#### {kind.__name__} object\n\n{first} {sizes}.\n\n{table(('offset', 'size', 'field', 'meaning'), rows)}"


def _layouts(kinds: Iterable[type[Record]]) -> str:
    return "\n\n".join(_layout(kind) for kind in kinds)


def _dgis() -> str:
    return table(("DGI", "holds"), ((f"{dgi:04X}", text) for dgi, text in DGI_TEXT.items()))


def _identity() -> str:
    atrs = ((f"ATR at {protocol.value}", f"`{answer_to_reset(protocol).hex(' ').upper()}`") for protocol in Protocol)
    return table(("", ""), (("AID", f"`{AID.hex(' ').upper()}`"), *atrs))


def _life_cycle_states() -> str:
    return table(("value", "state"), ((f"{state:02X}", state.text) for state in LifeCycle))


def _life_cycle_moves() -> str:
    rows = ((state.text, event.value, after.text) for (state, event), after in TRANSITIONS.items())
    return table(("in state", "event", "becomes"), rows)


def _bench() -> str:
    """What `make bench` measured on this machine; nothing if it has not run here."""
    file = Path(__file__).resolve().parent.parent / "build" / "bench.json"
    if not file.exists():
        return ""
    payment = json.loads(file.read_text(encoding="utf-8"))["payment"]
    text = f"A payment is {payment['payer_apdus']} APDUs to the payer's card, {payment['payer_bytes']} bytes in all."
    model = f"Modelled on real cards, with writes of {payment['write_ms']} ms, in ms to the end of PAY and in all:"
    rows = (
        (name, *(f"{round(each['paid'])}, {round(each['whole'])}" for each in lines.values()))
        for name, lines in payment["modelled_ms"].items()
    )
    lines = next(iter(payment["modelled_ms"].values()))
    return f"{text} {model}\n\n{table(('card', *(f'{line} kbit/s' for line in lines)), rows)}"


def _conformance_numbers() -> str:
    """How many cases the conformance suite has, and how many clauses of the protocol they are about."""
    cases = suite()
    clauses = len({case.clause for case in cases})
    return (
        f"`saifu conform` has {len(cases)} cases, for {clauses} clauses of the protocol; a run also counts the moves\n"
        "of the life cycle that it makes between them."
    )


REGIONS: dict[str, Callable[[], str]] = {
    "conformance numbers": _conformance_numbers,
    "commands": _commands,
    "general status": _general_status,
    "data objects": _data_objects,
    "status words": _status_words,
    "payload tags": _payload_tags,
    "signed bodies": partial(_layouts, SIGNED_BODIES),
    "plain objects": partial(_layouts, PLAIN_OBJECTS),
    "dgis": _dgis,
    "identity": _identity,
    "life cycle states": _life_cycle_states,
    "life cycle": _life_cycle_moves,
    "bench": _bench,
    **{f"command {row.name}": partial(_command, row) for row in COMMANDS},
}
"""Regions by name."""
