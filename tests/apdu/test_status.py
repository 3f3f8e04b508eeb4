"""Status words: every one has a text, unknown ones stay visible, and errors keep them."""

import pytest

from apdu.errors import CardError, SaifuError
from apdu.status import STATUS_TEXT, StatusError, StatusWord, status_text, tries_left


def test_every_word_has_a_text_of_its_own() -> None:
    assert STATUS_TEXT.keys() == {*map(int, StatusWord)}
    assert len({*STATUS_TEXT.values()}) == len(STATUS_TEXT)


def test_own_words_are_95xx_one_is_globalplatforms_and_the_others_those_of_iso_7816_4() -> None:
    own = [sw for sw in StatusWord if sw >> 8 == 0x95]
    assert own == [*range(0x9501, 0x9514)]
    assert {sw >> 12 for sw in StatusWord if sw not in own} == {0x6, 0x9}
    assert [sw for sw in StatusWord if sw >> 12 == 9 and sw not in own] == [StatusWord.OK, StatusWord.KEY_CHECK_VALUE]


def test_no_word_is_one_that_means_something_by_its_form() -> None:
    assert not [sw for sw in StatusWord if sw >> 8 in (0x61, 0x6C) or tries_left(sw) is not None]


@pytest.mark.parametrize(("sw", "left"), [(0x63C0, 0), (0x63C3, 3), (0x63CF, 15), (0x6300, None), (0x9000, None)])
def test_tries_left(sw: int, left: int | None) -> None:
    assert tries_left(sw) == left


@pytest.mark.parametrize(
    ("sw", "text"),
    [
        (0x9000, "done"),
        (0x63C2, "wrong; 2 tries left"),
        (0x6110, "16 more bytes to fetch with GET RESPONSE"),
        (0x6100, "256 more bytes to fetch with GET RESPONSE"),
        (0x6C08, "wrong Le: exactly 8 bytes"),
        (0x6C00, "wrong Le: exactly 256 bytes"),
        (0x6F00, "unknown status word"),
        (0x9514, "unknown status word"),
    ],
)
def test_in_words(sw: int, text: str) -> None:
    assert status_text(sw) == text


def test_any_number_has_a_text() -> None:
    assert all(status_text(sw) for sw in range(0x10000))


def test_an_error_keeps_command_and_word() -> None:
    error = StatusError("PAY", 0x9504)
    assert str(error) == "PAY: too little money (9504)"
    assert (error.command, error.sw, error.word) == ("PAY", 0x9504, StatusWord.INSUFFICIENT_MONEY)
    assert isinstance(error, CardError)
    assert isinstance(error, SaifuError)


@pytest.mark.parametrize("sw", [0x6F00, 0x63C1, 0x6110])
def test_an_unknown_word_stays_visible(sw: int) -> None:
    error = StatusError("PAY", sw)
    assert (error.sw, error.word) == (sw, None)
    assert f"{sw:04X}" in str(error)
