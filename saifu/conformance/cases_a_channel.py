"""How the issuer's secure channel begins: INITIALIZE UPDATE and EXTERNAL AUTHENTICATE.

A right EXTERNAL AUTHENTICATE gives all tries back: so after two wrong ones at most comes a right one.
"""

from collections.abc import Callable
from functools import partial

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.identity import AID, LifeCycle
from apdu.status import StatusWord as W
from host.scp03 import derive
from saifu.conformance.case import case
from saifu.conformance.channel import (
    CAPACITIES,
    LEVEL,
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

__all__ = ["UNREACHED"]

UNREACHED: dict[str, str] = {
    "INITIALIZE UPDATE 3": "it takes 16777215 commands to bring the sequence counter to its end",
    "EXTERNAL AUTHENTICATE 2": "without tries INITIALIZE UPDATE is declined, and a failed try ends what it began",
}
"""Rows whose declining side no terminal can bring about, and why."""

B, P = LifeCycle.BLANK, LifeCycle.PERSONALIZATION
_CHALLENGE = 0x02
"""Constant of the card challenge in the key derivation."""
_BAD_LEVELS = (0x00, 0x02, 0x10, 0x12, 0x21, 0x30, 0x32, 0x73, 0x83)
_in_begin, _in_proof = (partial(case, ins=ins) for ins in (Ins.INITIALIZE_UPDATE, Ins.EXTERNAL_AUTHENTICATE))


# --- INITIALIZE UPDATE -----------------------------------------------------------------------------------------


@_in_begin("INITIALIZE UPDATE 1", "ten wrong host cryptograms block the channel for ever", B, spare=True)
def _blocked(stand: Stand) -> None:
    stand.card.fresh()
    for _ in range(TRIES):
        lose_try(stand.card)
    for _ in range(2):
        stand.card.send(Ins.INITIALIZE_UPDATE, bytes(8), W.BLOCKED)
        stand.card.fresh()


@_in_begin("INITIALIZE UPDATE 2", "key version 00 and the card's own are taken, others are declined uncounted", B)
def _key_version(stand: Stand) -> None:
    own = stand.card.twin.cells.key_version.number()
    stand.card.fresh()
    first = Channel(stand.card)
    for other in (other_version(stand.card), (own + 127) % 255 + 1):
        stand.card.send(Ins.INITIALIZE_UPDATE, bytes(8), W.DATA_NOT_FOUND, p1=other)
    second = Channel(stand.card, version=own)
    _follow(stand.card, [first, second])
    must(
        (first.answer.key_version, first.answer.i) == (own, 0x70), "the answer does not name the key version, or i = 70"
    )
    second.authenticate()


def _follow(card: Subject, channels: list[Channel]) -> None:
    """Each sequence counter is one more than the last, and its challenge is derived from it."""
    counters = [int.from_bytes(channel.answer.sequence_counter) for channel in channels]
    must(
        counters == [*range(counters[0], counters[0] + len(counters))],
        "the sequence counter does not go up by one each time",
    )
    for channel in channels:
        context = channel.answer.sequence_counter + AID
        made = derive(card.keys.enc, _CHALLENGE, context, 8) == channel.answer.card_challenge
        must(made, "the card challenge does not come from the sequence counter and the AID")


@_in_begin("INITIALIZE UPDATE", "the sequence counter goes up by one each time and makes the challenge", B)
def _sequence(stand: Stand) -> None:
    channels = []
    for begin in (stand.card.fresh, stand.card.select, stand.card.fresh):
        begin()
        channels += [Channel(stand.card), Channel(stand.card)]
    _follow(stand.card, channels)
    channels[-1].authenticate()


@_in_begin("INITIALIZE UPDATE", "begun again in an open channel, it ends the channel and numbers blocks from 0", P)
def _begun_again(stand: Stand) -> None:
    old = Channel.open(stand.card)
    old.store(parameters(stand))
    new = Channel(stand.card)
    stand.card.raw(old.wrapped(Ins.GENERATE_KEY_PAIR, 0x81), W.SECURE_MESSAGING_NOT_SUPPORTED)
    new.authenticate()
    new.store(parameters(stand), sw=W.WRONG_P1_P2, block=1)
    new.store(parameters(stand))


# --- EXTERNAL AUTHENTICATE -------------------------------------------------------------------------------------


@_in_proof("EXTERNAL AUTHENTICATE 1", "it wants an INITIALIZE UPDATE in this selection", B)
def _without_begin(stand: Stand) -> None:
    for leave in (stand.card.fresh, stand.card.select):
        stand.card.fresh()
        right = Channel(stand.card)
        leave()
        stand.card.raw(right.proof(right.cryptogram), W.CONDITIONS_OF_USE)
    Channel.open(stand.card)


@_in_proof("EXTERNAL AUTHENTICATE 1", "it comes once: in an open channel it is declined and the channel stays", P)
def _twice(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    for level in (LEVEL, 0x01):
        stand.card.raw(channel.proof(channel.cryptogram, level), W.CONDITIONS_OF_USE)
    channel.send(Ins.GET_DATA, *CAPACITIES, cla=0x00)


@_in_proof("EXTERNAL AUTHENTICATE 3", "each wrong one takes a try, and a right one gives all ten back", B, spare=True)
def _tries(stand: Stand) -> None:
    for _ in range(2):
        stand.card.fresh()
        for _ in range(TRIES - 1):
            lose_try(stand.card)
        Channel.open(stand.card)


@_in_proof("EXTERNAL AUTHENTICATE 3", "tries that are lost stay lost over a reset", B, spare=True)
def _lost(stand: Stand) -> None:
    for _ in range(TRIES):
        stand.card.fresh()
        lose_try(stand.card)
    stand.card.fresh()
    stand.card.send(Ins.INITIALIZE_UPDATE, bytes(8), W.BLOCKED)


def _one_bit(channel: Channel, at: int) -> CommandApdu:
    right = channel.proof(channel.cryptogram)
    return right.with_data(flipped(right.data, at, 0x80))


def _another_level(channel: Channel) -> CommandApdu:
    """The MAC is over P1 too: a level that was lowered on the way opens nothing."""
    right = channel.proof(channel.cryptogram)
    return CommandApdu(right.cla, right.ins, 0x01, right.p2, right.data)


def _of_earlier_channel(channel: Channel) -> CommandApdu:
    """The right proof, but INITIALIZE UPDATE has come again."""
    Channel(channel.card)
    return channel.proof(channel.cryptogram)


_WRONG_PROOFS: tuple[Callable[[Channel], CommandApdu], ...] = (
    lambda channel: channel.proof(flipped(channel.cryptogram, 0)),
    lambda channel: channel.proof(flipped(channel.cryptogram, 7)),
    lambda channel: channel.proof(channel.answer.card_cryptogram),
    lambda channel: _one_bit(channel, 8),
    lambda channel: _one_bit(channel, 15),
    _another_level,
    _of_earlier_channel,
)


@_in_proof("EXTERNAL AUTHENTICATE 4", "a wrong MAC or cryptogram opens nothing, and INITIALIZE UPDATE comes again", B)
def _wrong_proofs(stand: Stand) -> None:
    for wrong in _WRONG_PROOFS:
        stand.card.fresh()
        channel = Channel(stand.card)
        stand.card.raw(wrong(channel), W.SECURITY_STATUS)
        stand.card.raw(channel.proof(channel.cryptogram), W.CONDITIONS_OF_USE)
        Channel(stand.card).authenticate()


@_in_proof("EXTERNAL AUTHENTICATE", "no other level than 01, 03, 11, 13 and 33 is opened, and asking costs nothing", P)
def _levels_refused(stand: Stand) -> None:
    stand.card.fresh()
    channel = Channel(stand.card)
    for level in _BAD_LEVELS:
        stand.card.raw(channel.proof(channel.cryptogram, level), W.WRONG_P1_P2)
    channel.authenticate()
    is_open(stand.card)
