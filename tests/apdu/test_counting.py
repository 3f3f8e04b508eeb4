"""Numbers in words: one is one, and ages come in their largest whole unit."""

import pytest

from apdu.counting import counted, duration


@pytest.mark.parametrize(("number", "said"), [(0, "0 cards"), (1, "1 card"), (2, "2 cards")])
def test_one_is_one(number: int, said: str) -> None:
    assert counted(number, "card") == said


def test_what_no_s_makes_many_is_told() -> None:
    assert [counted(number, "try", "tries") for number in (1, 2)] == ["1 try", "2 tries"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(59, "0 minutes"), (60, "1 minute"), (7199, "119 minutes"), (7200, "2 hours"), (172_800, "2 days")],
)
def test_ages_have_one_unit(seconds: int, said: str) -> None:
    assert duration(seconds) == said
