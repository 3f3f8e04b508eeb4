"""One tree of errors, drawn in its docstring as it grows."""

import re

from apdu import errors
from apdu.errors import FormatError, SaifuError


def drawn() -> set[str]:
    return set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"SaifuError"}


def test_the_drawing_shows_every_error_and_its_place() -> None:
    defined = set(errors.__all__)
    assert drawn() - {"StatusError"} == defined
    assert all(issubclass(getattr(errors, name), SaifuError) for name in defined)
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"([\s│]*)[├└]── (\w+)", line):
            parent, name = len(found[1]) == 4, found[2]
            if name != "StatusError":
                assert (getattr(errors, name).__base__ is SaifuError) == parent, name


def test_an_offset_stands_in_the_text() -> None:
    assert str(FormatError("a length is missing", 7)) == "a length is missing (at byte 7)"
    assert (FormatError("x").offset, str(FormatError("x"))) == (None, "x")
