"""The letters to the holders: a CSV file with PINs and resetting codes, its owner's alone, that only grows."""

import csv
import io
from pathlib import Path

from host.files import append, locked, require_own_name, require_replaceable
from personalization.one import Letter

__all__ = ["Letters"]

_COLUMNS = ("card", "holder", "pin", "resetting_code")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet computes (OWASP, CSV injection)."""


class Letters:
    """A file of letters; several batches may write into one."""

    def __init__(self, path: Path) -> None:
        """Name the file; raises InputError when something else is there, or a symbolic link."""
        self._path = path
        self._require_own()

    def write(self, letter: Letter) -> None:
        """Write a letter before its card is made, so that no PIN is ever lost; raises StoreError, InputError."""
        with locked(self._path):
            self._require_own()
            rows = [] if self._has_content() else [_COLUMNS]
            text = io.StringIO(newline="")
            cells = (letter.card.text, letter.holder, letter.pin, letter.resetting_code)
            csv.writer(text).writerows([*rows, [_harmless(cell) for cell in cells]])
            append(self._path, text.getvalue())

    def _has_content(self) -> bool:
        return self._path.exists() and self._path.stat().st_size > 0

    def _require_own(self) -> None:
        """PINs go into no file of another kind, or of another place."""
        require_own_name(self._path)
        if self._has_content():
            require_replaceable(self._path, ",".join(_COLUMNS).encode(), "a file of letters")


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe before it makes it text."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
