"""Card IDs: bytes and text there and back, and a check digit that catches slips of the tongue."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import FormatError
from apdu.identity import AID, CardId, LifeCycle, Role

IDS = st.builds(CardId.of, st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))


def test_text_as_documented() -> None:
    card = CardId.of(1, 42)
    assert (card.hex(), str(card), card.text) == ("00010000002a", card.text, "00001-0000000042-0")
    assert (card.issuer, card.serial) == (1, 42)


def luhn_sum(digits: str) -> int:
    """ISO/IEC 7812-1 annex B the other way round: over a whole number with its check digit, a multiple of 10."""
    doubled = "".join(str(int(digit) * (1 + i % 2)) for i, digit in enumerate(reversed(digits)))
    return sum(map(int, doubled))


@given(IDS)
def test_check_digit_is_luhn(card: CardId) -> None:
    assert luhn_sum(card.text.replace("-", "")) % 10 == 0


@given(IDS)
def test_there_and_back(card: CardId) -> None:
    assert CardId.parse(card.text) == CardId(bytes(card)) == CardId.of(card.issuer, card.serial) == card
    assert CardId.parse(f" {card}\n") == card


@given(IDS, st.integers(0, 17), st.integers(1, 9))
def test_one_wrong_digit_never_hits_another_card(card: CardId, at: int, more: int) -> None:
    text = card.text
    if text[at] == "-":
        return
    wrong = text[:at] + str((int(text[at]) + more) % 10) + text[at + 1 :]
    with pytest.raises(FormatError):
        CardId.parse(wrong)


@given(IDS, st.integers(0, 13))
def test_two_digits_the_wrong_way_round(card: CardId, at: int) -> None:
    """Luhn's formula sees every such slip but 09 for 90."""
    digits = card.text.replace("-", "")
    one, other = digits[at], digits[at + 1]
    if one == other or {one, other} == {"0", "9"}:
        return
    swapped = digits[:at] + other + one + digits[at + 2 :]
    with pytest.raises(FormatError):
        CardId.parse(f"{swapped[:5]}-{swapped[5:15]}-{swapped[15]}")


@pytest.mark.parametrize(
    "text",
    ["", "42", "1-42", "1-42-3-4", "00001-0000000042-", "00001-0000000042-00", "a-42-0", "-1-42-0", "\uff11-42-0",
     "1-4 2-0", "65536-0000000042-0", "00001-4294967296-0", "1-" + "9" * 5000 + "-0"],
)  # fmt: skip
def test_what_is_no_card_id(text: str) -> None:
    with pytest.raises(FormatError):
        CardId.parse(text)


def test_a_wrong_check_digit_is_told_from_a_wrong_form() -> None:
    with pytest.raises(FormatError, match="check digit"):
        CardId.parse("00001-0000000042-1")
    with pytest.raises(FormatError, match="00001-0000000042-0"):
        CardId.parse("forty-two")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(FormatError):
        assert len(CardId.parse(text)) == CardId.SIZE


@pytest.mark.parametrize(("issuer", "serial"), [(-1, 0), (0x10000, 0), (0, -1), (0, 0x100000000)])
def test_numbers_out_of_range(issuer: int, serial: int) -> None:
    with pytest.raises(FormatError, match="out of range"):
        CardId.of(issuer, serial)


@pytest.mark.parametrize("size", [0, 5, 7])
def test_a_card_id_has_six_bytes(size: int) -> None:
    with pytest.raises(FormatError, match="6 bytes"):
        CardId(bytes(size))


def test_states_are_the_life_cycle_status_bytes_of_iso_7816_4() -> None:
    """Table 14: creation 01, initialization 03, operational 04 (deactivated) and 05 (activated), termination 0C."""
    assert [int(state) for state in LifeCycle] == [0x01, 0x03, 0x04, 0x05, 0x0C]
    assert len({state.text for state in LifeCycle}) == 5


def test_roles_and_name() -> None:
    assert [int(role) for role in Role] == [1, 2, 3]
    assert AID[0] >> 4 == 0xF
    assert 5 <= len(AID) <= 16
