"""What a terminal does while its list is old: warn, cap the amount, or refuse."""

import json
from dataclasses import dataclass
from enum import Enum
from typing import Self

from apdu.errors import InputError, RefusedError
from apdu.money import Money

__all__ = ["StaleAction", "StalePolicy"]


class StaleAction(Enum):
    """What happens to business at a terminal whose list is old."""

    WARN = "warn"
    CAP = "cap"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class StalePolicy:
    """The operator's choice; ``cap`` is in minor units, and the most that moves at once under CAP."""

    action: StaleAction = StaleAction.WARN
    cap: int = 0

    def judge(self, stale: str, amount: Money) -> None:
        """Raise RefusedError when this amount may not move while the list is old; ``stale`` says why it is."""
        if self.action is StaleAction.REFUSE and amount.amount:
            raise RefusedError(f"{stale}; this terminal moves no money until it has a newer list")
        if self.action is StaleAction.CAP and amount.amount > self.cap:
            most = Money(self.cap, amount.unit)
            raise RefusedError(f"{stale}; until there is a newer list this terminal moves {most} at most at once")

    def encode(self) -> str:
        """Return the policy as JSON."""
        return json.dumps({"stale": self.action.value, "cap": self.cap}) + "\n"

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what ``encode`` wrote; raises InputError."""
        try:
            content = json.loads(text)
            action, cap = StaleAction(content["stale"]), content["cap"]
            if type(cap) is not int or not 0 <= cap <= 0xFFFFFFFF:
                raise ValueError(cap)
            return cls(action, cap)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError("this is not a terminal's policy (saifu terminal policy writes one)") from None
