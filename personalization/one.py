"""Personalization of one card: SELECT, SCP03, key pair, DGIs; then the life cycle closes."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from apdu.errors import InputError, RefusedError
from apdu.identity import CardId, LifeCycle
from host.connection import CardSlot
from host.issuer_session import IssuerData, IssuerSession
from host.model import ChipKeys, create_card
from host.scp03 import InitializeUpdateAnswer, StaticKeys
from host.secure_connection import KeysFor
from host.session import PurseSession, pin_block
from personalization.diversification import static_keys
from personalization.issuer_line import IssuerLine
from personalization.keystore import MasterKey
from personalization.profile import Profile

__all__ = ["Letter", "create_blank", "keys_of", "personalize_card", "random_pin", "require_blank"]

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


def create_blank(path: Path, master: MasterKey, profile: Profile) -> None:
    """Make a blank card image as a card maker would: with keys diversified from the master key.

    Raises StoreError when there is a file of that name.
    """
    data = secrets.token_bytes(_DIVERSIFICATION_SIZE)
    keys = static_keys(master.key, master.scheme, data, master.size)
    chip = ChipKeys(data, master.version, keys.enc, keys.mac, keys.dek)
    create_card(path, chip, profile.history, profile.unsettled)


def require_blank(session: PurseSession) -> None:
    """Raise RefusedError unless the card can still be personalized."""
    status = session.selected.status
    if status.state not in (LifeCycle.BLANK, LifeCycle.PERSONALIZATION):
        raise RefusedError(f"card {session.card} is {status.state.text} already; put a blank card in")


def keys_of(master: MasterKey) -> KeysFor:
    """How a card gets its static keys from a master key, by what it answers to INITIALIZE UPDATE."""

    def keys_for(answer: InitializeUpdateAnswer) -> StaticKeys:
        """The static keys of the card that answered; raises InputError for another key version."""
        if answer.key_version != master.version:
            raise InputError(f"the card has key version {answer.key_version}, key {master.name} is {master.version}")
        return static_keys(master.key, master.scheme, answer.diversification_data, master.size)

    return keys_for


def personalize_card(slot: CardSlot, letter: Letter, profile: Profile, master: MasterKey, line: IssuerLine) -> None:
    """Make the blank card in a slot the purse that the letter names, with the letter's codes.

    Raises RefusedError for a card that is not blank, SecureChannelError when the master key is not the
    card's (no try is burned), InputError for a PIN that is none. Interrupted, it can begin again.
    """
    card = letter.card
    codes = (pin_block(letter.pin), pin_block(letter.resetting_code))
    data = IssuerData(profile.parameters(card, line.unit), line.public_keys, *codes)
    try:
        connection = slot.connect()
        require_blank(PurseSession(connection))
        session = IssuerSession(connection, keys_of(master))
        session.personalize(data, lambda point: line.certify(card, point))
    finally:
        slot.close()
