"""The command table keeps its own rules, those of ISO 7816-4, and the sizes of short APDUs."""

import pytest

from apdu.command import SECURE_MESSAGING
from apdu.commands import (
    ANY_STATE,
    BY_INS,
    CHAIN_CAPACITY,
    COMMANDS,
    DATA_OBJECTS,
    GENERAL_STATUS,
    RECORDS_PER_FILE,
    Command,
    Ins,
    Security,
)
from apdu.identity import CardId, LifeCycle
from apdu.messages import (
    Attestation,
    Certificate,
    Credit,
    Head,
    Receipt,
    Resolution,
    UnlockOrder,
    Value,
)
from apdu.objects import Request
from apdu.payload import Tag, pack
from apdu.signature import SIGNATURE_SIZE
from apdu.status import StatusWord

every_row = pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
MOVES_MONEY = {Ins.REQUEST, Ins.PAY, Ins.RECEIVE, Ins.SETTLE, Ins.GIVE_AGAIN}
SIZES = {
    Tag.CARD_ID: CardId.SIZE,
    Tag.DATE: 4,
    Tag.AMOUNT: 4,
    Tag.COUNTER: 4,
    Tag.REQUEST: Request.SIZE,
    Tag.CHALLENGE: 16,
    Tag.PROOF: 611,
    Tag.CERTIFICATE: Certificate.SIZE + SIGNATURE_SIZE,
    Tag.VALUE: Value.SIZE + SIGNATURE_SIZE,
    Tag.RECEIPT: Receipt.SIZE + SIGNATURE_SIZE,
    Tag.REFUSAL: Receipt.SIZE + SIGNATURE_SIZE,
    Tag.RESOLUTION: Resolution.SIZE + SIGNATURE_SIZE,
    Tag.CREDIT: Credit.SIZE + SIGNATURE_SIZE,
    Tag.HEAD: Head.SIZE + SIGNATURE_SIZE,
    Tag.ORDER: UnlockOrder.SIZE + SIGNATURE_SIZE,
    Tag.ATTESTATION: Attestation.SIZE + SIGNATURE_SIZE,
}
"""The longest that each object can be."""


def longest(*tags: Tag) -> int:
    return len(pack({tag: bytes(SIZES[tag]) for tag in tags}))


def test_every_instruction_has_one_row() -> None:
    assert {row.ins for row in COMMANDS} == {*Ins}
    assert len(BY_INS) == len(COMMANDS) == len(Ins) == 23


@every_row
def test_instruction_bytes_are_valid(row: Command) -> None:
    """ISO 7816-4: 6X and 9X are none, for they would read as procedure bytes of T=0; even numbers only."""
    assert row.ins >> 4 not in (0x6, 0x9)
    assert row.ins % 2 == 0


@every_row
def test_classes(row: Command) -> None:
    assert row.cla in (0x00, 0x80, 0x80 | SECURE_MESSAGING)
    assert (row.cla & SECURE_MESSAGING != 0) == (row.ins is Ins.EXTERNAL_AUTHENTICATE)


@every_row
def test_something_is_let_pass(row: Command) -> None:
    assert any(value in row.p1 for value in range(256))
    assert any(value in row.p2 for value in range(256))
    assert any(size in row.lc for size in range(CHAIN_CAPACITY + 1))
    assert row.states
    assert row.states <= ANY_STATE


@every_row
def test_only_a_chain_takes_more_than_a_short_command(row: Command) -> None:
    most = max(size for size in range(65536) if size in row.lc)
    assert most == 65535 if row.chaining else most <= 255


@every_row
def test_words_are_named_once_and_beside_the_general_ones(row: Command) -> None:
    assert len({*row.status}) == len(row.status)
    assert not {*row.status} & {*GENERAL_STATUS}
    assert {*row.status} <= {*StatusWord}


@every_row
def test_objects_are_named_once(row: Command) -> None:
    assert len({*row.carries}) == len(row.carries)
    assert (StatusWord.WRONG_DATA in row.status) >= bool(row.carries)


@every_row
def test_what_a_command_takes_fits_its_lc(row: Command) -> None:
    chosen: list[tuple[Tag, ...]] = [(tag,) for tag in row.one_of] or [()]
    sizes = [longest(*row.takes, *one, *more) for one in chosen for more in ((), row.optional)] if row.carries else []
    assert all(size in row.lc for size in sizes)


@every_row
def test_what_a_command_gives_fits_a_short_answer(row: Command) -> None:
    """ATTEST alone is longer, and is not on the way of a payment."""
    gives = (Tag.RECEIPT,) if row.ins is Ins.RECEIVE else row.gives
    assert (longest(*gives) <= 256) == (row.ins is not Ins.ATTEST)


def test_a_lock_out_fits_three_short_commands() -> None:
    assert longest(Tag.HEAD, Tag.PROOF) <= 3 * 255


@every_row
def test_money_moves_in_active_cards_only(row: Command) -> None:
    assert (row.ins in MOVES_MONEY) <= (row.states == {LifeCycle.ACTIVE})


@every_row
def test_a_terminated_card_only_tells(row: Command) -> None:
    told = {Ins.SELECT, Ins.GET_DATA, Ins.GET_RESPONSE}
    assert (LifeCycle.TERMINATED in row.states) == (row.ins in told)


@every_row
def test_a_purse_knows_no_secure_channel(row: Command) -> None:
    if row.security is Security.SECURE_CHANNEL:
        assert row.states == {LifeCycle.BLANK, LifeCycle.PERSONALIZATION}


@every_row
def test_texts_for_the_reference_page(row: Command) -> None:
    assert row.summary.endswith(".")
    assert row.clause
    assert row.p1p2_text
    assert row.lc_text
    assert row.security.text
    assert row.name == row.ins.name.replace("_", " ")


def test_data_objects() -> None:
    assert [row.number for row in DATA_OBJECTS] == [*range(0x0100, 0x0109)]
    assert len({row.name for row in DATA_OBJECTS}) == 9
    assert all(LifeCycle.TERMINATED in row.states for row in DATA_OBJECTS)


def test_five_files_hold_the_longest_history() -> None:
    assert RECORDS_PER_FILE * 5 >= 1024
    assert [p2 for p2 in range(256) if p2 in BY_INS[Ins.READ_RECORD].p2] == [0x0C, 0x14, 0x1C, 0x24, 0x2C]
