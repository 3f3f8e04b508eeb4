"""Commands to be cut, each with the cards it needs, and what must be possible whatever was cut."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from apdu.dgi import Dgi
from apdu.identity import LifeCycle
from apdu.messages import Signed, TerminateOrder, UnlockOrder
from apdu.objects import Kind
from applet_model.backing import MemoryBacking
from applet_model.memory import Cell
from applet_model.memory_map import SCP_TRIES, MemoryMap
from host.issuer_session import IssuerSession
from host.model import ModelSlot
from host.session import Answer, Paid, PurseSession, Requested, pin_block
from tests.applet_model.cards import ISSUER, SERIAL, CopiedCard, blank, image_in, purse, session
from tests.issuer import FAR, NOW, ORDERS, PIN, PUK, PUT, STATIC

__all__ = ["SCENES", "Scene"]

MONEY, AMOUNT = 10_000, 100
LATE = NOW + 20_000_000
"""After the end of every certificate: a payee closes its request with a refusal then."""
NEW_PIN = pin_block("778899")
Act = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Scene:
    """``begin`` leads to the command; ``finish`` is given every image that a cut led to."""

    name: str
    begin: Callable[[type[CopiedCard]], tuple[CopiedCard, Act]]
    finish: Callable[[bytes], None]
    also: Callable[[bytes], list[bytes]] = lambda _: []
    """Images that are allowed beside before and after, made of the one before."""


def scene(
    name: str,
    image: Callable[[], bytes],
    act: Callable[[PurseSession], object],
    finish: Callable[[bytes], None],
    also: Callable[[bytes], list[bytes]] = lambda _: [],
) -> Scene:
    """A command of a selected purse."""

    def begin(kind: type[CopiedCard]) -> tuple[CopiedCard, Act]:
        card = kind(image())
        return card, partial(act, session(card))

    return Scene(name, begin, finish, also)


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer, with the images of both cards on its way; and one that the payee gave up."""

    payer: bytes
    payer_paid: bytes
    payee: bytes
    payee_asked: bytes
    payee_received: bytes
    payee_refused: bytes
    requested: Requested
    paid: Paid
    receipt: Answer
    refusal: Answer


@cache
def the() -> Transfer:
    """Made for real, once."""
    payer, payee = purse(1, MONEY), purse(2)
    start, idle = payer.image(), payee.image()
    requested = session(payee).request(AMOUNT, ISSUER.id(1), NOW)
    asked = payee.image()
    paid = session(payer).pay(requested, NOW)
    receipt = session(payee).receive(paid, NOW)
    forgetful = CopiedCard(asked, 3)
    session(forgetful).request(AMOUNT, ISSUER.id(1), NOW)
    refusal = session(forgetful).receive(paid, NOW)
    return Transfer(
        start, payer.image(), idle, asked, payee.image(), forgetful.image(), requested, paid, receipt, refusal
    )  # fmt: skip


def assert_conserved(payer: PurseSession, payee: PurseSession) -> None:
    """Money is in one of the purses, or on its way from one to the other."""
    got = {(r.other, r.counter) for r in payee.history(16) if r.kind is Kind.RECEIVED}
    waiting = [entry.amount for entry in payer.get_unsettled() if (payer.card, entry.counter) not in got]
    balances = [purse.select().status.balance for purse in (payer, payee)]
    assert sum(balances) + sum(waiting) == MONEY


def finish_transfer(payer_image: bytes, payee_image: bytes, *, pay_again: bool = False) -> None:
    """The two cards meet again: nothing is lost, the old transfer ends, and a new one works."""
    payer, payee = session(CopiedCard(payer_image, 8)), session(CopiedCard(payee_image, 9))
    assert_conserved(payer, payee)
    if pay_again and not payer.get_unsettled():
        payer.pay(the().requested, NOW)
    for entry in payer.get_unsettled():
        payer.settle(payee.receive(payer.give_again(entry.counter), NOW))
        assert_conserved(payer, payee)
    before = payee.select().status.balance
    payer.settle(payee.receive(payer.pay(payee.request(AMOUNT, payer.card, NOW), NOW), NOW))
    assert payee.select().status.balance == before + AMOUNT
    assert (payer.select().status.balance, payer.get_unsettled()) == (MONEY - before - AMOUNT, [])


def request_again(payee: PurseSession) -> None:
    payee.request(AMOUNT, ISSUER.id(1), NOW)


TRANSFERS = (
    scene(
        "REQUEST", lambda: the().payee_asked, request_again,
        lambda image: finish_transfer(the().payer_paid, image),
    ),
    scene(
        "PAY", lambda: the().payer, lambda payer: payer.pay(the().requested, NOW),
        lambda image: finish_transfer(image, the().payee_asked, pay_again=True),
    ),
    scene(
        "RECEIVE", lambda: the().payee_asked, lambda payee: payee.receive(the().paid, NOW),
        lambda image: finish_transfer(the().payer_paid, image),
    ),
    scene(
        "RECEIVE, refused", lambda: the().payee_asked, lambda payee: payee.receive(the().paid, LATE),
        lambda image: finish_transfer(the().payer_paid, image),
    ),
    scene(
        "SETTLE with receipt", lambda: the().payer_paid, lambda payer: payer.settle(the().receipt),
        lambda image: finish_transfer(image, the().payee_received),
    ),
    scene(
        "SETTLE with refusal", lambda: the().payer_paid, lambda payer: payer.settle(the().refusal),
        lambda image: finish_transfer(image, the().payee_refused),
    ),
)  # fmt: skip
# --- lock-out, credit, life cycle --------------------------------------------------------------------------


def patched(image: bytes, cell: Callable[[MemoryMap], Cell], value: bytes) -> bytes:
    """An image with one cell changed."""
    at = cell(MemoryMap.open(MemoryBacking(image))).offset
    return image[:at] + value + image[at + len(value) :]


def active() -> bytes:
    return image_in(LifeCycle.ACTIVE)


def locked() -> bytes:
    return image_in(LifeCycle.LOCKED_OUT)


EDITION = ISSUER.edition(3, SERIAL, 70_000)
UNLOCK = Signed.make(UnlockOrder(ORDERS, ISSUER.id(SERIAL), 2), ISSUER.orders)
TERMINATE = Signed.make(TerminateOrder(ORDERS, ISSUER.id(SERIAL), FAR), ISSUER.orders)
CREDIT = ISSUER.credit(SERIAL, 2, issued=NOW + 5)


def lock_out(card: PurseSession) -> None:
    card.lock_out(EDITION.head, EDITION.tree.prove(SERIAL))


def state_of(image: bytes) -> LifeCycle:
    return session(CopiedCard(image)).selected.status.state


def finish_lock_out(image: bytes) -> None:
    """Locked with edition and date, or neither; and it can be locked (again)."""
    card = session(CopiedCard(image))
    was_locked = card.selected.status.state is LifeCycle.LOCKED_OUT
    assert card.selected.status.edition == (3 if was_locked else 0)
    assert (card.get_head() is not None) == was_locked
    lock_out(card)
    assert card.select().status.state is LifeCycle.LOCKED_OUT


def finish_unlock(image: bytes) -> None:
    card = session(CopiedCard(image))
    if card.selected.status.state is LifeCycle.LOCKED_OUT:
        card.unlock(UNLOCK)
    assert (card.select().status.state, card.selected.status.edition) == (LifeCycle.ACTIVE, 2)


def finish_terminate(image: bytes) -> None:
    if state_of(image) is LifeCycle.ACTIVE:
        session(card := CopiedCard(image)).terminate(TERMINATE, NOW)
        image = card.image()
    assert state_of(image) is LifeCycle.TERMINATED


def finish_put_date(image: bytes) -> None:
    card = session(CopiedCard(image))
    card.put_date(EDITION.head)
    assert card.get_head() == EDITION.head


def finish_put_credit(image: bytes) -> None:
    """Credit and date belong together: the old pair or the new one."""
    card = session(CopiedCard(image))
    serial, date = card.get_credit()[0].body.serial, card.get_counters().date
    assert (serial, date) in {(1, NOW), (2, NOW + 5)}
    if serial == 1:
        card.put_credit(CREDIT)
    assert card.get_credit()[0] == CREDIT


ORDERED = (
    scene("LOCK OUT", active, lock_out, finish_lock_out),
    scene("UNLOCK", locked, lambda card: card.unlock(UNLOCK), finish_unlock),
    scene("TERMINATE", active, lambda card: card.terminate(TERMINATE, NOW), finish_terminate),
    scene("PUT DATE", active, lambda card: card.put_date(EDITION.head), finish_put_date),
    scene("PUT CREDIT", active, lambda card: card.put_credit(CREDIT), finish_put_credit),
)

# --- PIN and personalization: commands of more than one transaction ------------------------------------------


def pin_try_gone(image: bytes) -> list[bytes]:
    """Taken off before anything is compared; the image before has three."""
    return [patched(image, lambda cells: cells.pin_tries, b"\x02")]


def puk_try_gone(image: bytes) -> list[bytes]:
    return [patched(image, lambda cells: cells.puk_tries, b"\x09")]


def finish_pin(image: bytes) -> None:
    """One of the two PINs is right, whole."""
    card = session(CopiedCard(image))
    pin = MemoryMap.open(MemoryBacking(image)).pin.get()
    assert pin in (PIN, NEW_PIN)
    card.verify(pin)
    assert card.get_reference_data().verified


def stored_not_active(image: bytes) -> list[bytes]:
    """The last block has two steps: its groups are stored, then the card is activated."""
    with_credit = patched(image, lambda cells: cells.credit, ISSUER.credit(SERIAL, 1).raw)
    return [patched(with_credit, lambda cells: cells.stored, b"\x9f")]


def begin_last_block(kind: type[CopiedCard]) -> tuple[CopiedCard, Act]:
    card = kind(blank().image())
    issuer = IssuerSession(ModelSlot("issuer", card).connect(), lambda _: STATIC)
    certificate = ISSUER.certificate(SERIAL, issuer.generate_key_pair())
    issuer.store_data(Dgi.PARAMETERS, ISSUER.parameters(SERIAL).encode())
    for key in ISSUER.keys:
        issuer.store_data(Dgi.CENTER_KEY, key.encode())
    issuer.store_data(Dgi.REFERENCE_DATA, PIN + PUK, encrypted=True)
    issuer.store_data(Dgi.CERTIFICATE, certificate.raw)
    return card, lambda: issuer.store_data(Dgi.CREDIT, ISSUER.credit(SERIAL, 1).raw, last=True)


def begin_key_pair(kind: type[CopiedCard]) -> tuple[CopiedCard, Act]:
    """A second key pair, over what an interrupted personalization has stored."""
    card, _ = begin_last_block(kind)
    return card, IssuerSession(ModelSlot("issuer", card).connect(), lambda _: STATIC).generate_key_pair


def begin_put_key(kind: type[CopiedCard]) -> tuple[CopiedCard, Act]:
    """Longer keys, in the place of the maker's."""
    card = kind(blank().image())
    issuer = IssuerSession(ModelSlot("issuer", card).connect(), lambda _: STATIC)
    return card, lambda: issuer.put_key(1, PUT[-1])


def finish_put_key(image: bytes) -> None:
    """The card says which keys it has, they open the channel at once, and with them it becomes a purse."""
    cells = MemoryMap.open(MemoryBacking(image))
    assert (cells.scp_tries.number(), state_of(image)) == (SCP_TRIES, LifeCycle.BLANK)
    card = CopiedCard(image, 5)
    issuer = IssuerSession(
        ModelSlot("issuer", card).connect(), lambda answer: STATIC if answer.key_version == 0xFF else PUT[-1]
    )
    issuer.put_key(2, STATIC)
    ISSUER.personalize(card, ISSUER.parameters(SERIAL))


def finish_personalization(image: bytes) -> None:
    """Active and whole; or personalization begins again."""
    card = CopiedCard(image, 5)
    if state_of(image) is not LifeCycle.ACTIVE:
        ISSUER.personalize(card, ISSUER.parameters(SERIAL))
    purse = session(card)
    assert (purse.selected.status.state, purse.card) == (LifeCycle.ACTIVE, ISSUER.id(SERIAL))
    assert purse.get_reference_data().pin_tries == 3
    purse.request(AMOUNT, ISSUER.id(1), NOW)


STEPWISE = (
    scene("VERIFY", active, lambda card: card.verify(PIN), finish_pin, pin_try_gone),
    scene(
        "CHANGE REFERENCE DATA", active, lambda card: card.change_reference_data(PIN, NEW_PIN),
        finish_pin, pin_try_gone,
    ),
    scene(
        "RESET RETRY COUNTER", active, lambda card: card.reset_retry_counter(PUK, NEW_PIN),
        finish_pin, puk_try_gone,
    ),
    Scene("GENERATE KEY PAIR", begin_key_pair, finish_personalization),
    Scene("PUT KEY", begin_put_key, finish_put_key),
    Scene("STORE DATA, last block", begin_last_block, finish_personalization, stored_not_active),
)  # fmt: skip

SCENES = {one.name: one for one in (*TRANSFERS, *ORDERED, *STEPWISE)}
