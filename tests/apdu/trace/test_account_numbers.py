"""Account numbers and tracks in answers of bank cards: what stays, what goes, and whose answers are looked at."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apdu import ber
from apdu.identity import AID
from apdu.trace.account_numbers import account_spans
from apdu.trace.model import Exchange, Reset
from apdu.trace.redaction import Redactor

PAN, BLANKED = "4761739001010010", "4761730000000010"
RECORD = ber.encode(0x70, ber.encode(0x5A, bytes.fromhex(PAN)) + bytes.fromhex("5F24032812315F340101"))
OK = b"\x90\x00"


def after(data: bytes) -> bytes:
    """The data with zeros at the places that are named."""
    said = bytearray(data)
    for start, end in account_spans(data):
        assert 0 <= start < end <= len(data)
        said[start:end] = bytes(end - start)
    return bytes(said)


@pytest.mark.parametrize(
    ("tag", "value", "stays"),
    [
        (0x5A, PAN, BLANKED),
        (0x5A, "374245455498126F", "374245000000126F"),
        (0x5A, "6799998900000060018F", "6799990000000000018F"),
        (0x5A, "5018590048", "5018590048"),
        (0x57, PAN + "D28122011143438F", BLANKED + "D281220100000000"),
        (0x57, "6799998900000060018D28122011234F", "6799990000000000018D281220000000"),
        (0x57, "476173900101001028122011", "476173000000000000000000"),
        (0x9F6B, PAN + "D28122011143438F", BLANKED + "D281220100000000"),
        (0x9F20, "1234567890", "0000000000"),
        (0x9F1F, "31323334", "00000000"),
    ],
)
def test_first_six_and_last_four_digits_stay(tag: int, value: str, stays: str) -> None:
    assert after(ber.encode(tag, bytes.fromhex(value))) == ber.encode(tag, bytes.fromhex(stays))


@pytest.mark.parametrize(
    ("value", "stays"),
    [
        (f"B{PAN}^AOI/A^28122011134380000", f"B476173{6 * chr(0)}0010^AOI/A^2812201{10 * chr(0)}"),
        (f"B{PAN}^AOI/A", f"B476173{6 * chr(0)}0010^{5 * chr(0)}"),
        (f"B{PAN}", f"B476173{10 * chr(0)}"),
    ],
)
def test_track_1_keeps_its_name_and_date(value: str, stays: str) -> None:
    assert after(ber.encode(0x56, value.encode())) == ber.encode(0x56, stays.encode())


def test_numbers_are_found_in_templates_and_behind_padding() -> None:
    for data in (RECORD, ber.encode(0x77, b"\0" + RECORD + b"\0\0"), RECORD + b"\xff\xff"):
        assert len(account_spans(data)) == 1
        assert bytes.fromhex(BLANKED) in after(data)


@pytest.mark.parametrize("data", [b"\x01" + RECORD, ber.encode(0x71, b"\x5a\x09\x01"), RECORD[2:-1]])
def test_what_is_no_tlv_stays(data: bytes) -> None:
    assert account_spans(data) == []


TRACK = bytes.fromhex(PAN + "D28122011143438F")


@pytest.mark.parametrize(
    ("record", "stays"),
    [
        (RECORD[:-1], "70145A08" + BLANKED + "5F2403281231000000"),
        (RECORD[:8], "70145A08476173000000"[:16]),
        (b"\x70\x13" + RECORD[2:], "70135A08" + BLANKED + "5F24032812315F340101"),
        (b"\x70\x15" + RECORD[2:], "70155A08" + BLANKED + "5F24032812315F340101"),
        (RECORD + b"\x01", RECORD.hex().replace(PAN, BLANKED) + "00"),
        (RECORD + b"\x5a\x40" + TRACK, RECORD.hex().replace(PAN, BLANKED) + "5A40476173" + 26 * "0"),
        (b"\x77\x1a\x57\x13" + TRACK, "771A5713476173" + 26 * "0"),
        (b"\x70\x1a\x9f" + b"\x57" + TRACK, "701A" + 36 * "0"),
        (b"\x70\x83\x00\x00\x12\x57\x10" + TRACK, 46 * "0"),
    ],
)
def test_a_record_that_cannot_be_read_to_its_end_is_blanked_from_there(record: bytes, stays: str) -> None:
    assert after(record).hex() == stays.lower()


@pytest.mark.parametrize("cut", range(1, len(RECORD)))
def test_a_record_that_is_cut_off_anywhere_shows_no_more_digits_than_a_whole_one(cut: int) -> None:
    assert PAN[6:8] not in after(RECORD[:cut]).hex()[10:]


OBJECTS = st.builds(ber.encode, st.sampled_from([0x56, 0x57, 0x5A, 0x9F6B, 0x9F20, 0x5F24]), st.binary(max_size=20))
TREES = st.recursive(
    st.lists(OBJECTS, max_size=3).map(b"".join),
    lambda within: st.builds(ber.encode, st.sampled_from([0x70, 0x77, 0x61]), within),
    max_leaves=4,
)


@given(st.one_of(TREES, st.binary(max_size=60), TREES.map(lambda raw: raw[:-1])))
@example(b"\x70\x82")
@example(b"\x9f\x1f")
@example(b"\x30\x80" * 40 + b"\x5a\x00")
def test_anything_may_come_and_blanking_again_changes_nothing(data: bytes) -> None:
    once = after(data)
    assert after(once) == once
    # what is damaged is not when there are zeros instead
    assert account_spans(once) == account_spans(data) or data[0] in b"\x70\x77"


# --- whose answers -----------------------------------------------------------------------------------------

READ = bytes.fromhex("00B2011400")
PURSE = b"\x00\xa4\x04\x00" + bytes((len(AID),)) + AID
BANK = bytes.fromhex("00A4040007A0000000041010")


def shown(*exchanges: tuple[bytes, bytes]) -> bytes:
    """The record after some exchanges."""
    redactor = Redactor()
    for command, answer in exchanges:
        redactor.redact(Exchange(command, answer))
    found = redactor.redact(Exchange(READ, RECORD + OK))
    assert isinstance(found, Exchange)
    assert found.response is not None
    return found.response


def test_every_answer_is_looked_at_but_those_of_our_purse() -> None:
    blanked = RECORD.replace(bytes.fromhex(PAN), bytes.fromhex(BLANKED)) + OK
    assert shown() == blanked
    assert shown((PURSE, OK)) == RECORD + OK
    assert shown((PURSE, b"\x62\x83"), (READ, b"\x6a\x83")) == RECORD + OK
    assert shown((PURSE, OK), (BANK, OK)) == blanked
    assert shown((PURSE, OK), (BANK, b"\x61\x20")) == blanked


@pytest.mark.parametrize("between", [(READ, OK), (b"\x00\xa4\x04\x00\x09\xa0", OK), (PURSE[:-1], OK)])
def test_a_selection_of_our_purse_that_failed_hides_no_bank_card(between: tuple[bytes, bytes]) -> None:
    assert shown((BANK, OK), (PURSE, b"\x6a\x82"), between) != RECORD + OK
    assert shown((PURSE, OK), (PURSE[:-1], OK)) != RECORD + OK


GET_RESPONSE = bytes.fromhex("00C0000000")


def redacted(*exchanges: tuple[bytes, bytes]) -> list[str]:
    """The answers after redaction."""
    redactor = Redactor()
    found = [redactor.redact(Exchange(command, answer)) for command, answer in exchanges]
    return [(item.response or b"").hex().upper() for item in found if isinstance(item, Exchange)]


@pytest.mark.parametrize("cut", range(1, len(RECORD)))
def test_a_record_that_comes_in_pieces_shows_nothing_of_the_later_ones(cut: int) -> None:
    first, second, other = (
        redacted(
            (READ, RECORD[:cut] + b"\x61\x10"),
            (GET_RESPONSE, b"\x6c\x10"),
            (GET_RESPONSE, RECORD[cut:-1] + b"\x61\x01"),
        )
        if cut < len(RECORD) - 1
        else ("", "6C10", "")
    )
    assert second == "6C10"
    assert PAN[6:8] not in first[10:] + other
    assert not other or set(other[:-4]) == {"0"}


def test_what_follows_on_a_record_in_pieces_is_shown() -> None:
    pieces = [(READ, RECORD[:9] + b"\x61\x0d"), (GET_RESPONSE, RECORD[9:] + OK), (GET_RESPONSE, b"\x01\x02\x90\x00")]
    assert redacted(*pieces)[-1] == "01029000"
    assert redacted(pieces[0], (READ, b"\x01\x02\x90\x00"))[-1] == "01029000"
    assert redacted((PURSE, OK), *pieces)[1:3] == [
        (RECORD[:9] + b"\x61\x0d").hex().upper(),
        (RECORD[9:] + OK).hex().upper(),
    ]


def test_a_reset_forgets_what_was_selected() -> None:
    redactor = Redactor()
    redactor.redact(Exchange(PURSE, OK, "left"))
    redactor.redact(Reset(slot="left"))
    said = redactor.redact(Exchange(READ, RECORD + OK, "left"))
    assert isinstance(said, Exchange)
    assert said.redacted == (("response", 7, 10),)
