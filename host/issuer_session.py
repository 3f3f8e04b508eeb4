"""The issuer's session with a blank card: keys, key pair, STORE DATA; then the life cycle closes.

A card comes from its maker with keys that the maker knows, under key version FF. ``put_key`` replaces them, and ends
the channel that it came through: the session is over then, and another one is opened with the new keys. When its
answer is lost the card has the old keys or the new ones; INITIALIZE UPDATE of the next session tells which, by the key
version, before anything is tried with them.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from apdu import ber
from apdu.cipher import BLOCK, key_check_value
from apdu.command import CommandApdu
from apdu.commands import BY_INS, Ins
from apdu.dgi import Dgi, encode_dgi
from apdu.errors import FormatError, MisbehaviourError
from apdu.identity import LifeCycle
from apdu.messages import Certificate, Credit, Signed
from apdu.objects import CenterKey, Parameters
from apdu.signature import POINT_SIZE
from apdu.status import StatusError, StatusWord
from host.connection import CardConnection
from host.exchange import exchange
from host.scp03 import InitializeUpdateAnswer, StaticKeys
from host.secure_connection import KeysFor, SecureConnection
from host.session import PurseSession

__all__ = ["TRANSPORT_VERSION", "Certify", "IssuerData", "IssuerSession"]

TRANSPORT_VERSION = 0xFF
"""Key version of the keys that a card has from its maker."""
_KEYS, _AES = 0x81, 0x88
"""P2 of PUT KEY: several keys, of which the first is number 1; and the type of an AES key (GlobalPlatform 11.1.8)."""

_DGI_BLOCK, _ENCRYPTED, _LAST = 0x08, 0x60, 0x80
_LEVEL = 0x33
"""Everything encrypted and authenticated, in both directions."""


@dataclass(frozen=True, slots=True, repr=False)
class IssuerData:
    """What the issuer decides about a card; PIN and resetting code are blocks of 8 bytes."""

    parameters: Parameters
    center_keys: tuple[CenterKey, ...]
    pin: bytes
    resetting_code: bytes


Certify = Callable[[bytes], tuple[Signed[Certificate], Signed[Credit]]]
"""Asks the center for certificate and first credit, given the card's public key."""


class IssuerSession:
    """A secure channel with a card that is blank or in personalization."""

    def __init__(self, connection: CardConnection, keys_for: KeysFor) -> None:
        """Select and authenticate.

        Raises StatusError for a card that is not blank any more,
        SecureChannelError when the keys are wrong; a wrong key is seen before a try is burned.
        """
        state = PurseSession(connection).selected.status.state
        if state not in (LifeCycle.BLANK, LifeCycle.PERSONALIZATION):
            raise StatusError("INITIALIZE UPDATE", StatusWord.CONDITIONS_OF_USE)
        self._channel = SecureConnection.open(connection, keys_for, _LEVEL)
        self._block = 0

    @property
    def card(self) -> InitializeUpdateAnswer:
        """What the card told of its keys: their version, and the diversification data."""
        return self._channel.card

    def put_key(self, version: int, keys: StaticKeys) -> None:
        """PUT KEY: replace all three keys of the card, under a version from 1 to 127 (GlobalPlatform 11.8).

        The session ends: the card has forgotten the keys that it was opened with. Raises MisbehaviourError when the
        card does not tell the check values of the new keys.
        """
        old, given = self.card.key_version, (keys.enc, keys.mac, keys.dek)
        checks = [key_check_value(key) for key in given]
        blocks = map(self._key_block, given, checks)
        p1 = 0 if old == TRANSPORT_VERSION else old
        told = self._send(Ins.PUT_KEY, p1, _KEYS, bytes((version,)) + b"".join(blocks), ne=256)
        self._channel.close()
        if told != bytes((version,)) + b"".join(checks):
            raise MisbehaviourError("PUT KEY: the card does not tell the check values of the keys that it was given")

    def _key_block(self, key: bytes, check: bytes) -> bytes:
        """One key as Amendment D 7.2 has it: filled up to whole blocks at random, encrypted under the DEK."""
        secret = self._channel.dek_encrypt(key + secrets.token_bytes(-len(key) % BLOCK))
        return bytes((_AES, 1 + len(secret), len(key))) + secret + bytes((len(check),)) + check

    def generate_key_pair(self) -> bytes:
        """GENERATE KEY PAIR; returns the public key, X and Y."""
        raw = self._send(Ins.GENERATE_KEY_PAIR, 0x80, 0x00, ne=256)
        try:
            point = ber.find(raw, 0x7F49, 0x86)
        except FormatError as error:
            raise MisbehaviourError(f"GENERATE KEY PAIR: {error}") from None
        if len(point) != POINT_SIZE + 1 or point[0] != 0x04:
            raise MisbehaviourError("GENERATE KEY PAIR: the answer is not an uncompressed P-256 point")
        return point[1:]

    def store_data(self, dgi: Dgi, value: bytes, *, encrypted: bool = False, last: bool = False) -> None:
        """STORE DATA of one group; the last one activates the card."""
        p1 = _DGI_BLOCK | _ENCRYPTED * encrypted | _LAST * last
        sent = self._channel.dek_encrypt(value) if encrypted else value
        self._send(Ins.STORE_DATA, p1, self._block, encode_dgi(dgi, sent))
        self._block += 1

    def personalize(self, data: IssuerData, certify: Certify) -> Signed[Certificate]:
        """Do all of it; if it is interrupted, begin again: nothing counts before the last block."""
        certificate, credit = certify(self.generate_key_pair())
        self.store_data(Dgi.PARAMETERS, data.parameters.encode())
        for key in data.center_keys:
            self.store_data(Dgi.CENTER_KEY, key.encode())
        self.store_data(Dgi.REFERENCE_DATA, data.pin + data.resetting_code, encrypted=True)
        self.store_data(Dgi.CERTIFICATE, certificate.raw)
        self.store_data(Dgi.CREDIT, credit.raw, last=True)
        return certificate

    def _send(self, ins: Ins, p1: int, p2: int, data: bytes = b"", ne: int | None = None) -> bytes:
        row = BY_INS[ins]
        response = exchange(self._channel, CommandApdu(row.cla, ins, p1, p2, data, ne))
        if response.sw != StatusWord.OK:
            raise StatusError(row.name, response.sw)
        return response.data
