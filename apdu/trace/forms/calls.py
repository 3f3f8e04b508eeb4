"""Calls of PC/SC and what they mean for a trace: connecting, resetting, transmitting."""

import re
from dataclasses import dataclass, field
from typing import TypeVar

from apdu.trace.forms.pairing import exchange
from apdu.trace.forms.text import octets
from apdu.trace.model import Exchange, Item, Remark, Reset

__all__ = ["LONGEST_CALL", "Call", "Calls"]

LONGEST_CALL = 1 << 19
"""Characters that a call's arguments may have; the longest command and answer of ISO 7816-4 take 400,000."""

_Value = TypeVar("_Value")
_HEX = re.compile(r"(?:[0-9A-F]{2} )*[0-9A-F]{2} ?$")
_SUCCESS = "0x00000000"
_MOST_HANDLES = 64
_WITHOUT_RESET = "0x00000000"
"""SCARD_LEAVE_CARD, at SCardReconnect and SCardDisconnect."""


@dataclass(slots=True)
class Call:
    """A call that has begun: its name, Unix seconds if known, and its arguments in the order of libpcscspy."""

    name: str
    time: float | None = None
    arguments: list[str] = field(default_factory=list)
    size: int = 0
    """Characters of the arguments."""

    def add(self, argument: str) -> None:
        """Keep an argument; what goes beyond LONGEST_CALL is left out."""
        self.size += len(argument) + 1
        if self.size <= LONGEST_CALL:
            self.arguments.append(argument)


class Calls:
    """Readers behind the handles of a recording, the cards in them, and the items that calls make."""

    def __init__(self) -> None:
        """Begin without handles."""
        self._slots: dict[str, str] = {}
        self._atrs: dict[str, bytes] = {}
        self._connected_before: dict[str, bool] = {}

    def returned(self, call: Call, code: str, text: str, seconds: float | None) -> list[Item]:
        """Items for a call that came back with a PC/SC code, after so many seconds."""
        arguments, success = call.arguments, code == _SUCCESS
        if call.name == "SCardTransmit":
            return self._transmitted(call, success, text, seconds)
        if call.name == "SCardConnect" and success and len(arguments) > 6:
            _remember(self._slots, arguments[6], arguments[1])
            return self._connected(arguments[1], call.time)
        if call.name == "SCardDisconnect" and success and arguments[1:] and arguments[1] != _WITHOUT_RESET:
            self._connected_before.pop(self._slot(call), None)
        if call.name == "SCardReconnect" and success and len(arguments) > 3 and arguments[3] != _WITHOUT_RESET:
            return [self._reset(self._slot(call), call.time)]
        if call.name == "SCardGetStatusChange" and success:
            self._learn(arguments)
        return []

    def given_up(self, call: Call | None) -> list[Item]:
        """Items for a call that never came back, if it was one."""
        if call is None or call.name != "SCardTransmit":
            return []
        return self._transmitted(call, False, "the call did not return", None)

    def _transmitted(self, call: Call, success: bool, text: str, seconds: float | None) -> list[Item]:
        raws = [raw for text_ in call.arguments if _HEX.match(text_) and (raw := octets(text_))]
        slot = self._slot(call)
        if not raws:
            return [Remark("SCardTransmit without a command", slot, call.time)]
        sent = Exchange(raws[0], None, slot, call.time)
        if success:
            return exchange(sent, raws[1] if len(raws) > 1 else b"", seconds)
        return [*exchange(sent, None, seconds), Remark(f"no answer: {text}", slot, call.time)]

    def _slot(self, call: Call) -> str:
        return self._slots.get(call.arguments[0], "") if call.arguments else ""

    def _connected(self, slot: str, time: float | None) -> list[Item]:
        """Connecting powers a card that nobody used, and changes nothing for one that somebody left as it was."""
        if slot in self._connected_before:
            return []
        _remember(self._connected_before, slot, True)
        return [self._reset(slot, time)]

    def _reset(self, slot: str, time: float | None) -> Reset:
        return Reset(self._atrs.get(slot, b""), slot, time)

    def _learn(self, arguments: list[str]) -> None:
        """In a reader's state the name comes four before the answer to reset."""
        for name, text in zip(arguments, arguments[4:], strict=False):
            if _HEX.match(text) and (atr := octets(text)):
                _remember(self._atrs, name, atr)


def _remember(table: dict[str, _Value], key: str, value: _Value) -> None:
    """The oldest goes when there are too many."""
    if key not in table and len(table) >= _MOST_HANDLES:
        del table[next(iter(table))]
    table[key] = value
