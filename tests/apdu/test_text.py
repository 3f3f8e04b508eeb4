"""Texts of people: one line that is shown as it is, in every script."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import InputError
from apdu.text import LONGEST_TEXT, plain_text, visible


@pytest.mark.parametrize("text", ["Aoi", "Zoë d'Arc-Łuk", "盗 まれ", "=1+1", "a" * LONGEST_TEXT, "👛"])
def test_a_name_is_taken_as_it_is(text: str) -> None:
    assert plain_text(text, "holder") == text
    assert plain_text(f"  {text} ", "holder") == text


@pytest.mark.parametrize(("text", "said"), [
    ("a\x1b[2J", r"character 2 is U\+001B \(a control character\)"),
    ("a\nb", r"character 2 is U\+000A"),
    ("\tb", r"character 1 is U\+0009"),
    ("x\u202ey", "RIGHT-TO-LEFT OVERRIDE"),
    ("x\u2066y", "LEFT-TO-RIGHT ISOLATE"),
    ("x\u2028y", "LINE SEPARATOR"),
    ("x\u00a0y", "NO-BREAK SPACE"),
    ("x\u200by", "ZERO WIDTH SPACE"),
    ("x\udcffy", r"U\+DCFF"),
    ("", "1 to 100 characters"),
    ("  ", "1 to 100 characters"),
    ("a" * (LONGEST_TEXT + 1), "not of 101"),
])  # fmt: skip
def test_what_would_forge_or_hide_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(InputError, match=f"holder: .*{said}"):
        plain_text(text, "holder")


@given(st.text())
def test_what_is_taken_is_shown_as_it_is_and_whatever_is_shown_steers_nothing(text: str) -> None:
    assert visible(text).isprintable()
    with suppress(InputError):
        taken = plain_text(text, "holder")
        assert visible(taken) == taken
