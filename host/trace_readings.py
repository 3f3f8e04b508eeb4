"""Traces as readings: opened, followed, inspected with the keys of the cards, and without secrets."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from apdu.errors import FormatError
from apdu.trace import own
from apdu.trace.inspector import inspect
from apdu.trace.model import Item, Reset
from apdu.trace.reading import Listener, Reading
from apdu.trace.redaction import Redactor
from host.channel_keys import read_channel_keys
from host.secure_listener import SecureListener
from host.trace_files import open_trace
from host.trace_following import follow

__all__ = ["following", "open_readings", "readings", "without_secrets"]


@contextmanager
def open_readings(
    file: Path, keys: Path | None = None, secrets: bool = False
) -> Iterator[tuple[str, Iterator[Reading]]]:
    """Name of the form, and the readings, of a trace; ``keys`` is a file for read_channel_keys.

    Raises InputError, FormatError.
    """
    with open_trace(file) as (form, items):
        yield form, readings(items, keys, secrets)


def following(file: Path, keys: Path | None = None, secrets: bool = False) -> Iterator[Reading]:
    """Readings of a trace that is being written, until Ctrl-C; what happens to the file is told on standard error."""
    lines = follow(file, lambda text: print(f"saifu: {text}", file=sys.stderr, flush=True))
    try:
        yield from readings(own.decode(lines), keys, secrets)
    except FormatError as error:
        raise FormatError(f"{file}: {error}") from None


def readings(items: Iterable[Item], keys: Path | None = None, secrets: bool = False) -> Iterator[Reading]:
    """Readings of items; secrets are taken out after the channels were opened, since they are under its MACs."""
    found = inspect(items, _listener(keys))
    return found if secrets else without_secrets(found)


def _listener(keys: Path | None) -> Listener | None:
    if keys is None:
        return None
    static = read_channel_keys(keys)
    return SecureListener(lambda _: static)


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
