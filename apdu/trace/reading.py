"""What inspection makes of one item of a trace, and the line that tells it."""

from typing import NamedTuple, Protocol

from apdu.trace.model import Exchange, Item, Remark, Reset

__all__ = ["Listener", "Opened", "Reading", "summary"]


class Opened(NamedTuple):
    """What a secure channel carried in one exchange."""

    plain: Exchange | None
    """The command without secure messaging and the answer in clear; None where something of it could not be opened."""
    faults: tuple[str, ...] = ()
    """What does not verify, in words: a MAC, a cryptogram, a padding."""


class Listener(Protocol):
    """Opens secure channels from outside, with the keys of the cards; knows each slot's channel."""

    def hear(self, exchange: Exchange) -> Opened | None:
        """Follow one exchange whose answer is joined (no 61xx left); None: nothing in it is secured, or no key fits."""
        ...

    def reset(self, slot: str) -> None:
        """The card of a slot was reset: its channel is gone."""
        ...


class Reading(NamedTuple):
    """One item, in words; texts are empty where there is nothing to say."""

    number: int
    """Place of the item in its trace, from 1."""
    item: Item
    plain: Exchange | None = None
    """What the secure channel carried, where it could be opened."""
    standard: str = ""
    """Whose command it is: ``saifu``, ``ISO 7816-4``, ``GlobalPlatform``, ``EMV``; empty: nobody's."""
    name: str = ""
    """The command's name: ``PAY``; of one that nobody knows, ``CLA B0 INS 14``."""
    what: str = ""
    """The command in words: ``12.50 EUR for request 7 of card 00001-0000000003-2``."""
    outcome: str = ""
    """Status word and answer in words: ``9000: value with counter 3``, ``9504 insufficient money``."""
    step: str = ""
    """Step of the protocol and of the patent: ``payer, step 2; patent S107, S310``."""
    unexpected: tuple[str, ...] = ()
    """What a card or terminal that works would not have done, in words."""


def summary(reading: Reading) -> str:
    """One line for people, without its number and time."""
    item, unexpected = reading.item, reading.unexpected
    slot = f"{item.slot}  " if item.slot else ""
    mark = "".join([f"  !! {each}" for each in unexpected]) if unexpected else ""
    if isinstance(item, Remark):
        said = "" if item.text in unexpected else f"# {item.text}"
        return f"{slot}{said}{mark}".strip()
    if isinstance(item, Reset):
        return f"{slot}reset  {item.atr.hex().upper()}".rstrip() + mark
    secured, blanked = "", "  (secrets left out)" if item.redacted else ""
    if (plain := reading.plain) is not None:
        secured, blanked = "*", "  (secrets left out)" if item.redacted or plain.redacted else ""
    what = f"  {told}" if (told := reading.what) else ""
    return f"{slot}{reading.name}{secured}{what}  → {reading.outcome}{blanked}{mark}"
