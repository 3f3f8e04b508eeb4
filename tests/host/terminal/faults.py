"""What can happen between a terminal and a card: a command or an answer is lost, and the card is out."""

from collections.abc import Callable

from apdu.commands import Ins
from apdu.errors import CardRemovedError, OutcomeUnknownError

__all__ = ["Lost", "honest"]


def honest(command: bytes, card: Callable[[bytes], bytes]) -> bytes:
    """Nothing happens."""
    return card(command)


class Lost:
    """A hook: one command is lost, or its answer is; from then on the card is out.

    It is the ``at``-th command, counted from 0, or the first one with the instruction ``ins``.
    """

    def __init__(self, *, answered: bool, at: int | None = None, ins: Ins | None = None) -> None:
        self.answered, self.at, self.ins = answered, at, ins
        self.seen, self.gone = 0, False

    def __call__(self, command: bytes, card: Callable[[bytes], bytes]) -> bytes:
        if self.gone:
            raise CardRemovedError("the card is out")
        self.gone = self.seen == self.at or command[1] == self.ins
        self.seen += 1
        if self.gone and not self.answered:
            raise CardRemovedError("the card is out")
        answer = card(command)
        if self.gone:
            raise OutcomeUnknownError("the card is out, and may have acted")
        return answer
