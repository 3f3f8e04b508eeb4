"""What an inspector remembers: of each slot, of each card, and of values on their way. All of it is bounded."""

from collections import OrderedDict
from typing import NamedTuple, TypeVar

from apdu.identity import AID
from apdu.trace.meaning_fields import Fields

__all__ = [
    "MOST_ANSWERED",
    "MOST_CARDS",
    "MOST_NONCES",
    "MOST_VALUES",
    "Chain",
    "Ledger",
    "Place",
    "Purse",
    "Transfer",
    "Waiting",
]

MOST_CARDS = 1024
"""Cards that are remembered; the one not selected for longest is forgotten first."""
MOST_VALUES = 4096
"""Values without an answer that are remembered; the oldest is forgotten first."""
MOST_ANSWERED = 1024
"""Values with a receipt, refusal or settlement that are remembered, to notice a second, other answer."""
MOST_NONCES = 4096
"""Nonces of requests, and challenges of secure channels, that are remembered to notice one that repeats."""


K = TypeVar("K")
V = TypeVar("V")


def _keep(found: OrderedDict[K, V], key: K, value: V) -> None:
    """Remember the newest MOST_NONCES."""
    found[key] = value
    if len(found) > MOST_NONCES:
        found.popitem(last=False)


class Purse:
    """One card: what is certain of it since its last reset, and what only grows for ever."""

    __slots__ = ("card", "currency", "ended", "exact", "first_request", "grown", "parameters", "request", "sitting")

    def __init__(self, card: bytes = b"") -> None:
        """``card`` is its ID; empty for a card that has none yet."""
        self.card = card
        self.sitting: object = None
        """In whose sitting the exact facts hold: what other slots do to the card meanwhile is not seen."""
        self.exact: dict[str, int] = {}
        """State, balance and so on, as the card must tell them if only what was seen has happened."""
        self.grown: dict[str, int] = {}
        """Numbers that never go back, as last told."""
        self.currency: int | None = None
        self.parameters: Fields = None
        self.request: tuple[int, bytes, int, int, bytes | None] | None = None
        """Number, nonce, amount, currency and payer of the last request opened in this sitting."""
        self.first_request: int | None = None
        self.ended = False
        """Once terminated, for ever."""

    def begin(self, sitting: object) -> None:
        """A new sitting: elsewhere, anything that a card allows may have happened."""
        self.sitting = sitting
        self.exact = {}
        self.request = self.first_request = None

    def lose(self, *names: str) -> None:
        """These facts are not certain any more."""
        for name in names:
            self.exact.pop(name, None)

    def add(self, **changes: int) -> None:
        """Numbers change by so much, those that are known."""
        exact = self.exact
        for name, change in changes.items():
            if name in exact:
                exact[name] += change


class Waiting(NamedTuple):
    """A command whose answer was announced and is being fetched."""

    command: bytes
    word: int
    """First byte of the status word: 61, or 6C where the command is to be repeated with another Le."""
    pieces: bytes = b""
    size: int = 0
    """Bytes that came, where a piece without data counts as the longest: nobody announces for ever."""
    told: tuple[str, str, str, str] = ("", "", "", "")
    """Standard, name, words and step of the command, which are those of all its pieces."""


class Chain(NamedTuple):
    """A command whose data come in parts."""

    header: bytes
    """The header of its last part."""
    data: bytes = b""
    parts: int = 0


class Place:
    """One slot: what is selected in it, which card is there, and what is half said."""

    __slots__ = (
        "application",
        "chain",
        "fresh",
        "level",
        "purse",
        "resets",
        "sitting",
        "verified",
        "waiting",
    )

    def __init__(self) -> None:
        """Nothing has been said, and nothing is known of what was before."""
        self.resets = False
        """Whether the trace tells resets of this slot; if not, every SELECT may come after one."""
        self.fresh = True
        """Nothing was said here yet."""
        self._unknown(None)

    def _unknown(self, application: bytes | None) -> None:
        self.application = application
        """AID of what is selected; empty: nothing; None: not known."""
        self.purse: Purse | None = None
        self.sitting: object = object()
        self.verified: bool | None = None
        self.level: int | None = None
        """Security level of the secure channel, 0 if none is open, None if that is not known."""
        self.chain: Chain | None = None
        self.waiting: Waiting | None = None

    def reset(self) -> None:
        """The card was powered on or reset: nothing is selected."""
        self._unknown(b"")
        self.resets, self.fresh, self.level, self.verified = True, False, 0, False

    @property
    def ours(self) -> bool:
        """Whether the purse is known to be selected."""
        return self.application == AID


class Transfer:
    """One value and what became of it."""

    __slots__ = ("amount", "answer", "currency", "made", "payee", "settled")

    def __init__(self, payee: bytes, amount: int, currency: int | None, *, made: bool) -> None:
        """``made``: the value was seen in an answer of its payer's card."""
        self.payee, self.amount, self.currency, self.made = payee, amount, currency, made
        self.answer = ""
        """``receipt`` or ``refusal``."""
        self.settled = False


class Ledger:
    """All cards and values of a trace, across slots."""

    def __init__(self) -> None:
        """Nothing is known."""
        self.currency: int | None = None
        """ISO 4217 number that was told last by any card."""
        self.purses = OrderedDict[bytes, Purse]()
        self.open = OrderedDict[tuple[bytes, int], Transfer]()
        """Values without an answer, by payer and counter."""
        self.answered = OrderedDict[tuple[bytes, int], Transfer]()
        self.forgotten = 0
        """Values without an answer that there was no room to remember."""
        self.nonces = OrderedDict[bytes, str]()
        self.challenges = OrderedDict[tuple[bytes, bytes], None]()

    def purse(self, card: bytes) -> Purse:
        """The card of this ID; the least recently used one goes when there are too many."""
        if (found := self.purses.get(card)) is not None:
            self.purses.move_to_end(card)
            return found
        found = self.purses[card] = Purse(card)
        if len(self.purses) > MOST_CARDS:
            self.purses.popitem(last=False)
        return found

    def transfer(self, payer: bytes, counter: int) -> Transfer | None:
        """The value with this counter of this payer, if it was seen."""
        key = payer, counter
        return self.open.get(key) or self.answered.get(key)

    def made(self, payer: bytes, counter: int, transfer: Transfer) -> None:
        """Remember a value that has no answer yet; what is known of it already stays."""
        key = payer, counter
        if key in self.answered:
            return
        before = self.open.setdefault(key, transfer)
        before.made = before.made or transfer.made
        if len(self.open) > MOST_VALUES:
            self.forgotten += self.open.popitem(last=False)[1].made

    def answer(self, payer: bytes, counter: int, transfer: Transfer) -> Transfer:
        """The value has an answer or is settled; returns what is kept of it."""
        key = payer, counter
        kept = self.open.pop(key, None) or self.answered.pop(key, None) or transfer
        self.answered[key] = kept
        if len(self.answered) > MOST_ANSWERED:
            self.answered.popitem(last=False)
        return kept

    def keep_nonce(self, nonce: bytes, whose: str) -> None:
        """Remember a nonce."""
        _keep(self.nonces, nonce, whose)

    def keep_challenge(self, chip: bytes, challenge: bytes) -> None:
        """Remember a card challenge of the chip with these diversification data."""
        _keep(self.challenges, (chip, challenge), None)
