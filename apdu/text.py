"""Texts of people: names and reasons, which are typed once and shown for years, in tables, letters and reports.

What steers a terminal, ends a line or turns the direction of writing has no place in them: a name with an escape
sequence clears the operator's screen, a reason with a line end forges the next line of a report, and a bidirectional
override makes ``exe.doc`` of ``cod.exe``. It is refused where a text comes in (``plain_text``), and spelt out where any
text goes out (``visible``), because what other programs have written comes out there too.
"""

import unicodedata

from apdu.errors import InputError

__all__ = ["LONGEST_TEXT", "plain_text", "visible"]

LONGEST_TEXT = 100
"""Characters that a name or a reason has at most."""


def plain_text(text: str, what: str) -> str:
    """A name or a reason of 1 to 100 characters on one line, without spaces around it.

    ``what`` it is stands in the error: raises InputError that names the first character that has no place in it, and
    where that stands.
    """
    stripped = text.strip(" ")
    if not 1 <= len(stripped) <= LONGEST_TEXT:
        raise InputError(f"{what}: a text of 1 to {LONGEST_TEXT} characters is wanted, not of {len(stripped)}")
    for place, each in enumerate(stripped, 1):
        if not each.isprintable():
            name = unicodedata.name(each, "a control character")
            raise InputError(f"{what}: character {place} is U+{ord(each):04X} ({name}), which is not shown as it is")
    return stripped


def visible(text: str) -> str:
    """Text of one line, in which characters that steer a terminal or turn the direction of writing are spelt out."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
