"""The order list of a batch: a CSV file, checked whole before the first card is touched."""

import csv
import io
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Self

from apdu.counting import counted
from apdu.errors import InputError
from apdu.text import plain_text

__all__ = ["COLUMNS", "Order", "OrderList"]

COLUMNS = {"holder": True, "pin": False, "file": False}
"""Columns of the CSV and whether each must be there."""

_PIN_LENGTHS = range(4, 9)
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Order:
    """One row: its line in the file, the holder, the PIN if one is given, the image file's name."""

    line: int
    holder: str
    pin: str | None = field(repr=False)
    file: str


@dataclass(frozen=True, slots=True)
class OrderList:
    """All rows; ``digest`` tells one list from another, so that a journal is not resumed with the wrong one."""

    orders: tuple[Order, ...]
    digest: str

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check a whole CSV file; raises InputError that lists every fault with line and column."""
        raw = _read(path)
        faults: list[str] = []
        orders = _rows(str(path), _text(path, raw), faults)
        if faults:
            more = f"\n… and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
            raise InputError("\n".join(faults[:_SHOWN]) + more + "\nno card was touched")
        return cls(tuple(orders), sha256(raw).hexdigest())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def _text(path: Path, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(f"{path}:{line}: this is not UTF-8; save the file as CSV UTF-8") from None


def _rows(path: str, text: str, faults: list[str]) -> list[Order]:
    """Read all rows; a fault never stops the check of the others."""
    orders: list[Order] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = _header(path, next(reader, []), faults)
        if faults:
            return []
        orders.extend(_order(path, reader.line_num, header, cells, faults) for cells in reader if cells)
    except csv.Error as error:
        faults.append(f"{path}:{reader.line_num}: {error}")
    if not orders and not faults:
        faults.append(f"{path}: there is no row behind the header")
    _check_twice(path, orders, faults)
    return orders


def _header(path: str, header: list[str], faults: list[str]) -> list[str]:
    names = [name.strip().lower() for name in header]
    for column, name in enumerate(names, 1):
        if name not in COLUMNS:
            faults.append(f"{path}:1: column {column}: {name!r} is unknown; known are {', '.join(COLUMNS)}")
        elif name in names[: column - 1]:
            faults.append(f"{path}:1: column {column}: {name!r} is there twice")
    for name, must in COLUMNS.items():
        if must and name not in names:
            faults.append(f"{path}:1: column {name!r} is missing")
    return names


def _order(path: str, line: int, header: list[str], cells: list[str], faults: list[str]) -> Order:
    """Check one row; the text of a PIN never gets into a message."""
    if len(cells) != len(header):
        faults.append(f"{path}:{line}: {counted(len(cells), 'column')}, the header has {len(header)}")
    row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
    holder, pin, file = row.get("holder", ""), row.get("pin", ""), row.get("file", "")
    checks = {
        "holder": _fault_of_name(holder),
        "pin": not pin or _is_pin(pin) or "a PIN has 4 to 8 digits",
        "file": not file or _is_file_name(file) or "a file name without folders is wanted",
    }
    for name, fault in checks.items():
        if isinstance(fault, str) and name in header:
            faults.append(f"{path}:{line}: column {header.index(name) + 1} ({name}): {fault}")
    return Order(line, holder, pin or None, file or f"line-{line}.card")


def _fault_of_name(holder: str) -> str | bool:
    try:
        return bool(plain_text(holder, "a name"))
    except InputError as error:
        return str(error)


def _is_file_name(text: str) -> bool:
    return text.isprintable() and text != ".." and Path(text).name == text


def _is_pin(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) in _PIN_LENGTHS


def _check_twice(path: str, orders: list[Order], faults: list[str]) -> None:
    """Two rows must not want the same image file."""
    first: dict[str, int] = {}
    for order in orders:
        before = first.setdefault(order.file.lower(), order.line)
        if before != order.line:
            faults.append(f"{path}:{order.line}: file {order.file} is in line {before} already")
