"""PUT KEY in words: which version goes and which comes, and nothing of the keys."""

import pytest

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.trace.inspector import inspect
from host.issuer_session import IssuerSession
from host.model import ModelSlot, memory_card
from host.secure_connection import SecureConnection
from host.secure_listener import SecureListener
from host.session import PurseSession
from tests.apdu.trace.taped import Tape, Taped, readings
from tests.issuer import CHIP, PUT, STATIC


@pytest.fixture
def tape() -> Tape:
    return Tape()


@pytest.fixture
def blank(tape: Tape) -> Taped:
    return tape.put(ModelSlot("blank", memory_card(CHIP)), "blank")


def test_the_makers_keys_and_later_ones_are_told_by_their_version(tape: Tape, blank: Taped) -> None:
    IssuerSession(blank, lambda _: STATIC).put_key(5, PUT[0])
    assert readings(tape.items)[-1].what == "in the place of the maker's keys, 88 bytes secured"
    PurseSession(blank)
    channel = SecureConnection.open(blank, lambda _: PUT[0], 0x01)
    said = {}
    for p1 in (5, 6):
        channel.transmit(CommandApdu(0x80, Ins.PUT_KEY, p1, 0x81, b"\x01").encode())
        said[p1] = readings(tape.items)[-1]
    assert [reading.what for reading in said.values()] == [f"in the place of key version {p1}" for p1 in said]
    assert [reading.outcome[:4] for reading in said.values()] == ["6A80", "6A88"]
    assert "(the card has keys of another version)" in said[6].outcome


def test_an_opened_channel_tells_the_new_version_and_that_the_channel_is_gone(tape: Tape, blank: Taped) -> None:
    IssuerSession(blank, lambda _: STATIC).put_key(5, PUT[0])
    last = list(inspect(tape.items, SecureListener(lambda _: STATIC)))[-1]
    assert last.outcome == "9000: key version 5; the channel is gone"
    assert last.unexpected == ()
