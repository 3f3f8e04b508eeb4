"""What the center has given out, beside its database: an old copy that is put back must not give it out again."""

import json
from pathlib import Path

from apdu.errors import StoreError
from host.files import PRIVATE, write_whole

__all__ = ["HighWater"]


class HighWater:
    """The highest serial and edition ever given out, in a file of their own; used inside a database transaction."""

    def __init__(self, folder: Path) -> None:
        """Keep them in the center's folder."""
        self._file = folder / "high-water.json"

    def __getitem__(self, name: str) -> int:
        """The highest number of a kind; 0 before the first. Raises StoreError when the file is damaged."""
        return self._read().get(name, 0)

    def _read(self) -> dict[str, int]:
        if not self._file.exists():
            return {}
        try:
            content = json.loads(self._file.read_bytes())
            return {str(name): int(number) for name, number in content.items()}
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise StoreError(f"{self._file} is damaged: write the highest serial and edition into it") from None

    def next(self, name: str, known: int) -> int:
        """The next number of a kind, above what the database knows and above what was ever given out."""
        marks = self._read()
        marks[name] = max(known, marks.get(name, 0)) + 1
        write_whole(self._file, json.dumps(marks).encode() + b"\n", PRIVATE)
        return marks[name]
