"""Two traces side by side: which exchange of one is which of the other, though some may be missing.

Traces of any length are read in windows: equal commands at the head of both go on at once, and only where they do not
match are the two windows searched for what does (difflib). So a gap is bridged when it is shorter than a window.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import islice

from apdu.trace.model import Exchange
from apdu.trace.reading import Reading

__all__ = ["WINDOW", "Pair", "align"]

WINDOW = 512
"""Exchanges and resets of each trace that are looked at together; a longer gap is not bridged."""
_MOST_SLOTS = 256

Pair = tuple[Reading | None, Reading | None]
"""The same exchange or reset in both traces; None: this trace does not have it."""
_Token = tuple[str, bytes | str]
_Op = tuple[str, int, int, int, int]


def align(old: Iterable[Reading], new: Iterable[Reading]) -> Iterator[Pair]:
    """Pair exchanges and resets by slot, header and name, in their order; remarks must be left out before.

    Slots may have other names: the same name is the same slot, and the others follow in their order.
    """
    one, other, slots = _Side(old), _Side(new), _Slots()
    while one.fill() | other.fill():
        slots.learn(one, other)
        tokens = [slots.token(each) for each in one.window], [_token(each, each.item.slot) for each in other.window]
        same = _common(*tokens)
        if same:
            yield from zip(one.take(same), other.take(same), strict=True)
            continue
        found = _operations(*tokens)
        for each in found if one.ended and other.ended else _certain(found):
            yield from _pairs(each, one, other, slots)


class _Side:
    """What comes next of one trace."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._rest = iter(readings)
        self.window: deque[Reading] = deque()
        self.ended = False

    def fill(self) -> bool:
        """Read on until the window is full; whether there is anything in it."""
        self.window.extend(islice(self._rest, WINDOW - len(self.window)))
        self.ended = len(self.window) < WINDOW
        return bool(self.window)

    def take(self, count: int) -> list[Reading]:
        """The first ones, which leave the window."""
        return [self.window.popleft() for _ in range(count)]


class _Slots:
    """Which slot of the old trace is which of the new one."""

    def __init__(self) -> None:
        self._partners: dict[str, str] = {}

    def learn(self, one: _Side, other: _Side) -> None:
        """Slots that have not been seen before."""
        old = [name for name in _names(one) if name not in self._partners]
        if not old or len(self._partners) >= _MOST_SLOTS:
            return
        taken = set(self._partners.values())
        new = [name for name in _names(other) if name not in taken]
        same = set(old) & set(new)
        self._partners |= {name: name for name in same}
        rest = ([name for name in names if name not in same] for names in (old, new))
        self._partners |= dict(zip(*rest, strict=False))

    def token(self, reading: Reading) -> _Token:
        """By what an exchange of the old trace is found in the new one."""
        return _token(reading, self.partner(reading))

    def partner(self, reading: Reading) -> str:
        """The slot's name in the new trace."""
        return self._partners.get(reading.item.slot, reading.item.slot)


def _names(side: _Side) -> dict[str, None]:
    """Slots in their order."""
    return dict.fromkeys(each.item.slot for each in side.window)


def _token(reading: Reading, slot: str) -> _Token:
    """Slot, and CLA INS P1 P2 of what a card was told."""
    exchange = reading.plain or reading.item
    return slot, exchange.command[:4] if isinstance(exchange, Exchange) else "reset"


def _common(one: list[_Token], other: list[_Token]) -> int:
    """How many are the same at the beginning."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _operations(one: list[_Token], other: list[_Token]) -> list[_Op]:
    return [*SequenceMatcher(None, one, other, autojunk=False).get_opcodes()]


def _certain(found: list[_Op]) -> list[_Op]:
    """Up to the last match, since what follows it may still find its partner in the next window.

    Everything, if that match is too early to go on quickly.
    """
    last = max((n for n, each in enumerate(found) if each[0] == "equal"), default=None)
    if last is None or max(found[last][2], found[last][4]) < WINDOW // 2:
        return found
    return found[: last + 1]


def _pairs(operation: _Op, one: _Side, other: _Side, slots: _Slots) -> Iterator[Pair]:
    """What an operation says of the first readings of both sides; in what was replaced the names decide."""
    _, i, i_end, j, j_end = operation
    old, new = one.take(i_end - i), other.take(j_end - j)
    if operation[0] == "equal":
        yield from zip(old, new, strict=True)
        return
    names = [(slots.partner(each), each.name) for each in old], [(each.item.slot, each.name) for each in new]
    for kind, i, i_end, j, j_end in SequenceMatcher(None, *names, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from zip(old[i:i_end], new[j:j_end], strict=True)
        else:
            yield from ((each, None) for each in old[i:i_end])
            yield from ((None, each) for each in new[j:j_end])
