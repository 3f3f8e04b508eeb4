"""The static keys of a card before it is a purse: first its maker's, then the issuer's.

A card comes from its maker with transport keys, under key version FF. They are one of three things: keys that everybody
knows (GlobalPlatform's test key 40 to 4F, which blank cards of the market have); keys of a lot, in a file; or keys that
the maker derives for each card from a master key of his, which the issuer has in his key store under version 255. The
issuer's own are derived from his master key, by the same 10 bytes of diversification data, and put by PUT KEY.

Which keys a card has is never guessed. INITIALIZE UPDATE tells the key version; version FF stands for the maker's keys,
the version of the master key for the issuer's, and any other is told and left alone. The card's cryptogram proves it
before the host says anything under these keys, so neither a change that was cut nor a wrong file costs a try.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from apdu.errors import InputError, SecureChannelError
from host.connection import CardConnection
from host.issuer_session import TRANSPORT_VERSION, IssuerSession
from host.scp03 import InitializeUpdateAnswer, StaticKeys
from host.secure_connection import KeysFor
from personalization.diversification import static_keys
from personalization.keystore import MasterKey

__all__ = ["CardKeys", "TransportKeys", "derived", "issuer_session", "keys_of", "public_transport_keys"]

TransportKeys = Callable[[bytes], StaticKeys]
"""The keys that a card's maker gave it, by its diversification data (10 bytes)."""


def public_transport_keys(_: bytes) -> StaticKeys:
    """40 to 4F three times: the test key of GlobalPlatform, which everybody knows."""
    key = bytes(range(0x40, 0x50))
    return StaticKeys(key, key, key)


def derived(master: MasterKey) -> TransportKeys:
    """Keys that come from a master key, by the diversification data alone."""
    return lambda data: static_keys(master.key, master.scheme, data, master.size)


def keys_of(master: MasterKey) -> KeysFor:
    """How a card gets its static keys from a master key, by what it answers to INITIALIZE UPDATE."""

    def keys_for(answer: InitializeUpdateAnswer) -> StaticKeys:
        """The static keys of the card that answered; raises InputError for another key version."""
        if answer.key_version != master.version:
            raise InputError(f"the card has key version {answer.key_version}, key {master.name} is {master.version}")
        return derived(master)(answer.diversification_data)

    return keys_for


@dataclass(frozen=True, slots=True)
class CardKeys:
    """The issuer's master key, and how the maker's keys are known."""

    issuer: MasterKey
    transport: TransportKeys = field(default=public_transport_keys, repr=False)

    def __post_init__(self) -> None:
        """Raise InputError when the master key is a maker's."""
        if self.issuer.is_makers:
            raise InputError(
                f"key {self.issuer.name} is a card maker's (version {TRANSPORT_VERSION}): cards get keys of your own"
            )

    def keys_for(self, answer: InitializeUpdateAnswer) -> StaticKeys:
        """The keys that a card has, by the version that it tells; raises InputError for another one."""
        if answer.key_version == TRANSPORT_VERSION:
            return self.transport(answer.diversification_data)
        return keys_of(self.issuer)(answer)


def issuer_session(
    connection: CardConnection, keys: CardKeys, changing: Callable[[bytes], object] = lambda _: None
) -> IssuerSession:
    """A session under the issuer's keys; where the card has its maker's they are replaced before anything else.

    ``changing`` is told the diversification data just before: from then on the card may have either. Raises
    SecureChannelError when the card does not prove the keys that it should have, and no try is burned.
    """
    session = _opened(connection, keys.keys_for)
    if session.card.key_version != TRANSPORT_VERSION:
        return session
    chip = session.card.diversification_data
    changing(chip)
    session.put_key(keys.issuer.version, derived(keys.issuer)(chip))
    return _opened(connection, keys_of(keys.issuer))


def _opened(connection: CardConnection, keys_for: KeysFor) -> IssuerSession:
    """A session; when the card's cryptogram is wrong, it is told whose keys were tried."""
    tried: list[str] = []

    def noted(answer: InitializeUpdateAnswer) -> StaticKeys:
        """The keys for a card, and whose they are."""
        makers = "those of its maker (see --transport-keys)"
        tried.append(makers if answer.key_version == TRANSPORT_VERSION else "those of this master key (see --key)")
        return keys_for(answer)

    try:
        return IssuerSession(connection, noted)
    except SecureChannelError as error:
        whose = f"; its keys should be {tried[-1]}" if tried else ""
        raise SecureChannelError(f"{error}{whose}; no try was taken") from None
