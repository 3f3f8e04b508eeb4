"""Which exchanges of a trace are wanted: what people type into the filter."""

from collections.abc import Callable

from apdu.trace.model import Exchange
from apdu.trace.reading import Reading, summary

__all__ = ["HELP", "Wanted", "wanted"]

Wanted = Callable[[Reading], bool]
"""Whether a reading is to be shown."""

HELP = "words of the line, unexpected, slot:NAME, sw:9504, ins:PAY or ins:32; all of them must fit"
"""What can be typed."""


def wanted(text: str) -> Wanted:
    """The test that a text stands for: every one of its words must fit; capitals and small letters are the same.

    ``unexpected``; ``slot:``, a part of the slot's name; ``sw:``, the beginning of the status word; ``ins:``, a part
    of the command's name or the instruction byte; anything else is looked for in the line.
    """
    tests = [_test(word) for word in text.casefold().split()]
    return lambda reading: all(test(reading) for test in tests)


def _test(word: str) -> Wanted:
    kind, _, value = word.partition(":")
    if word == "unexpected":
        return lambda reading: bool(reading.unexpected)
    if kind == "slot":
        return lambda reading: value in reading.item.slot.casefold()
    if kind == "sw":
        return lambda reading: bool(value) and _status(reading).startswith(value)
    if kind == "ins":
        return lambda reading: _has_instruction(reading, value)
    return lambda reading: word in summary(reading).casefold()


def _status(reading: Reading) -> str:
    """The status word in small hexadecimal digits, of the answer in clear where there is one."""
    exchange = reading.plain or reading.item
    if not isinstance(exchange, Exchange):
        return ""
    return (exchange.response or b"")[-2:].hex()


def _has_instruction(reading: Reading, value: str) -> bool:
    exchange = reading.plain or reading.item
    if not isinstance(exchange, Exchange):
        return False
    return bool(value) and (exchange.command[1:2].hex() == value or value in reading.name.casefold())
