"""Amounts in major units, exactly: nothing is rounded, nothing overflows."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import FormatError
from apdu.money import AMOUNT_MAX, CURRENCIES, Currency, Money, currency

EUR, JPY, TND = currency("EUR"), currency("JPY"), currency("TND")
AMOUNTS = st.integers(0, AMOUNT_MAX)


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (0, EUR, "0.00 EUR"),
        (5, EUR, "0.05 EUR"),
        (1250, EUR, "12.50 EUR"),
        (AMOUNT_MAX, EUR, "42949672.95 EUR"),
        (1250, JPY, "1250 JPY"),
        (7, TND, "0.007 TND"),
        (42, currency(7), "42 007"),
    ],
)
def test_text(amount: int, unit: Currency, text: str) -> None:
    assert str(Money(amount, unit)) == text


@given(AMOUNTS, st.sampled_from(CURRENCIES))
def test_there_and_back(amount: int, unit: Currency) -> None:
    money = Money(amount, unit)
    assert Money.parse(str(money).split()[0], unit) == money


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [("12", EUR, 1200), ("12.5", EUR, 1250), (" 0.01 ", EUR, 1), ("007", JPY, 7), ("1.234", TND, 1234)],
)
def test_reading(text: str, unit: Currency, amount: int) -> None:
    assert Money.parse(text, unit).amount == amount


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1.", ".5", "1,50", "1.234", "1e3", "1 000", "0x10", "nan", "¹", "\uff11\uff12", "1.2.3", "1\n2"],
)
def test_what_is_no_amount_is_never_rounded(text: str) -> None:
    with pytest.raises(FormatError):
        Money.parse(text, EUR)


def test_yen_have_no_decimals() -> None:
    with pytest.raises(FormatError, match="no decimals"):
        Money.parse("1.0", JPY)


@pytest.mark.parametrize("text", ["42949672.96", "9999999999", "99999999999", "9" * 5000])
def test_more_than_a_purse_can_hold(text: str) -> None:
    with pytest.raises(FormatError):
        Money.parse(text, EUR)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(FormatError):
        assert 0 <= Money.parse(text, EUR).amount <= AMOUNT_MAX


def test_currencies_by_number_and_letters() -> None:
    for entry in CURRENCIES:
        assert currency(entry.number) == currency(entry.code) == currency(entry.code.lower()) == entry
    assert len({entry.number for entry in CURRENCIES}) == len({entry.code for entry in CURRENCIES}) == 19


def test_an_unknown_number_prints_as_a_number() -> None:
    assert (currency(7).code, currency(7).places) == ("007", 0)


def test_unknown_letters_are_refused() -> None:
    with pytest.raises(FormatError, match="EUR"):
        currency("QQQ")
