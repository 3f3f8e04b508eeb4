"""Real traces: two purses of the model do business, and a file keeps what was said."""

from pathlib import Path

from apdu.identity import Role
from apdu.messages import Signed, UnlockOrder
from apdu.protocol import Protocol
from apdu.trace.detection import read
from apdu.trace.inspector import inspect
from apdu.trace.model import Item
from apdu.trace.reading import Reading
from host.model import ModelSlot, memory_card
from host.recording import RecordingSlot, TraceFile
from host.session import PurseSession
from tests.issuer import CHIP, NOW, ORDERS, PIN, PUK, Issuer

__all__ = ["items_of", "readings_of", "record"]

ISSUER = Issuer()


def record(path: Path, protocol: Protocol = Protocol.T1, names: tuple[str, str] = ("left", "right")) -> None:
    """A payment above the PIN's amount, resumed; then history, renewal, lock-out and unlocking."""
    with TraceFile(path, "test") as trace:
        payer, payee = (
            RecordingSlot(slot(name, serial, protocol, initial), trace)
            for name, serial, initial in zip(names, (2, 3), (20_000, 0), strict=True)
        )
        business(payer, payee)


def slot(name: str, serial: int, protocol: Protocol, initial: int) -> ModelSlot:
    """A purse in its slot."""
    card = memory_card(CHIP, 16, 4, protocol=protocol)
    ISSUER.personalize(card, ISSUER.parameters(serial, Role.FLOAT if initial else Role.PERSON, initial))
    return ModelSlot(name, card)


def business(left: RecordingSlot, right: RecordingSlot) -> None:
    """What the two do."""
    payer, payee = PurseSession(left.connect()), PurseSession(right.connect())
    requested = payee.request(6000, payer.card, NOW)
    payer.verify(PIN)
    payer.pay(requested, NOW)
    payer = PurseSession(left.connect())
    answer = payee.receive(payer.give_again(payer.get_unsettled()[0].counter), NOW)
    payer.settle(answer)
    list(payer.history(16))
    payer.get_counters()
    payer.attest(bytes(16))
    payer.put_credit(ISSUER.credit(2, 2, seen=1))
    payer.reset_retry_counter(PUK, PIN)
    edition = ISSUER.edition(1, 2, *(1 << n for n in range(10, 31, 2)))
    payer.lock_out(edition.head, edition.tree.prove(2))
    payer.unlock(Signed.make(UnlockOrder(ORDERS, payer.card, 2), ISSUER.orders))


def items_of(path: Path) -> list[Item]:
    """Everything in a trace."""
    return list(read([path.read_bytes()])[1])


def readings_of(path: Path) -> list[Reading]:
    """Everything in a trace, in words."""
    return list(inspect(items_of(path)))
