"""Cases on what a selection holds, and what makes the card forget it."""

from dataclasses import replace

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.identity import AID, LifeCycle
from apdu.status import StatusWord as W
from saifu.conformance.harmless import ATTEST, GET_RESPONSE, SELECT, in_states
from saifu.conformance.stand import Stand

__all__: list[str] = []


_SELECTION = "Selection and what it holds"


def _unverified(stand: Stand) -> int:
    return 0x63C0 | stand.card.twin.cells.pin_tries.number()


@in_states(_SELECTION, "a reset forgets the PIN and the held answer", ins=Ins.VERIFY)
def _reset_forgets(stand: Stand) -> None:
    stand.verify()
    stand.card.raw(ATTEST, 0x6100)
    stand.card.reset()
    stand.card.raw(replace(SELECT, p2=0x0C), W.OK)
    stand.card.raw(GET_RESPONSE, W.CONDITIONS_OF_USE)
    stand.verify(b"", _unverified(stand))


@in_states(_SELECTION, "a reset forgets the selection", ins=Ins.VERIFY)
def _reset_deselects(stand: Stand) -> None:
    stand.card.raw(ATTEST, 0x6100)
    stand.card.reset()
    stand.card.raw(GET_RESPONSE, W.CONDITIONS_OF_USE)
    stand.verify(b"", W.CONDITIONS_OF_USE)


@in_states(_SELECTION, "SELECT forgets that the PIN was verified, with an FCI and without", ins=Ins.SELECT)
def _select_forgets(stand: Stand) -> None:
    for p2 in (0x00, 0x0C):
        stand.verify()
        stand.card.send(Ins.SELECT, AID, p1=4, p2=p2)
        stand.verify(b"", _unverified(stand))


@in_states(_SELECTION, "a SELECT that fails changes nothing", ins=Ins.SELECT)
def _failing_select(stand: Stand) -> None:
    stand.verify()
    failing = (
        (replace(SELECT, data=AID + b"\0"), W.NOT_FOUND),
        (replace(SELECT, p1=0x00), W.WRONG_P1_P2),
        (replace(SELECT, data=bytes(4)), W.WRONG_LENGTH),
        (replace(SELECT, cla=0x04), W.SECURE_MESSAGING_NOT_SUPPORTED),
    )
    for command, sw in failing:
        stand.card.raw(command, sw)
        stand.verify(b"")


@in_states(_SELECTION, "a reset forgets the secure channel", LifeCycle.BLANK, ins=Ins.EXTERNAL_AUTHENTICATE)
def _reset_ends_channel(stand: Stand) -> None:
    stand.secure()
    stand.card.fresh()
    stand.card.send(Ins.GET_DATA, p1=1, p2=0)
    stand.card.raw(CommandApdu(0x04, Ins.GET_DATA, 1, 0, bytes(8), 256), W.SECURE_MESSAGING_NOT_SUPPORTED)
