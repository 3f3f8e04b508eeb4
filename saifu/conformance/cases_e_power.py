"""Power that goes in the middle of a command: all of it has happened then, or nothing (How to read this page)."""

from collections.abc import Callable, Iterator
from itertools import cycle

from apdu.command import CommandApdu
from apdu.commands import BY_INS, PIN_REFERENCE, Ins
from apdu.payload import Tag, pack
from host.model import Cut
from host.session import Paid, Requested
from saifu.conformance.case import case
from saifu.conformance.issuer import PIN
from saifu.conformance.stand import SERIAL, Stand

_MOST_WRITES = 64


def _command(ins: Ins, objects: dict[Tag, bytes]) -> CommandApdu:
    return CommandApdu(BY_INS[ins].cla, ins, 0, 0, pack(objects))


def _cuts() -> Iterator[tuple[int, Cut]]:
    """Each write once, the ways of cutting it in turn."""
    return zip(range(_MOST_WRITES), cycle(Cut), strict=False)


def _tear_all(stand: Stand, prepare: Callable[[], CommandApdu], resume: Callable[[], None]) -> None:
    """Cut the power at every write of a command, and go on from there; ends when the command is through."""
    for write, cut in _cuts():
        if not stand.card.torn(prepare(), write, cut):
            return
        stand.audit()
        resume()


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


@case("SETTLE", "a cut refund returned the money once or not yet", ins=Ins.SETTLE)
def _settle(stand: Stand) -> None:
    counters: list[int] = []

    def refund() -> CommandApdu:
        """SETTLE with a resolution that says never received."""
        stand.ready()
        counters.append(stand.paid(stand.asked_by(stand.other(), 100)).value.body.counter)
        return _command(Ins.SETTLE, {Tag.RESOLUTION: stand.resolution(counters[-1]).raw})

    def resume() -> None:
        """SETTLE again, where the transfer still waits."""
        waiting = {entry.counter for entry in stand.card.session().get_unsettled()}
        stand.settle(stand.resolution(counters[-1]), 0x9000 if counters[-1] in waiting else 0x6A88)

    _tear_all(stand, refund, resume)


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
