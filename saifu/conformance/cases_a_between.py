"""What comes between the steps of the issuer's secure channel, and what a channel and its end leave as it was."""

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.identity import AID, LifeCycle
from apdu.status import StatusWord as W
from saifu.conformance.case import case
from saifu.conformance.channel import (
    CAPACITIES,
    TRIES,
    Channel,
    flipped,
    is_open,
    lose_try,
    other_version,
    parameters,
)
from saifu.conformance.stand import Stand
from saifu.conformance.subject import Subject, must

__all__: list[str] = []

B, P = LifeCycle.BLANK, LifeCycle.PERSONALIZATION


def _read(card: Subject) -> None:
    """GET DATA in the clear: the purse is selected and no channel is open."""
    p1, p2 = CAPACITIES
    card.send(Ins.GET_DATA, p1=p1, p2=p2)


# --- the channel that has begun ----------------------------------------------------------------------------------


@case("EXTERNAL AUTHENTICATE 1", "between INITIALIZE UPDATE and it other commands may come, done and declined", P,
      ins=Ins.EXTERNAL_AUTHENTICATE)  # fmt: skip
def _between(stand: Stand) -> None:
    stand.card.fresh()
    channel = Channel(stand.card)
    _read(stand.card)
    stand.card.send(Ins.STORE_DATA, parameters(stand), W.SECURITY_STATUS, p1=0x08)
    stand.card.send(Ins.SELECT, AID + b"\0", W.NOT_FOUND, p1=0x04)
    stand.card.send(Ins.INITIALIZE_UPDATE, bytes(8), W.DATA_NOT_FOUND, p1=other_version(stand.card))
    channel.authenticate()
    is_open(stand.card)


@case("Order of checks 8", "a channel that has begun is not open: commands come in the clear", B)
def _not_open_yet(stand: Stand) -> None:
    stand.card.fresh()
    channel = Channel(stand.card)
    for _ in range(2):
        _read(stand.card)
    channel.authenticate()
    is_open(stand.card)


# --- the open channel --------------------------------------------------------------------------------------------


@case("Secure channel", "an INITIALIZE UPDATE that is declined leaves the channel and the number of the next block", P,
      ins=Ins.INITIALIZE_UPDATE)  # fmt: skip
def _declined_begin(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    channel.store(parameters(stand))
    stand.card.send(Ins.INITIALIZE_UPDATE, bytes(8), W.DATA_NOT_FOUND, p1=other_version(stand.card))
    channel.store(parameters(stand))


@case("Secure channel", "a SELECT under secure messaging is answered with the MAC of the channel that it ends", P,
      ins=Ins.SELECT)  # fmt: skip
def _selected_inside(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    in_clear = stand.card.twin.cells.life_cycle.get()
    fci = channel.send(Ins.SELECT, 0x04, 0x00, AID, cla=0x00)
    must(AID in fci and in_clear in fci, "the FCI is not there under the MAC")
    stand.card.raw(channel.wrapped(Ins.GET_DATA, *CAPACITIES, cla=0x00), W.SECURE_MESSAGING_NOT_SUPPORTED)
    _read(stand.card)


@case("Secure channel", "an INITIALIZE UPDATE under secure messaging is of no known class, and the channel stays", P,
      ins=Ins.INITIALIZE_UPDATE)  # fmt: skip
def _begin_inside(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    channel.store(parameters(stand))
    for cla in (0x84, 0x94):
        command = CommandApdu(cla, Ins.INITIALIZE_UPDATE, 0, 0, bytes(16), 256)
        stand.card.raw(command, W.CLA_NOT_SUPPORTED)
    channel.store(parameters(stand))
    Channel(stand.card).authenticate()


# --- its end -----------------------------------------------------------------------------------------------------


def _spoil(channel: Channel) -> None:
    """A command with a wrong MAC, which ends the channel."""
    command = channel.wrapped(Ins.GET_DATA, *CAPACITIES, cla=0x00)
    channel.card.raw(command.with_data(flipped(command.data, -1)), W.SECURE_MESSAGING_DATA)


@case("Secure channel", "a wrong MAC ends the channel, and not the selection", P)
def _still_selected(stand: Stand) -> None:
    _spoil(Channel.open(stand.card))
    _read(stand.card)
    Channel(stand.card).authenticate()


@case("Secure channel", "a wrong MAC costs no try", B, spare=True)
def _costs_no_try(stand: Stand) -> None:
    _spoil(Channel.open(stand.card))
    for _ in range(TRIES - 1):
        lose_try(stand.card)
    Channel.open(stand.card)
