"""Secure messaging with the card under test: what the channel protects, what does not verify, what ends it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from apdu.cipher import BLOCK
from apdu.command import CHAINING, SECURE_MESSAGING, CommandApdu
from apdu.commands import SECURITY_LEVELS, Ins
from apdu.dgi import Dgi, encode_dgi
from apdu.identity import AID, LifeCycle
from apdu.protocol import Protocol
from apdu.status import StatusWord as W
from saifu.conformance.case import NotHereError, case
from saifu.conformance.channel import CAPACITIES, LEVEL, Channel, flipped, is_open, parameters
from saifu.conformance.stand import Stand
from saifu.conformance.subject import Subject, must

__all__: list[str] = []

B, P = LifeCycle.BLANK, LifeCycle.PERSONALIZATION


# --- the open channel ------------------------------------------------------------------------------------------


def _at_level(level: int, stand: Stand) -> None:
    """With and without data in command and answer, declined in between; and then a wrong MAC."""
    channel = Channel.open(stand.card, level)
    point = channel.generate()
    channel.store(parameters(stand))
    channel.store(parameters(stand), sw=W.WRONG_P1_P2, block=0)
    command = channel.wrapped(Ins.GENERATE_KEY_PAIR, 0x81)
    raw = stand.card.send(Ins.GENERATE_KEY_PAIR, command.data, p1=0x81, ne=command.ne, cla=command.cla)
    must(len(raw) == _PROTECTED[level], f"a protected public key has {len(raw)} bytes, not {_PROTECTED[level]}")
    must(level > LEVEL - 1 or raw[6:70] == point, "the public key in clear is not that of the pair")
    channel.store(parameters(stand) * 6)
    stand.card.raw(_changed(channel, -1), W.SECURE_MESSAGING_DATA)
    stand.card.raw(channel.wrapped(Ins.GET_DATA, *CAPACITIES, cla=0x00), W.SECURE_MESSAGING_NOT_SUPPORTED)


_PROTECTED = {0x01: 70, 0x03: 70, 0x11: 78, 0x13: 78, LEVEL: 88}
"""Bytes of the answer to GENERATE KEY PAIR at each level."""
for _level in SECURITY_LEVELS:
    case("Secure channel", f"at level {_level:02X} commands and answers are protected as the level says", P)(
        partial(_at_level, _level)
    )


@case("Secure channel", "a declined command is answered bare, and chain and counter go on", B)
def _declined_inside(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    channel.send(Ins.VERIFY, 0x00, 0x81, b"1234\xff\xff\xff\xff", W.CONDITIONS_OF_USE, 0x00)
    channel.send(Ins.GENERATE_KEY_PAIR, 0x82, sw=W.WRONG_P1_P2)
    channel.send(Ins.STORE_DATA, 0x08, 0, sw=W.WRONG_LENGTH)
    channel.store(b"\x01", sw=W.WRONG_DATA)
    channel.send(Ins.GET_DATA, 0x01, 0x09, sw=W.DATA_NOT_FOUND, cla=0x00)
    channel.send(Ins.GET_DATA, *CAPACITIES, cla=0x00)


@case("Secure channel", "under extended length fields the MAC is over three bytes of Lc", P)
def _extended(stand: Stand) -> None:
    if not stand.card.in_process or stand.card.twin.protocol is Protocol.T0:
        raise NotHereError("extended length fields go as they are only to a card in this process, at T=1")
    channel = Channel.open(stand.card)
    stand.card.raw(channel.wrapped(Ins.GET_DATA, *CAPACITIES, cla=0x00, ne=65536), W.OK)
    stand.card.raw(channel.wrapped(Ins.GET_DATA, *CAPACITIES, cla=0x00), W.OK)
    long = replace(CommandApdu(0x80, Ins.STORE_DATA, 0x08, 0, parameters(stand), 256), long=True)
    stand.card.raw(channel.wrap(long), W.OK)
    stand.card.raw(channel.wrapped(Ins.GET_DATA, *CAPACITIES, cla=0x00), W.OK)


@case("Order of checks 7", "a MAC over another form of Lc than the one that is sent ends the channel with 6988", P)
def _other_form(stand: Stand) -> None:
    if not stand.card.in_process or stand.card.twin.protocol is Protocol.T0:
        raise NotHereError("extended length fields go as they are only to a card in this process, at T=1")
    _end(stand.card, lambda channel: replace(_good(channel), long=True))


# --- what does not verify --------------------------------------------------------------------------------------


Spoil = Callable[[Channel], CommandApdu]


def _end(card: Subject, *ways: Spoil, level: int = LEVEL) -> None:
    """6988 to each of them, and then the channel is gone."""
    for spoil in ways:
        channel = Channel.open(card, level)
        card.raw(spoil(channel), W.SECURE_MESSAGING_DATA)
        card.raw(channel.wrapped(Ins.GET_DATA, *CAPACITIES, cla=0x00), W.SECURE_MESSAGING_NOT_SUPPORTED)


def _good(channel: Channel) -> CommandApdu:
    """A secured command that is in order, with data; block 9 is not the next one."""
    return channel.wrapped(Ins.STORE_DATA, 0x08, 9, encode_dgi(Dgi.CREDIT, bytes(96)))


def _changed(channel: Channel, at: int) -> CommandApdu:
    command = _good(channel)
    return command.with_data(flipped(command.data, at))


def _cut(channel: Channel, size: int) -> CommandApdu:
    command = _good(channel)
    return command.with_data(command.data[: len(command.data) - size])


def _header(channel: Channel) -> CommandApdu:
    command = _good(channel)
    return CommandApdu(command.cla, command.ins, command.p1, 0, command.data, command.ne)


def _empty(_channel: Channel) -> CommandApdu:
    return CommandApdu(0x80 | SECURE_MESSAGING, Ins.GENERATE_KEY_PAIR, 0x81, 0, ne=256)


@case("Order of checks 7", "a MAC that is changed, cut or missing, or of other data, gets 6988 and ends the channel", P)
def _macs(stand: Stand) -> None:
    changed = (partial(_changed, at=at) for at in (-8, -1, -9, 0))
    cut = (partial(_cut, size=size) for size in (1, 8))
    _end(stand.card, *changed, *cut, _header, _empty)


def _replayed(channel: Channel) -> CommandApdu:
    command = _good(channel)
    channel.card.raw(command, W.WRONG_P1_P2)
    return command


def _dropped(channel: Channel) -> CommandApdu:
    _good(channel)
    return _good(channel)


def _of_earlier_channel(channel: Channel) -> CommandApdu:
    """The first command of the channel before, sent as the first of this one."""
    old = channel.first(channel.encrypted(b"\x80".ljust(BLOCK, b"\0")))
    channel.card.select()
    Channel(channel.card).authenticate()
    return old


def _chain_of_its_own(channel: Channel) -> CommandApdu:
    """A MAC that does not go on from EXTERNAL AUTHENTICATE's."""
    command = _empty(channel)
    return command.with_data(channel.keys.command_mac(bytes(BLOCK), command, b"")[:8])


@case("Order of checks 7", "a command that is replayed, or does not follow the last one, ends the channel with 6988", P)
def _out_of_order(stand: Stand) -> None:
    _end(stand.card, _replayed, _dropped, _of_earlier_channel, _chain_of_its_own)


@case("Order of checks 7", "no padding, and no whole blocks, get 6988 under a right MAC too, and end the channel", P)
def _padding(stand: Stand) -> None:
    too_long = b"\x01\x80".ljust(2 * BLOCK, b"\0")
    padded = (bytes(2 * BLOCK), b"\x81".rjust(BLOCK, b"\1"), b"\x80\1".ljust(BLOCK, b"\0"), too_long)
    _end(stand.card, *(partial(_first_padded, padded=one) for one in padded))
    _end(stand.card, *(partial(Channel.first, wire=bytes(size)) for size in (1, BLOCK - 1, BLOCK + 1)))


def _first_padded(channel: Channel, padded: bytes) -> CommandApdu:
    return channel.first(channel.encrypted(padded))


@case("Order of checks 7", "without an open channel a secured command gets 6882", B)
def _no_channel(stand: Stand) -> None:
    stand.card.fresh()
    command = CommandApdu(0x80 | SECURE_MESSAGING, Ins.GENERATE_KEY_PAIR, 0x81, 0, bytes(8), 256)
    stand.card.raw(command, W.SECURE_MESSAGING_NOT_SUPPORTED)
    channel = Channel(stand.card)
    stand.card.raw(command, W.SECURE_MESSAGING_NOT_SUPPORTED)
    channel.authenticate()
    channel.send(Ins.GET_DATA, *CAPACITIES, cla=0x00)


@case("Order of checks 7", "a secured command takes no chain, and the channel stays", P)
def _chained(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    command = channel.wrapped(Ins.STORE_DATA, 0x08, 0, parameters(stand), 0x80 | CHAINING)
    stand.card.raw(command, W.CHAINING_NOT_SUPPORTED)
    is_open(stand.card)


# --- in the clear, and the end ---------------------------------------------------------------------------------


@case("Order of checks 8", "in an open channel a command in the clear is declined, and the channel stays", P)
def _in_the_clear(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    is_open(stand.card)
    stand.card.send(Ins.GENERATE_KEY_PAIR, sw=W.SECURITY_STATUS, p1=0x80)
    stand.card.send(Ins.STORE_DATA, parameters(stand), W.SECURITY_STATUS, p1=0x08)
    stand.card.raw(CommandApdu(0x00, Ins.GET_RESPONSE, 0, 0, ne=256), W.CONDITIONS_OF_USE)
    stand.card.send(Ins.SELECT, AID + b"\0", W.NOT_FOUND, p1=0x04)
    channel.store(parameters(stand))


@case("Order of checks 15", "GENERATE KEY PAIR and STORE DATA want the channel", B)
def _want_channel(stand: Stand) -> None:
    stand.card.fresh()
    for begin in (lambda: None, lambda: Channel(stand.card)):
        begin()
        for p1 in (0x80, 0x81):
            stand.card.send(Ins.GENERATE_KEY_PAIR, sw=W.SECURITY_STATUS, p1=p1)
        stand.card.send(Ins.STORE_DATA, parameters(stand), W.SECURITY_STATUS, p1=0x08)


@case("Selection and what it holds", "SELECT, with and without FCI, and reset end the secure channel", P)
def _selection_ends(stand: Stand) -> None:
    without_fci = partial(stand.card.send, Ins.SELECT, AID, p1=0x04, p2=0x0C, ne=None)
    for end in (stand.card.select, without_fci, stand.card.fresh):
        channel = Channel.open(stand.card)
        end()
        stand.card.raw(channel.wrapped(Ins.GENERATE_KEY_PAIR, 0x81), W.SECURE_MESSAGING_NOT_SUPPORTED)
        stand.card.send(Ins.GENERATE_KEY_PAIR, sw=W.SECURITY_STATUS, p1=0x81)
