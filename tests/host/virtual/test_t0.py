"""T=0: data in one direction a time, exact lengths, and answers that are fetched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.virtual.t0 import Execute, T0Card

GET = b"\x80\xca\x00\x00"
PUT = b"\x80\xda\x00\x00"
GET_RESPONSE = b"\x00\xc0\x00\x00"


def send(card: T0Card, tpdu: bytes, response: bytes | None = None) -> bytes:
    """Send a TPDU to a card that gives ``response`` if it gets a command to execute, and only then."""
    step = card.receive(tpdu)
    assert isinstance(step, Execute) == (response is not None), tpdu.hex()
    if isinstance(step, Execute):
        assert response is not None
        return card.answer(response)
    return step


def fetch(card: T0Card, said: bytes, tpdu: bytes) -> bytes:
    """Follow 6Cxx and 61xx as a driver or program does, and return the whole answer."""
    if said[-2] == 0x6C:
        assert len(said) == 2
        said = send(card, tpdu[:4] + said[-1:])
    data = said[:-2]
    while said[-2] == 0x61:
        said = send(card, GET_RESPONSE + said[-1:])
        data += said[:-2]
    return data + said[-2:]


statuses = st.sampled_from([b"\x90\x00", b"\x62\x83", b"\x6a\x82"])
answers = st.integers(0, 700).flatmap(lambda size: st.binary(min_size=size, max_size=size))


@given(st.binary(max_size=255), st.integers(0, 255), answers, statuses)
def test_every_answer_is_fetched_whole_after_one_execution(data: bytes, le: int, answer: bytes, status: bytes) -> None:
    tpdu = PUT + bytes((len(data),)) + data if data else GET + bytes((le,))
    card = T0Card()
    said = send(card, tpdu, answer + status)
    assert len(said) <= 2 + (0 if data else le or 256)
    assert fetch(card, said, tpdu) == answer + status


def test_an_answer_to_data_is_announced_because_data_goes_one_way() -> None:
    card = T0Card()
    assert send(card, PUT + b"\x02ab", b"abc\x90\x00") == b"\x61\x03"
    assert send(card, GET_RESPONSE + b"\x01") == b"a\x61\x02"
    assert send(card, GET_RESPONSE + b"\x05") == b"\x6c\x02"
    assert send(card, GET_RESPONSE + b"\x02") == b"bc\x90\x00"


@pytest.mark.parametrize("le", [0, 2, 4])
def test_another_length_than_the_answers_is_told_and_the_command_is_not_executed_again(le: int) -> None:
    card = T0Card()
    assert send(card, GET + bytes((le,)), b"abc\x90\x00") == b"\x6c\x03"
    assert send(card, GET + b"\x03") == b"abc\x90\x00"
    assert send(card, GET + b"\x03", b"new\x90\x00") == b"new\x90\x00"


def test_another_command_drops_what_is_held() -> None:
    for said, tpdu in ((b"\x61\x03", PUT + b"\x01a"), (b"\x6c\x03", GET + b"\x01")):
        card = T0Card()
        assert send(card, tpdu, b"abc\x90\x00") == said
        assert send(card, PUT + b"\x01b", b"\x90\x00") == b"\x90\x00"
        assert send(card, GET_RESPONSE + b"\x03", b"\x69\x85") == b"\x69\x85"


def test_what_a_card_says_by_the_rules_of_t0_goes_through_as_it_is() -> None:
    card = T0Card()
    for tpdu, said in (
        (PUT + b"\x01a", b"\x61\x05"),
        (GET_RESPONSE + b"\x05", b"abcde\x90\x00"),
        (GET + b"\x01", b"\x6c\x07"),
    ):
        assert send(card, tpdu, said) == said


def test_a_header_of_four_bytes_is_one_with_p3_of_zero() -> None:
    assert T0Card().receive(GET) == T0Card().receive(GET + b"\0") == Execute(GET + b"\0")


@pytest.mark.parametrize("tpdu", [b"", GET[:3], PUT + b"\x02a", PUT + b"\x02abc", PUT + b"\0abc"])
def test_what_is_no_tpdu_is_not_given_to_the_card(tpdu: bytes) -> None:
    assert T0Card().receive(tpdu) == b""
