"""The modelled time on real cards: the figures of the documents, and which command computes what."""

import pytest

from apdu.command import CommandApdu
from apdu.commands import COMMANDS, Ins
from apdu.trace.card_time import BITS_PER_BYTE, BLOCK_FRAME, CARDS, RATE, modelled
from saifu.example_purses import Exchange, scenes

OK = b"\x90\x00"


def of(scene: str, ins: Ins) -> list[Exchange]:
    return [each for each in scenes()[scene] if each.command[1] == ins]


def work(command: bytes, answer: bytes, card: str) -> float:
    """Milliseconds without those on the wire."""
    wire = (len(command) + len(answer) + 2 * BLOCK_FRAME) * BITS_PER_BYTE / RATE
    return round((modelled(command, answer, card) - wire) * 1000, 6)


@pytest.mark.parametrize(("card", "milliseconds"), [("J3R180", 116.1), ("J3H145", 161.1)])
def test_a_payment_takes_on_the_payers_card_what_the_documents_say(card: str, milliseconds: float) -> None:
    to_pay = [each for each in scenes()["payment"] if each.card == "payer"][:2]
    assert [each.command[1] for each in to_pay] == [Ins.SELECT, Ins.PAY]
    assert round(sum(modelled(each.command, each.answer, card) for each in to_pay) * 1000, 1) == milliseconds


@pytest.mark.parametrize("card", CARDS)
def test_each_command_counts_its_own_cryptography(card: str) -> None:
    times = CARDS[card]
    payment = {each.command[1]: work(each.command, each.answer, card) for each in scenes()["payment"]}
    assert payment == {
        Ins.SELECT: 0,
        Ins.REQUEST: 0,
        Ins.PAY: times.sign + times.verify + times.sha,
        Ins.RECEIVE: times.sign + 2 * times.verify + times.sha,
        Ins.SETTLE: times.verify,
    }


def test_lock_out_counts_a_hash_for_each_fork_and_one_for_the_leaf_over_its_whole_chain() -> None:
    times = CARDS["J3R180"]
    parts = [work(each.command, each.answer, "J3R180") for each in of("lock out", Ins.LOCK_OUT)]
    assert len(parts) == 2
    assert sum(parts) == pytest.approx(times.verify + 6 * times.sha, abs=times.sha / 4)


def test_an_announced_answer_has_been_computed_and_fetching_it_costs_its_bytes_alone() -> None:
    attest, fetched = of("renewal", Ins.ATTEST)[0], of("renewal", Ins.GET_RESPONSE)[0]
    assert work(attest.command, attest.answer, "J3H145") == CARDS["J3H145"].sign
    assert work(fetched.command, fetched.answer, "J3H145") == 0


def test_a_decline_before_the_first_signature_costs_nothing_and_one_after_it_does() -> None:
    pay = of("payment", Ins.PAY)[0].command
    assert work(pay, b"\x95\x04", "J3R180") == 0
    assert work(pay, b"\x95\x09", "J3R180") > 0


def test_secure_messaging_costs_aes_each_way() -> None:
    personalization = scenes()["personalization"]
    mac = CARDS["J3R180"].mac
    begin, opened, made = (work(each.command, each.answer, "J3R180") for each in personalization[1:4])
    assert (begin, opened, made) == (5 * mac, 2 * mac, CARDS["J3R180"].sign + 4 * mac)


@pytest.mark.parametrize("card", CARDS)
def test_every_row_of_the_table_has_a_time(card: str) -> None:
    for row in COMMANDS:
        command = CommandApdu(row.cla, row.ins, 0, 0, b"", 256).encode()
        assert modelled(command, OK, card) >= modelled(command, None, card) > 0


def test_an_unknown_card_is_an_error_and_bytes_of_any_kind_are_none() -> None:
    with pytest.raises(KeyError):
        modelled(b"\0\0\0\0", OK, "unheard of")
    for command in (b"", b"\x80", b"\xff\x3e\x00\x00", b"\x90\x3e\x00\x00\x01\x00"):
        for answer in (None, b"", b"\x90", OK):
            assert modelled(command, answer, "J3R180") > 0
