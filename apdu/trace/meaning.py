"""The purse's exchanges in words: the command, its answer or why it was declined, and the step of the protocol."""

from apdu.commands import Command
from apdu.counting import counted
from apdu.status import tries_left
from apdu.trace.meaning_answers import SAID
from apdu.trace.meaning_commands import SENT, sealed
from apdu.trace.meaning_heard import Heard
from apdu.trace.meaning_reasons import reason, word_text

__all__ = ["outcome", "step_of", "what"]

_OK = 0x9000


def step_of(row: Command) -> str:
    """Step of the protocol, clause of the standard and step of the patent behind a command."""
    return row.clause.replace("design: ", "")


def what(heard: Heard) -> str:
    """The command in words; of one whose data are not there in clear, or do not parse, what its header says."""
    if heard.clear:
        return SENT[heard.ins](heard)
    if heard.opaque:
        return sealed(heard)
    if heard.wrong:
        return f"{_unparsed(len(heard.data))}: {heard.wrong}"
    return SENT[heard.ins](heard)


def outcome(heard: Heard) -> str:
    """The status word, and the answer in words or the reason why there is none."""
    if not heard.accepted:
        return _declined(heard)
    word = "9000" if heard.sw == _OK else f"{heard.sw:04X}"
    text = SAID[heard.ins](heard) if heard.clear else _hidden(heard)
    return f"{word}: {text}" if text else word


def _hidden(heard: Heard) -> str:
    """An answer that cannot be read, or one to a command that cannot."""
    size = counted(len(heard.answer), "byte")
    if heard.opaque:
        return f"{size}, secured" if heard.answer else ""
    return _unparsed(len(heard.answer)) if heard.flaw else ""


def _unparsed(size: int) -> str:
    return "1 byte that does not parse" if size == 1 else f"{size} bytes that do not parse"


def _declined(heard: Heard) -> str:
    sw = heard.sw
    if (tries := tries_left(sw)) is not None:
        return f"{sw:04X}: {counted(tries, 'try', 'tries')} left"
    why = reason(heard)
    return f"{sw:04X} {word_text(heard)}" + (f" ({why})" if why else "")
