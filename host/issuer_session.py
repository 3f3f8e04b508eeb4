"""The issuer's session with a blank card: secure channel, key pair, STORE DATA; then the life cycle closes."""

from collections.abc import Callable
from dataclasses import dataclass

from apdu import ber
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
from host.secure_connection import KeysFor, SecureConnection
from host.session import PurseSession

__all__ = ["Certify", "IssuerData", "IssuerSession"]

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
