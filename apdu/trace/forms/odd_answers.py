"""Answers that most forms have no place for: shorter than a status word, or to less than a command."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from apdu.trace.model import Exchange, Item, Remark

__all__ = ["without_odd_answers"]

_SHORTEST_ANSWER, _MOST_SHOWN = 2, 64


def without_odd_answers(items: Iterable[Item], shortest_command: int = 1) -> Iterator[Item]:
    """The items of a trace, where an odd answer is a remark behind its command, which has none then.

    Odd is one without a status word, and one to a command of less than ``shortest_command`` bytes.
    """
    for item in items:
        if (
            not isinstance(item, Exchange)
            or item.response is None
            or (len(item.command) >= shortest_command and len(item.response) >= _SHORTEST_ANSWER)
        ):
            yield item
            continue
        cut = "…" if len(item.response) > _MOST_SHOWN else ""
        said = f"the answer was {item.response[:_MOST_SHOWN].hex().upper() or 'empty'}{cut}"
        blanks = tuple(blank for blank in item.redacted if blank[0] == "command")
        yield replace(item, response=None, redacted=blanks)
        yield Remark(said, item.slot, item.time)
