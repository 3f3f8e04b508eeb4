"""The purse's exchanges in words: the command, its answer or why it was declined, and the step of the protocol."""

from apdu.commands import BY_INS, Command
from apdu.status import status_text, tries_left
from apdu.trace.meaning_answers import SAID
from apdu.trace.meaning_commands import SENT, sealed
from apdu.trace.meaning_heard import Heard
from apdu.trace.meaning_reasons import reason
from apdu.trace.meaning_words import (
    count_text,
)

__all__ = ["outcome", "step_of", "what"]

_STEPS = {int(row.ins): row.clause.replace("design: ", "") for row in BY_INS.values()}


def step_of(row: Command) -> str:
    """Step of the protocol, clause of the standard and step of the patent behind a command."""
    return _STEPS[row.ins]


def what(heard: Heard) -> str:
    """The command in words; of one whose data are not there in clear, or do not parse, what its header says."""
    if heard.opaque:
        return sealed(heard)
    if heard.wrong:
        return f"{count_text(len(heard.data), 'byte')} that do not parse: {heard.wrong}"
    return SENT[heard.ins](heard)


def outcome(heard: Heard) -> str:
    """The status word, and the answer in words or the reason why there is none."""
    sw = heard.sw
    if not heard.accepted:
        return _declined(heard)
    if heard.opaque:
        return f"{sw:04X}: {count_text(len(heard.answer), 'byte')}, secured" if heard.answer else f"{sw:04X}"
    if heard.flaw:
        return f"{sw:04X}: {count_text(len(heard.answer), 'byte')} that do not parse"
    said = SAID.get(heard.ins) if not heard.wrong else None
    text = said(heard) if said is not None else ""
    return f"{sw:04X}: {text}" if text else f"{sw:04X}"


def _declined(heard: Heard) -> str:
    sw = heard.sw
    if (tries := tries_left(sw)) is not None:
        return f"{sw:04X}: {'1 try' if tries == 1 else f'{tries} tries'} left"
    why = reason(heard)
    return f"{sw:04X} {status_text(sw)}" + (f" ({why})" if why else "")
