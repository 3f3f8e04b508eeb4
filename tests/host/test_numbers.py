"""Numbers of the command line: ASCII digits within bounds, and a sentence for everything else."""

from contextlib import suppress

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from host.numbers import decimal_from, number_from


@pytest.mark.parametrize(
    "text", ["", "0", "11", "-1", "+5", "1_0", " 5", "5\n", "\u0661", "\uff15", "5.0", "1e0", "0x5"]
)
def test_what_is_no_number_within_its_bounds_is_told_with_them(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no number from 1 to 10"):
        number_from(1, 10)(text)


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-inf", "1e400", "1e0", "1_0.0", ".5", "5.", "0.05", "10.1", "1" * 5000]
)
def test_what_is_no_decimal_within_its_bounds_is_told_with_them(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"is no number from 0\.1 to 10"):
        decimal_from(0.1, 10)(text)


@given(st.integers(1, 10**19))
def test_a_number_is_read(number: int) -> None:
    assert number_from(0, 10**20)(str(number)) == number
    assert decimal_from(0, 1e20)(f"{number}.5") == number + 0.5


@given(st.text())
def test_any_text_is_a_number_or_a_sentence(text: str) -> None:
    with suppress(typer.BadParameter):
        assert 0 <= number_from(0, 99)(text) <= 99
