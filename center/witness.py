"""Witnesses: what the center has given out, told by files that an old copy of its database does not bring back.

Theory of operation. A store that is put back from a copy says nothing of its own age, so no store is its own
witness. Beside the database there are two files with the same content: one in the center's folder, which tells when
the database alone is an older copy, and one outside of it, on another disk if possible, which tells when the whole
folder is. They hold marks: the highest serial and edition that were given out, the newest state of the float, and
the center's order, the counter that numbers every transaction by which something was given out or decided.

Such a transaction *announces* its order in both files before it commits, and *confirms* it after; what it has signed
leaves the center after that. So there are three cases for a database with order d, and a witness that has heard
n announced and c confirmed (c <= n):

- c <= d <= n: current. With d < n the last transaction was cut before its commit: nothing of it was given out.
- d < c: the database is an older copy.
- d > n: the witness is an older copy, and cannot speak for the database any more.

A file has three lines of fixed length, written in place: two with marks and a checksum, of which the one that is not
in force is overwritten, and one with the order that was confirmed. Whatever write is cut, the line that was in force
before is there whole. Announcing is done under the write lock of the database, so there is one writer; confirming is
not, and writes another line, which counts only as far as it is above what was announced along as committed before.
The file outside is flushed to the disk with each announcement; the one in the folder is made again from it, and a
confirmation that a loss of power has undone only leaves the last transaction open.
"""

import json
import os
import sys
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Self

from apdu.errors import StoreError
from host.files import PRIVATE, make_folder, sync, write_whole

__all__ = ["WITNESS_VARIABLE", "FloatState", "Marks", "Witness", "witness_folder"]

WITNESS_VARIABLE = "SAIFU_WITNESS"
_LINE = 512
"""Bytes of each of the three lines, with its newline."""
_CHECK = 16
"""Hex digits of the checksum at the beginning of a line with marks."""


@dataclass(frozen=True, slots=True)
class FloatState:
    """How far the float has come: its serial, newest record, payments, balance (minor units) and hash chain."""

    serial: int
    record: int
    payments: int
    balance: int
    chain: bytes

    def document(self) -> list[int | str]:
        """The state as it stands in JSON."""
        return [self.serial, self.record, self.payments, self.balance, self.chain.hex()]

    @classmethod
    def of(cls, document: list[int | str]) -> Self:
        """Read what ``document`` wrote; raises ValueError, TypeError."""
        *numbers, chain = document
        serial, record, payments, balance = map(int, numbers)
        return cls(serial, record, payments, balance, bytes.fromhex(str(chain)))


@dataclass(frozen=True, slots=True)
class Marks:
    """What was given out: the order announced and confirmed, the highest serial and edition, the float's state."""

    announced: int = 0
    confirmed: int = 0
    serial: int = 0
    edition: int = 0
    float_state: FloatState | None = None

    def joined(self, other: "Marks") -> "Marks":
        """The higher of each: marks only grow."""
        states = [state for state in (self.float_state, other.float_state) if state]
        return Marks(
            max(self.announced, other.announced),
            max(self.confirmed, other.confirmed),
            max(self.serial, other.serial),
            max(self.edition, other.edition),
            max(states, key=lambda state: (state.serial, state.record, state.payments), default=None),
        )

    def encode(self) -> bytes:
        """The marks as JSON."""
        state = self.float_state
        numbers = [self.announced, self.confirmed, self.serial, self.edition]
        return json.dumps([*numbers, state.document() if state else None]).encode()

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Read what ``encode`` wrote."""
        announced, confirmed, serial, edition, state = json.loads(text)
        return cls(announced, confirmed, serial, edition, FloatState.of(state) if state else None)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line with marks: the number of the announcement, whose parity is the line's place, and the marks."""

    number: int
    marks: Marks

    def encode(self) -> bytes:
        """Checksum, number and marks, filled up with blanks."""
        text = b"%d %s" % (self.number, self.marks.encode())
        return (_checksum(text) + b" " + text).ljust(_LINE - 1) + b"\n"

    @classmethod
    def decode(cls, raw: bytes) -> Self | None:
        """Read a line; None for one whose writing was cut."""
        check, _, text = raw.rstrip().partition(b" ")
        if check != _checksum(text):
            return None
        number, _, marks = text.partition(b" ")
        return cls(int(number), Marks.decode(marks))


def _checksum(text: bytes) -> bytes:
    return sha256(text).hexdigest()[:_CHECK].encode()


class Witness:
    """One file with marks."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        """``durable``: what is announced has reached the disk when ``announce`` returns."""
        self.path, self._durable = path, durable

    def read(self) -> Marks | None:
        """The marks; None when there is no file. Raises StoreError for one that cannot be read or is damaged."""
        found = self._read()
        return found.marks if found else None

    def _read(self) -> _Line | None:
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}") from None
        whole = [line for start in (0, _LINE) if (line := _Line.decode(raw[start : start + _LINE]))]
        if not whole:
            raise StoreError(f"{self.path} is damaged: remove it, then: saifu center recover")
        newest = max(whole, key=lambda line: line.number)
        said = raw[2 * _LINE :].strip()
        confirmed = max(newest.marks.confirmed, int(said) if said.isdigit() else 0)
        return _Line(newest.number, replace(newest.marks, confirmed=min(confirmed, newest.marks.announced)))

    def make(self, marks: Marks) -> None:
        """Make the file anew, whatever is there; raises StoreError."""
        try:
            make_folder(self.path.parent, 0o700)
        except OSError as error:
            raise StoreError(f"{self.path.parent} cannot be made: {error.strerror}") from None
        write_whole(self.path, _Line(0, marks).encode() + b" " * (_LINE - 1) + b"\n", PRIVATE)

    def announce(self, marks: Marks) -> None:
        """Raise the marks, under the database's write lock and before its commit; raises StoreError."""
        before = self._read()
        if before is None:
            raise StoreError(f"{self.path} is not there any more: start again, and see what is said then")
        line = _Line(before.number + 1, before.marks.joined(marks))
        self._write(line.number % 2, line.encode(), durable=self._durable)

    def confirm(self, order: int) -> None:
        """Say that a transaction was committed; raises StoreError."""
        self._write(2, str(order).encode().ljust(_LINE - 1) + b"\n", durable=False)

    def _write(self, place: int, line: bytes, *, durable: bool) -> None:
        try:
            with self.path.open("r+b", buffering=0) as file:
                file.seek(place * _LINE)
                file.write(line)
                if durable:
                    sync(file.fileno())
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}") from None


def witness_folder() -> Path:
    """Where the user, or else the system, wants the state of programs: on another disk, if it can be."""
    if chosen := os.environ.get(WITNESS_VARIABLE):
        return Path(chosen)
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "saifu-witness"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "saifu-witness"
    return Path(os.environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "saifu"
