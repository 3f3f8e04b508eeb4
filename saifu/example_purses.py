"""The purses of protocol.md's worked examples: the real card model with keys and randomness that never change.

Everything signed is the same in every run, because signatures are deterministic (RFC 6979).
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import shake_256

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from apdu import ber
from apdu.command import CommandApdu
from apdu.commands import BY_INS, Ins
from apdu.dgi import Dgi, encode_dgi
from apdu.identity import CardId, Role
from apdu.messages import Certificate, Credit, Head, Signed, UnlockOrder
from apdu.objects import CenterKey, KeyUse, Parameters
from apdu.signature import point_of, private_key
from apdu.status import StatusError
from broadcast.edition import Edition
from host.connection import CardConnection
from host.exchange import exchange
from host.model import ChipKeys, ModelSlot, memory_card
from host.scp03 import StaticKeys
from host.secure_connection import SecureConnection
from host.session import PurseSession, pin_block

__all__ = ["CHIP", "ISSUER", "LISTED", "NOW", "Exchange", "Scene", "center_key", "edition", "scenes", "stream"]

NOW = 1_800_000_000
"""The date in the examples."""
ISSUER, EUR = 1, 978
FLOAT, PAYER, PAYEE = 1, 2, 3
CHIP = StaticKeys(bytes(range(0x10, 0x20)), bytes(range(0x20, 0x30)), bytes(range(0x30, 0x40)))
LISTED = (2, 77, 300, 600, 70_000, 16_909_060, 4_000_000_000)
"""The serials of the blacklist in the examples."""
_PIN, _RESETTING_CODE = pin_block("2468"), pin_block("13572468")
_CERTIFICATION, _ORDERS = 1, 2
_YEAR = 365 * 86400
_LIMITS, _FLOAT_LIMITS = (100_000, 50_000, 2_000, 5_000), (0xFFFFFFFF,) * 4
"""The most on the purse, the most in one transfer, the amount and the sum above which PAY wants the PIN."""


def stream(seed: str, count: int, size: int) -> bytes:
    """The ``count``-th draw (from 1) of what takes the place of randomness: SHAKE256 over seed and count."""
    return shake_256(seed.encode() + count.to_bytes(4)).digest(size)


class _Stream:
    """A source of bytes for a card that is the same in every run."""

    def __init__(self, seed: str) -> None:
        self._seed, self._count = seed, 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return stream(self._seed, self._count, size)


def center_key(number: int) -> EllipticCurvePrivateKey:
    """The center's private key 1 or 2."""
    return private_key(stream(f"center key {number}", 1, 40))


@dataclass(frozen=True, slots=True)
class Exchange:
    """One command and its answer; ``plain`` is the command inside a secure channel."""

    card: str
    command: bytes
    answer: bytes
    plain: CommandApdu | None = None


Scene = list[Exchange]


class _Recorded:
    """A connection that writes down what goes over it."""

    def __init__(self, name: str, connection: CardConnection) -> None:
        self._name, self._connection = name, connection
        self.scene: Scene = []
        self.plain: CommandApdu | None = None

    def transmit(self, command: bytes) -> bytes:
        """Send, and write down."""
        answer = self._connection.transmit(command)
        self.scene.append(Exchange(self._name, command, answer, self.plain))
        return answer


class _Purse:
    """A card of the examples with its recorded connection."""

    def __init__(self, name: str, serial: int, role: Role, initial: int) -> None:
        self.name, self.card = name, CardId.of(ISSUER, serial)
        chip = ChipKeys(b"example-%02d" % serial, 1, CHIP.enc, CHIP.mac, CHIP.dek)
        self._slot = ModelSlot(name, memory_card(chip, 64, 4, _Stream(f"card {serial}")))
        limits = _FLOAT_LIMITS if role is Role.FLOAT else _LIMITS
        self._parameters = Parameters(self.card, role, EUR, *limits, 3, 10, initial)
        self.wire = _Recorded(name, self._slot.connect())
        self._personalize()

    def session(self, scene: Scene) -> PurseSession:
        """Reset the card and select it; what is said goes into the scene."""
        self.wire = _Recorded(self.name, self._slot.connect())
        self.wire.scene = scene
        return PurseSession(self.wire)

    def _personalize(self) -> None:
        wire = self.wire
        PurseSession(wire)
        channel = SecureConnection.open(wire, lambda _: CHIP, 0x33, host_challenge=bytes(range(1, 9)))

        def send(ins: Ins, p1: int, p2: int, data: bytes = b"", ne: int | None = None) -> bytes:
            """Send a command through the channel; it is written down in clear as well."""
            wire.plain = CommandApdu(BY_INS[ins].cla, ins, p1, p2, data, ne)
            return exchange(channel, wire.plain).data

        point = ber.find(send(Ins.GENERATE_KEY_PAIR, 0x80, 0x00, ne=256), 0x7F49, 0x86)[1:]
        keys = (
            CenterKey(_CERTIFICATION, KeyUse.CERTIFICATION, point_of(center_key(_CERTIFICATION))),
            CenterKey(_ORDERS, KeyUse.ORDERS, point_of(center_key(_ORDERS))),
        )
        send(Ins.STORE_DATA, 0x08, 0, encode_dgi(Dgi.PARAMETERS, self._parameters.encode()))
        for number, key in enumerate(keys, 1):
            send(Ins.STORE_DATA, 0x08, number, encode_dgi(Dgi.CENTER_KEY, key.encode()))
        secret = channel.dek_encrypt(_PIN + _RESETTING_CODE)
        send(Ins.STORE_DATA, 0x68, 3, encode_dgi(Dgi.REFERENCE_DATA, secret))
        send(Ins.STORE_DATA, 0x08, 4, encode_dgi(Dgi.CERTIFICATE, self._certificate(point).raw))
        send(Ins.STORE_DATA, 0x88, 5, encode_dgi(Dgi.CREDIT, self.credit(1, seen=0).raw))

    def _certificate(self, point: bytes) -> Signed[Certificate]:
        body = Certificate(_CERTIFICATION, self.card, self._parameters.role, NOW + 5 * _YEAR, point)
        return Signed.make(body, center_key(_CERTIFICATION))

    def credit(self, serial: int, seen: int) -> Signed[Credit]:
        """Credit information for this card."""
        body = Credit(_ORDERS, self.card, serial, NOW, NOW + _YEAR, 200, 500_000, seen)
        return Signed.make(body, center_key(_ORDERS))


def edition() -> Edition:
    """Edition 7 of the blacklist."""
    return Edition.make(center_key(_ORDERS), Head(_ORDERS, ISSUER, 7, NOW, NOW + 86400, 0, b""), LISTED)


@cache
def scenes() -> dict[str, Scene]:
    """Play all examples, one after the other, on the same three cards."""
    bank = _Purse("float", FLOAT, Role.FLOAT, 10_000_000)
    payer, payee = _Purse("payer", PAYER, Role.PERSON, 0), _Purse("payee", PAYEE, Role.PERSON, 0)
    played = {"personalization": payer.wire.scene}
    _pay(bank, payer, 100_00, [])
    played["history"] = []
    session = payer.session(played["history"])
    session.read_record(0)
    session.get_counters()
    for name, play in (("payment", _payment), ("pin", _pin), ("resume", _resume), ("refusal", _refusal)):
        played[name] = []
        play(payer, payee, played[name])
    for name, act in (("renewal", _renewal), ("lock out", _lock_out)):
        played[name] = []
        act(payer, played[name])
    return played


def _pay(payer: _Purse, payee: _Purse, amount: int, scene: Scene) -> None:
    paying, paid = payer.session(scene), payee.session(scene)
    paying.settle(paid.receive(paying.pay(paid.request(amount, paying.card, NOW), NOW), NOW))


def _payment(payer: _Purse, payee: _Purse, scene: Scene) -> None:
    _pay(payer, payee, 12_50, scene)


def _pin(payer: _Purse, payee: _Purse, scene: Scene) -> None:
    """More than the amount above which this purse wants the PIN."""
    paying, paid = payer.session([]), payee.session([])
    payer.wire.scene = payee.wire.scene = scene
    requested = paid.request(25_00, paying.card, NOW)
    with suppress(StatusError):
        paying.pay(requested, NOW)
    paying.verify(_PIN)
    paying.settle(paid.receive(paying.pay(requested, NOW), NOW))


def _resume(payer: _Purse, payee: _Purse, scene: Scene) -> None:
    """The payer is pulled out right after PAY, and comes back."""
    paying, paid = payer.session([]), payee.session([])
    paying.pay(paid.request(5_00, paying.card, NOW), NOW)
    paying, paid = payer.session(scene), payee.session(scene)
    entry = paying.get_unsettled()[0]
    paying.settle(paid.receive(paying.give_again(entry.counter), NOW))


def _refusal(payer: _Purse, payee: _Purse, scene: Scene) -> None:
    """The payee gives a request up by opening another; then the value of the first arrives."""
    paying, paid = payer.session([]), payee.session([])
    value = paying.pay(paid.request(3_00, paying.card, NOW), NOW)
    payer.wire.scene = payee.wire.scene = scene
    paid.request(4_00, paying.card, NOW)
    paying.settle(paid.receive(value, NOW))


def _renewal(payer: _Purse, scene: Scene) -> None:
    session = payer.session(scene)
    state = session.attest(bytes(range(16))).attestation.body
    session.put_credit(payer.credit(2, state.record))


def _lock_out(payer: _Purse, scene: Scene) -> None:
    """Listed in edition 7, unlocked by an order that makes 8 the lowest edition from then on."""
    session, listed = payer.session(scene), edition()
    session.lock_out(listed.head, listed.tree.prove(PAYER))
    session.select()
    session.unlock(Signed.make(UnlockOrder(_ORDERS, payer.card, 8), center_key(_ORDERS)))
    session.select()
