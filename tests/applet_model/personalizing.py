"""Personalization step by step, so that a test can leave out, change or repeat any of it."""

from dataclasses import replace

from apdu.cipher import cbc_encrypt
from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.dgi import Dgi, encode_dgi
from apdu.identity import LifeCycle
from apdu.messages import Signed
from apdu.response import ResponseApdu
from host.model import ModelSlot
from host.scp03 import StaticKeys
from host.secure_connection import SecureConnection
from host.session import PurseSession
from tests.applet_model.cards import ISSUER, SERIAL, CopiedCard, blank, session
from tests.issuer import NOW, PIN, PUK, STATIC

__all__ = ["Personalizing", "assert_usable", "begun"]


class Personalizing:
    """A card in a channel at level 33, and the groups that make it a purse; a test changes some of them."""

    def __init__(self, card: CopiedCard | None = None, keys: StaticKeys = STATIC) -> None:
        self.card, self._keys = card or blank(), keys
        self.channel = SecureConnection.open(self._selected(), lambda _: keys, 0x33)
        self.block = 0
        self.point = b""

    def _selected(self) -> ModelSlot:
        slot = ModelSlot("issuer", self.card).connect()
        PurseSession(slot)
        return slot

    def send(self, ins: int, p1: int, p2: int, data: bytes = b"") -> ResponseApdu:
        command = CommandApdu(0x80, ins, p1, p2, data, 256)
        return ResponseApdu.decode(self.channel.transmit(command.encode()))

    def generate(self) -> bytes:
        self.point = self.send(Ins.GENERATE_KEY_PAIR, 0x80, 0).data[-64:]
        return self.point

    def store(self, groups: bytes, p1: int = 0x08) -> int:
        response = self.send(Ins.STORE_DATA, p1, self.block, groups)
        self.block += response.sw == 0x9000
        return response.sw

    def certificate(self, **changed: object) -> bytes:
        body = replace(ISSUER.certificate(SERIAL, self.point).body, **changed)  # type: ignore[arg-type]  # any field
        return Signed.make(body, ISSUER.certification).raw

    def reference_data(self) -> bytes:
        """The codes as they go: under the DEK."""
        return encode_dgi(Dgi.REFERENCE_DATA, cbc_encrypt(self._keys.dek, bytes(16), PIN + PUK))

    def groups(self) -> dict[str, bytes]:
        """All groups in a usual order; reference data as it goes under the DEK."""
        keys = {f"CENTER_KEY {i}": encode_dgi(Dgi.CENTER_KEY, key.encode()) for i, key in enumerate(ISSUER.keys)}
        return {
            "PARAMETERS": encode_dgi(Dgi.PARAMETERS, ISSUER.parameters(SERIAL).encode()),
            **keys,
            "REFERENCE_DATA": self.reference_data(),
            "CERTIFICATE": encode_dgi(Dgi.CERTIFICATE, self.certificate()),
            "CREDIT": encode_dgi(Dgi.CREDIT, ISSUER.credit(SERIAL, 1).raw),
        }

    def store_all(self, groups: dict[str, bytes]) -> int:
        """Store groups, a block each, the last one with the bit that says so; returns the last word."""
        words = []
        for i, (name, group) in enumerate(groups.items()):
            p1 = (0x68 if name == "REFERENCE_DATA" else 0x08) | (0x80 if i == len(groups) - 1 else 0)
            words.append(self.store(group, p1))
        assert {*words[:-1]} <= {0x9000}
        return words[-1]

    @property
    def state(self) -> LifeCycle:
        return session(CopiedCard(self.card.image())).selected.status.state


def begun() -> Personalizing:
    """In a channel, with a key pair."""
    work = Personalizing()
    work.generate()
    return work


def assert_usable(card: CopiedCard) -> None:
    purse = session(card)
    assert (purse.selected.status.state, purse.card) == (LifeCycle.ACTIVE, ISSUER.id(SERIAL))
    assert purse.get_parameters() == ISSUER.parameters(SERIAL)
    purse.verify(PIN)
    purse.request(100, ISSUER.id(1), NOW)
