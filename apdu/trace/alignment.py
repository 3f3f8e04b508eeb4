"""Two traces side by side: which exchange of one is which of the other, though some may be missing.

Traces of any length are read in windows. Equal commands at the head of both go on at once; where they are not equal,
the fewest exchanges are left out after which both go on alike (E. Myers, An O(ND) difference algorithm, 1986). So a
gap is bridged when it is shorter than a window.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from apdu.trace.model import Exchange
from apdu.trace.reading import Reading

__all__ = ["WINDOW", "Pair", "align", "shortest_edit"]

WINDOW = 512
"""Exchanges and resets of each trace that are looked at together; a longer gap is not bridged."""
_SURE = 16
"""So many equal ones in a row, and both traces are taken to be in step again."""
_MOST_SLOTS = 256
_DEAD = -1

Pair = tuple[Reading | None, Reading | None]
"""The same exchange or reset in both traces; None: this trace does not have it."""
_Token = tuple[str, bytes | str]
_Step = tuple[int | None, int | None]


def align(old: Iterable[Reading], new: Iterable[Reading]) -> Iterator[Pair]:
    """Pair exchanges and resets by slot, header and name, in their order; remarks must be left out before.

    Slots may have other names: the same name is the same slot, and the others follow in their order.
    """
    one, other, slots = _Side(old), _Side(new), _Slots()
    while one.fill() | other.fill():
        slots.learn(one, other)
        tokens = [slots.token(each) for each in one.window], [_token(each, each.item.slot) for each in other.window]
        if not (one.window and other.window):
            yield from ((each, None) for each in one.take(len(one.window)))
            yield from ((None, each) for each in other.take(len(other.window)))
            continue
        same = _common(*tokens)
        if same:
            yield from zip(one.take(same), other.take(same), strict=True)
            continue
        steps = shortest_edit(*tokens, whole=one.ended and other.ended)
        yield from _pairs(steps, one, other, slots)


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


def _pairs(steps: list[_Step], one: _Side, other: _Side, slots: _Slots) -> Iterator[Pair]:
    """What the steps say of the first readings of both sides."""
    old = one.take(sum(i is not None for i, _ in steps))
    new = other.take(sum(j is not None for _, j in steps))
    alone: tuple[list[Reading], list[Reading]] = [], []
    for i, j in steps:
        if i is not None and j is not None:
            yield from _by_name(*alone, slots)
            alone = [], []
            yield old[i], new[j]
        elif i is not None:
            alone[0].append(old[i])
        elif j is not None:
            alone[1].append(new[j])
    yield from _by_name(*alone, slots)


def _by_name(old: list[Reading], new: list[Reading], slots: _Slots) -> Iterator[Pair]:
    """Between two that are the same, commands of one name may be the same with another header."""
    names = [(slots.partner(each), each.name) for each in old], [(each.item.slot, each.name) for each in new]
    for i, j in shortest_edit(*names, whole=True):
        yield None if i is None else old[i], None if j is None else new[j]


def shortest_edit(one: Sequence[object], other: Sequence[object], *, whole: bool) -> list[_Step]:
    """Places of both sequences in their order: pairs of equals, and those that the other one does not have (None).

    ``whole`` goes to the end of both with the fewest that are alone; without it, until both are in step again, or one
    has ended.
    """
    rows: list[list[int]] = []
    for edits in range(len(one) + len(other) + 1):
        rows.append([])
        for k in range(-edits, edits + 1, 2):
            start = end = _reached(rows, edits, k, len(one), len(other))[0]
            if start != _DEAD:
                while end < len(one) and end - k < len(other) and one[end] == other[end - k]:
                    end += 1
            rows[edits].append(end)
            at_ends = (end == len(one)) + (end - k == len(other))
            if start != _DEAD and (at_ends == 2 or (not whole and (at_ends or end - start >= _SURE))):
                return _way_back(rows, k, len(one), len(other))
    return []


def _reached(rows: list[list[int]], edits: int, k: int, longest: int, other_longest: int) -> tuple[int, int]:
    """How far of the first sequence one gets with one more edit on diagonal ``k``, and from which diagonal."""
    if not edits:
        return 0, 0
    before, place = rows[edits - 1], (k + edits) // 2
    found = [(_DEAD, 0)]
    if place < edits and before[place] != _DEAD and before[place] - k <= other_longest:
        found.append((before[place], k + 1))
    if place and before[place - 1] != _DEAD and before[place - 1] < longest:
        found.append((before[place - 1] + 1, k - 1))
    return max(found)


def _way_back(rows: list[list[int]], k: int, longest: int, other_longest: int) -> list[_Step]:
    """The steps from the beginning to what the last row has reached on diagonal ``k``."""
    steps: list[_Step] = []
    for edits in range(len(rows) - 1, -1, -1):
        end = rows[edits][(k + edits) // 2]
        start, before = _reached(rows, edits, k, longest, other_longest)
        steps += [(i, i - k) for i in range(end - 1, start - 1, -1)]
        if edits:
            steps.append((start - 1, None) if before < k else (None, start - k - 1))
        k = before
    return steps[::-1]
