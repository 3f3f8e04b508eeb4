"""The modelled time on real cards: the figures of the documents, and which command computes what."""

import pytest

from apdu.command import CommandApdu
from apdu.commands import COMMANDS, Ins
from apdu.trace.card_time import CARDS, WRITE, modelled, writes
from apdu.trace.line_time import CONTACT, LINES
from saifu.example_purses import Exchange, scenes

OK = b"\x90\x00"


def of(scene: str, ins: Ins) -> list[Exchange]:
    return [each for each in scenes()[scene] if each.command[1] == ins]


def work(command: bytes, answer: bytes, card: str) -> float:
    """Milliseconds without those on the line and those of writes."""
    wire = CONTACT.seconds(len(command), len(answer))
    return round((modelled(command, answer, card) - wire) * 1000 - writes(command, answer) * WRITE, 6)


def link(card: str) -> float:
    """A link of the chain: 63 bytes are two blocks of SHA-256, and the 256 bytes that were measured are five."""
    return CARDS[card].sha * 2 / 5


@pytest.mark.parametrize("card", CARDS)
def test_each_command_counts_its_own_cryptography(card: str) -> None:
    times, chained = CARDS[card], link(card)
    payment = {each.command[1]: work(each.command, each.answer, card) for each in scenes()["payment"]}
    assert payment == pytest.approx(
        {
            Ins.SELECT: 0,
            Ins.REQUEST: chained,
            Ins.PAY: times.sign + times.verify + 2 * chained,
            Ins.RECEIVE: times.sign + 2 * times.verify + chained,
            Ins.SETTLE: times.verify,
        }
    )


def test_a_line_carries_blocks_and_their_acknowledgements() -> None:
    assert CONTACT.seconds(254, 2) == pytest.approx((254 + 2 + 2 * 4) * 11 / 115_200)
    assert CONTACT.seconds(255, 2) == pytest.approx((255 + 2 + 4 * 4) * 11 / 115_200)
    assert CONTACT.seconds(4, 0) == pytest.approx((4 + 4) * 11 / 115_200)
    air = LINES["14443 424"]
    assert air.seconds(100, 50) == pytest.approx(156 * 9 / 424_000 + 2 * 1172 / 13.56e6)


def test_a_faster_line_takes_less_and_the_card_as_long() -> None:
    pay = of("payment", Ins.PAY)[0]
    times = [modelled(pay.command, pay.answer, "J3R180", LINES[f"14443 {rate}"]) for rate in (106, 212, 424, 848)]
    assert times == sorted(times, reverse=True)
    assert times[-1] > (CARDS["J3R180"].sign + CARDS["J3R180"].verify + 5 * WRITE) / 1000


def test_lock_out_counts_a_hash_for_each_fork_and_one_for_the_leaf_over_its_whole_chain() -> None:
    times = CARDS["J3R180"]
    parts = [work(each.command, each.answer, "J3R180") for each in of("lock out", Ins.LOCK_OUT)]
    assert len(parts) == 2
    assert sum(parts) == pytest.approx(times.verify + 6 * times.sha / 5, abs=times.sha / 20)


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
            assert modelled(command, answer, "J3R180") > 0 or not (command or answer)
