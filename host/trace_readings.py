"""Traces as readings: opened, followed, inspected with the keys of the cards, and without secrets."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from apdu.errors import FormatError, InputError
from apdu.text import visible
from apdu.trace import own
from apdu.trace.inspector import inspect
from apdu.trace.model import Item, Reset
from apdu.trace.reading import Reading
from apdu.trace.redaction import Redactor
from host.secure_connection import KeysFor
from host.secure_listener import SecureListener
from host.trace_files import open_trace
from host.trace_following import follow

__all__ = ["following", "open_readings", "readings", "without_secrets"]


@contextmanager
def open_readings(
    file: Path, keys: KeysFor | None = None, secrets: bool = False
) -> Iterator[tuple[str, Iterator[Reading]]]:
    """Name of the form, and the readings, of a trace; ``keys`` open the secure channels in it.

    Raises InputError, FormatError.
    """
    with open_trace(file) as (form, items):
        yield form, readings(items, keys, secrets)


def following(file: Path, keys: KeysFor | None = None, secrets: bool = False) -> Iterator[Reading]:
    """Readings of a trace that is being written, until Ctrl-C; what happens to the file is told on standard error.

    Raises InputError for what is no trace of saifu, FormatError for a damaged one.
    """
    lines = follow(file, lambda text: print(visible(f"saifu: {text}"), file=sys.stderr, flush=True))
    try:
        yield from readings(own.decode(_of_saifu(lines, file)), keys, secrets)
    except FormatError as error:
        raise FormatError(f"{file}: {error}") from None


def _of_saifu(lines: Iterable[bytes], file: Path) -> Iterator[bytes]:
    """The same lines, if the first one is a header of ours, of whatever version."""
    begun = False
    for line in lines:
        if not begun and line.strip() and b'"saifu trace ' not in line:
            raise InputError(f"{file}: --follow is for traces that saifu writes, and this is none; show it without it")
        begun = begun or bool(line.strip())
        yield line


def readings(items: Iterable[Item], keys: KeysFor | None = None, secrets: bool = False) -> Iterator[Reading]:
    """Readings of items; secrets are taken out after the channels were opened, since they are under its MACs."""
    found = inspect(items, SecureListener(keys) if keys else None)
    return found if secrets else without_secrets(found)


def without_secrets(found: Iterable[Reading]) -> Iterator[Reading]:
    """The same readings with zeros for PINs and keys, on the wire and in what a secure channel carried."""
    outside, inside = Redactor(), Redactor()
    for reading in found:
        item, plain = outside.redact(reading.item), reading.plain
        if isinstance(item, Reset):
            inside.redact(item)
        if plain is not None:
            plain = inside.answered(inside.sent(plain), plain.response, plain.seconds)
        yield reading._replace(item=item, plain=plain)
