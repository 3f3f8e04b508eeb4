"""Personalization of one card: SELECT, SCP03, keys of the issuer's own, key pair, DGIs; then the life cycle closes."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from apdu.errors import RefusedError
from apdu.identity import CardId, LifeCycle
from host.connection import CardSlot
from host.issuer_session import TRANSPORT_VERSION, IssuerData
from host.model import ChipKeys, create_card
from host.session import PurseSession, pin_block
from personalization.card_keys import CardKeys, TransportKeys, issuer_session
from personalization.issuer_line import IssuerLine
from personalization.profile import Profile

__all__ = ["Letter", "create_blank", "personalize_card", "random_pin", "require_blank"]

_DIVERSIFICATION_SIZE = 10


@dataclass(frozen=True, slots=True)
class Letter:
    """What the holder gets in a sealed letter."""

    card: CardId
    holder: str
    pin: str = field(repr=False)
    resetting_code: str = field(repr=False)


def random_pin() -> str:
    """Four random digits."""
    return f"{secrets.randbelow(10_000):04d}"


def create_blank(path: Path, transport: TransportKeys, profile: Profile) -> None:
    """Make a blank card image as a card maker would: with transport keys of his, and nothing of the issuer's.

    Raises StoreError when there is a file of that name.
    """
    data = secrets.token_bytes(_DIVERSIFICATION_SIZE)
    keys = transport(data)
    chip = ChipKeys(data, TRANSPORT_VERSION, keys.enc, keys.mac, keys.dek)
    create_card(path, chip, profile.history, profile.unsettled)


def require_blank(session: PurseSession) -> None:
    """Raise RefusedError unless the card can still be personalized."""
    status = session.selected.status
    if status.state not in (LifeCycle.BLANK, LifeCycle.PERSONALIZATION):
        raise RefusedError(f"card {session.card} is {status.state.text} already; put a blank card in")


def personalize_card(
    slot: CardSlot,
    letter: Letter,
    profile: Profile,
    keys: CardKeys,
    line: IssuerLine,
    changing: Callable[[bytes], object] = lambda _: None,
) -> None:
    """Make the blank card in a slot the purse that the letter names, with the letter's codes.

    ``changing`` is told the card's diversification data before its maker's keys are replaced. Raises RefusedError
    for a card that is not blank, SecureChannelError when it has other keys (no try is burned), InputError for a PIN
    that is none. Interrupted, it can begin again, whichever keys the card has then.
    """
    card = letter.card
    codes = (pin_block(letter.pin), pin_block(letter.resetting_code))
    data = IssuerData(profile.parameters(card, line.unit), line.public_keys, *codes)
    try:
        connection = slot.connect()
        require_blank(PurseSession(connection))
        session = issuer_session(connection, keys, changing)
        session.personalize(data, lambda point: line.certify(card, point))
    finally:
        slot.close()
