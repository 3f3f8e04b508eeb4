"""Power that goes in the middle of a command: all of it has happened then, or nothing (How to read this page)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import cycle

from apdu.command import CommandApdu
from apdu.commands import BY_INS, PIN_REFERENCE, Ins
from apdu.counting import counted
from apdu.dgi import Dgi
from apdu.identity import LifeCycle
from apdu.messages import Refusal, Resolution, Signed, UnlockOrder
from apdu.payload import Tag, pack
from apdu.status import StatusWord as W
from host.connection import CardConnection
from host.exchange import exchange
from host.model import Cut
from host.secure_connection import SecureConnection
from host.session import Answer, Paid, PurseSession, Requested, pin_block
from saifu.conformance.case import NotHereError, case
from saifu.conformance.changing_keys import VERSION, data_of, give_back, to_replace
from saifu.conformance.channel import LEVEL, TRIES, Channel, lose_try, parameters
from saifu.conformance.issuer import ORDERS, PIN, PUK, PUT
from saifu.conformance.partner import Partner
from saifu.conformance.provoking import close
from saifu.conformance.stand import SERIAL, Stand
from saifu.conformance.storing import (
    begun,
    center_keys,
    forged_credit,
    is_active,
    p1_of,
    secret_codes,
    store,
    without,
)
from saifu.conformance.subject import must

__all__: list[str] = []

LOCKED_OUT = LifeCycle.LOCKED_OUT
_MOST_WRITES = 64
_WRONG, _NEW = pin_block("0000"), pin_block("987654")
_OTHER_NUMBERS = 200, 201
"""Of center keys that are not those of the usual purse: two under each fill the places of a card."""
_NOTHING_STORED = [W.CONDITIONS_OF_USE, W.OK, W.OK, W.OK, W.OK, W.CONDITIONS_OF_USE]
"""What the blocks of ``_pair_and_words`` end in then."""


def _command(ins: Ins, objects: dict[Tag, bytes]) -> CommandApdu:
    return CommandApdu(BY_INS[ins].cla, ins, 0, 0, pack(objects))


def _cuts() -> Iterator[tuple[int, Cut]]:
    """Each write once, the ways of cutting it in turn."""
    return zip(range(_MOST_WRITES), cycle(Cut), strict=False)


def _require_cuts(stand: Stand) -> None:
    """Raise NotHereError, before a case has changed anything, for a card whose power cannot be cut in a command."""
    if not stand.card.in_process:
        raise NotHereError("the power can be cut in the middle of a command only for a card in this process")


def _tear_all(stand: Stand, prepare: Callable[[], CommandApdu], resume: Callable[[], None]) -> None:
    """Cut the power at every write of a command, and go on from there; ends when the command is through.

    Raises NotHereError where that cannot be done.
    """
    _require_cuts(stand)
    for write, cut in _cuts():
        if not stand.card.torn(prepare(), write, cut):
            return
        stand.audit()
        resume()


# --- codes -----------------------------------------------------------------------------------------------------


@case("VERIFY 3", "a cut right after a try was taken off does not give it back, even to the right PIN", ins=Ins.VERIFY)
def _try_before_comparison(stand: Stand) -> None:
    stand.ready()
    stand.card.torn(CommandApdu(0x00, Ins.VERIFY, 0, PIN_REFERENCE, PIN), 0)
    stand.card.fresh()
    stand.verify(b"", 0x63C2)
    stand.verify()


@case("VERIFY", "tries are whole at every cut", ins=Ins.VERIFY)
def _verify(stand: Stand) -> None:
    def again() -> CommandApdu:
        """The right PIN, to a card that was selected anew."""
        stand.card.fresh()
        return CommandApdu(0x00, Ins.VERIFY, 0, PIN_REFERENCE, PIN)

    stand.ready()
    _tear_all(stand, again, stand.verify)


@case("RESET RETRY COUNTER 2", "a cut right after a try was taken off does not give it back, even to the right code",
      ins=Ins.RESET_RETRY_COUNTER)  # fmt: skip
def _code_try_before_comparison(stand: Stand) -> None:
    stand.ready()
    stand.card.torn(_new_pin(PIN), 0)
    left = stand.card.session().get_reference_data().puk_tries
    must(
        left == stand.parameters.puk_tries - 1,
        f"after the cut the resetting code has {counted(left, 'try', 'tries')} left",
    )
    stand.card.raw(_new_pin(PIN), W.OK)


def _try(stand: Stand, pin: bytes) -> None:
    """VERIFY, whatever it ends in: the oracle knows."""
    stand.card.send(Ins.VERIFY, pin, None, p2=PIN_REFERENCE, ne=None)


def _new_pin(pin: bytes) -> CommandApdu:
    return CommandApdu(0x00, Ins.RESET_RETRY_COUNTER, 0, PIN_REFERENCE, PUK + pin)


@case("RESET RETRY COUNTER", "at every cut the old PIN is blocked, or the new one is there with all its tries",
      ins=Ins.RESET_RETRY_COUNTER)  # fmt: skip
def _reset_retry_counter(stand: Stand) -> None:
    def unblock() -> CommandApdu:
        """The right code with a new PIN, where the old one is blocked."""
        stand.card.fresh()
        for _ in range(stand.parameters.pin_tries):
            _try(stand, _WRONG)
        return _new_pin(_NEW)

    def resume() -> None:
        """What became of the new PIN shows; then the old one is given back."""
        _try(stand, _NEW)
        stand.card.raw(_new_pin(PIN), W.OK)

    stand.ready()
    _tear_all(stand, unblock, resume)
    stand.card.fresh()
    resume()


# --- money -----------------------------------------------------------------------------------------------------


@case("PAY", "a cut payment took no money, or left a value that can be given again", ins=Ins.PAY)
def _pay(stand: Stand) -> None:
    def ask() -> CommandApdu:
        """PAY for a request of the float."""
        stand.ready()
        asked: Requested = stand.asked_by(stand.other(), 100)
        return _command(
            Ins.PAY,
            {Tag.CERTIFICATE: asked.certificate.raw, Tag.REQUEST: asked.request.encode(), Tag.DATE: stand.date()},
        )

    def resume() -> None:
        """GIVE AGAIN whatever is unsettled."""
        for entry in stand.card.session().get_unsettled():
            stand.card.send(Ins.GIVE_AGAIN, {Tag.COUNTER: entry.counter.to_bytes(4)})

    _tear_all(stand, ask, resume)


@case("RECEIVE", "a cut RECEIVE credited the value or did not, and gives the receipt when the value comes again",
      ins=Ins.RECEIVE)  # fmt: skip
def _receive(stand: Stand) -> None:
    coming: list[Paid] = []

    def pay() -> CommandApdu:
        """RECEIVE with a value of the float."""
        stand.ready(1000)
        payer = stand.other()
        coming.append(payer.pay(stand.requested(100, payer), stand.now))
        paid = coming[-1]
        return _command(
            Ins.RECEIVE,
            {Tag.CERTIFICATE: paid.certificate.raw, Tag.VALUE: paid.value.raw, Tag.DATE: stand.date()},
        )

    _tear_all(stand, pay, lambda: stand.other().settle(stand.answered(coming[-1])))


def _torn_settle(ends: Callable[[Stand, Partner, Paid], Answer | Signed[Resolution]], stand: Stand) -> None:
    answers: list[Answer | Signed[Resolution]] = []

    def settle() -> CommandApdu:
        """SETTLE of a transfer that waits."""
        stand.ready()
        payee = stand.partner()
        answers.append(ends(stand, payee, stand.paid(payee.asks(100))))
        tag = Tag[type(answers[-1].body).__name__.upper()]
        return _command(Ins.SETTLE, {tag: answers[-1].raw})

    def resume() -> None:
        """SETTLE again, where the transfer still waits."""
        waiting = {entry.counter for entry in stand.card.session().get_unsettled()}
        stand.settle(answers[-1], W.OK if answers[-1].body.counter in waiting else W.DATA_NOT_FOUND)

    _tear_all(stand, settle, resume)


for _title, _ends in (
    ("refund by refusal returned the money once or not yet", lambda _, payee, paid: payee.answers(paid, Refusal)),
    ("refund by resolution returned the money once or not yet",
     lambda stand, _, paid: stand.resolution(paid.value.body.counter)),
    ("receipt has ended the transfer or not yet", lambda _, payee, paid: payee.answers(paid)),
):  # fmt: skip
    case("SETTLE", f"a cut {_title}", ins=Ins.SETTLE)(partial(_torn_settle, _ends))


@case("REQUEST", "a cut REQUEST has opened the next request or left the last one open", ins=Ins.REQUEST)
def _request(stand: Stand) -> None:
    def ask() -> CommandApdu:
        """REQUEST where another request is open, which is given up by it."""
        stand.ready()
        payer = stand.partner().card
        stand.request(1, payer)
        return _command(Ins.REQUEST, {Tag.AMOUNT: (2).to_bytes(4), Tag.CARD_ID: payer, Tag.DATE: stand.date()})

    _tear_all(stand, ask, lambda: close(stand))
    stand.card.fresh()
    close(stand)


# --- what the center signs -------------------------------------------------------------------------------------


@case("PUT CREDIT", "cut credit information is the old or the new, with its counts", ins=Ins.PUT_CREDIT)
def _put_credit(stand: Stand) -> None:
    def next_credit() -> CommandApdu:
        """PUT CREDIT with the next serial."""
        stand.ready()
        serial = stand.card.session().get_credit()[0].body.serial
        stand.card.fresh()
        seen = stand.card.twin.cells.record.number()
        return _command(Ins.PUT_CREDIT, {Tag.CREDIT: stand.issuer.credit(SERIAL, serial + 1, seen=seen).raw})

    _tear_all(stand, next_credit, stand.ready)


@case("LOCK OUT", "a cut lock-out has locked the card out or has not", ins=Ins.LOCK_OUT)
def _lock_out(stand: Stand) -> None:
    def listed() -> CommandApdu:
        """LOCK OUT with an edition that lists the card."""
        stand.ready()
        edition = stand.edition(SERIAL)
        return _command(Ins.LOCK_OUT, {Tag.HEAD: edition.head.raw, Tag.PROOF: edition.tree.prove(SERIAL).encode()})

    _tear_all(stand, listed, stand.ready)
    stand.ready()


@case("UNLOCK", "a cut unlocking has unlocked the card and raised the edition, or neither", LOCKED_OUT, ins=Ins.UNLOCK)
def _unlock(stand: Stand) -> None:
    def order() -> CommandApdu:
        """UNLOCK with the next order."""
        stand.locked()
        body = UnlockOrder(ORDERS, stand.id, stand.card.twin.cells.edition.number() + 1)
        return _command(Ins.UNLOCK, {Tag.ORDER: Signed.make(body, stand.issuer.orders).raw})

    _tear_all(stand, order, stand.locked)


@case("PUT DATE", "a cut PUT DATE has kept head, edition and date, or none of them", ins=Ins.PUT_DATE)
def _put_date(stand: Stand) -> None:
    def later() -> CommandApdu:
        """PUT DATE with the head of the next edition, one second later."""
        stand.card.fresh()
        head = replace(stand.edition().head.body, time=stand.now + 1)
        return _command(Ins.PUT_DATE, {Tag.HEAD: Signed.make(head, stand.issuer.orders).raw})

    stand.ready()
    _tear_all(stand, later, stand.card.fresh)


# --- personalization -------------------------------------------------------------------------------------------


@case("EXTERNAL AUTHENTICATE 3", "a cut right after the last try was taken off blocks the channel, whatever the proof",
      LifeCycle.BLANK, ins=Ins.EXTERNAL_AUTHENTICATE, spare=True)  # fmt: skip
def _last_try(stand: Stand) -> None:
    _require_cuts(stand)
    stand.card.fresh()
    for _ in range(TRIES - 1):
        lose_try(stand.card)
    channel = Channel(stand.card)
    stand.card.torn(channel.proof(channel.cryptogram), 0)
    stand.card.fresh()
    stand.card.send(Ins.INITIALIZE_UPDATE, bytes(8), W.BLOCKED)


@case("PUT KEY", "a cut PUT KEY leaves the old keys or the new ones, and never a mixture", LifeCycle.BLANK,
      ins=Ins.PUT_KEY)  # fmt: skip
def _keys(stand: Stand) -> None:
    """ENC and MAC open the channel; the DEK brings the card its own keys back, by their check values."""

    def put_key() -> CommandApdu:
        """Other keys, longer than those that the card has."""
        channel = Channel.open(stand.card)
        data = data_of(stand.card.keys.dek, VERSION, PUT[-1])
        return channel.wrapped(Ins.PUT_KEY, to_replace(stand.card), 0x81, data)

    def resume() -> None:
        """With the keys that the card has now, which its version tells."""
        if stand.card.twin.cells.key_version.number() == VERSION:
            stand.card.take_keys(PUT[-1])
        give_back(stand)

    _tear_all(stand, put_key, resume)
    stand.card.take_keys(PUT[-1])
    give_back(stand)


def _pair_and_words(stand: Stand, side: CardConnection) -> tuple[bytes, list[int]]:
    """What a card or its twin has: the public key, empty where there is no pair; and what blocks end in.

    Forged credit as the last block tells whether anything is missing, four other keys whether all places of center keys
    are free; and when they, parameters and codes are there, forged credit again, whether a certificate counts. It makes
    no purse.
    """
    PurseSession(side)
    channel = SecureConnection.open(side, lambda _: stand.card.keys, LEVEL)
    pair = exchange(channel, CommandApdu(0x80, Ins.GENERATE_KEY_PAIR, 0x81, 0, ne=256))
    must(pair.sw in (W.OK, W.DATA_NOT_FOUND), f"after the cut the card tells {pair.sw:04X} of its pair")
    forged = p1_of(Dgi.CREDIT, last=True), forged_credit(stand)
    keys = [center_keys(*(replace(key, number=number) for key in stand.issuer.keys)) for number in _OTHER_NUMBERS]
    blocks = [forged, *((p1_of(Dgi.CENTER_KEY), block) for block in keys), (p1_of(Dgi.PARAMETERS), parameters(stand)),
              (p1_of(Dgi.REFERENCE_DATA), secret_codes(stand, PIN + PUK)), forged]  # fmt: skip
    words: list[int] = []
    for p1, block in blocks:
        words.append(exchange(channel, CommandApdu(0x80, Ins.STORE_DATA, p1, words.count(W.OK), block)).sw)
    return pair.data[-64:], words


@case("GENERATE KEY PAIR", "a cut GENERATE KEY PAIR has left the old pair and all that was stored, or nothing stored "
      "and the new pair or none", LifeCycle.PERSONALIZATION, ins=Ins.GENERATE_KEY_PAIR)  # fmt: skip
def _key_pair(stand: Stand) -> None:
    """A card may take more steps than the model: its power is cut alone, and its twin tells what was before.

    Then both are told the same, so that their channels are counted alike; a whole new pair leaves nothing of the rest.
    """
    _require_cuts(stand)
    for write, cut in _cuts():
        channel, groups, _ = begun(stand)
        store(channel, without(groups, Dgi.CREDIT))
        torn = stand.card.torn_alone(channel.wrapped(Ins.GENERATE_KEY_PAIR, 0x80), write, cut)
        stand.audit()
        (pair, words), before = (_pair_and_words(stand, side) for side in stand.card.apart())
        begins_anew = pair != before[0] and words == _NOTHING_STORED
        told = f"when the power goes at write {write} of GENERATE KEY PAIR the card has "
        told += "no pair" if not pair else "the old pair" if pair == before[0] else "another pair"
        must(begins_anew or (pair, words) == before, f"{told}, and blocks end in {' '.join(f'{w:04X}' for w in words)}")
        Channel.open(stand.card).generate()
        if not torn:
            return


@case("STORE DATA", "a cut last block has made a whole purse, or can come again", LifeCycle.PERSONALIZATION,
      ins=Ins.STORE_DATA, spare=True)  # fmt: skip
def _activation(stand: Stand) -> None:
    """Each cut spends a card."""
    _require_cuts(stand)
    made: Stand | None = stand
    for write, cut in _cuts():
        if made is None:
            raise NotHereError("each cut of the last block costs a card, and no other can be made")
        channel, groups, _ = begun(made)
        store(channel, without(groups, Dgi.CREDIT))
        if not made.card.torn(channel.last(groups[Dgi.CREDIT]), write, cut):
            return
        made.audit()
        if made.card.state is LifeCycle.PERSONALIZATION:
            Channel.open(made.card).store(groups[Dgi.CREDIT], p1_of(Dgi.CREDIT, last=True))
        is_active(made)
        made.verify()
        made = stand.spare()
