"""Everything that is known of a reading: facts, and its bytes as trees. Screens, pages and documents show the same."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from apdu.trace.detail import Detail, answer_detail, command_detail
from apdu.trace.model import Exchange
from apdu.trace.reading import Reading

__all__ = ["Section", "facts", "sections"]

_APPLICATIONS = ("EMV", "GlobalPlatform")
"""Standards whose commands tell what is selected; those of ISO 7816-4 any application has."""


class Section(NamedTuple):
    """A command or an answer: its bytes, and what they mean."""

    raw: bytes
    detail: Detail


def sections(reading: Reading) -> Iterator[Section]:
    """Command and answer as they went over the wire, then as the secure channel carried them, if it was opened."""
    application = reading.standard if reading.standard in _APPLICATIONS else ""
    if isinstance(reading.item, Exchange):
        yield from _of(reading.item, application)
    if reading.plain is not None:
        for raw, detail in _of(reading.plain, application):
            yield Section(raw, replace(detail, label=f"{detail.label} in clear"))


def _of(exchange: Exchange, application: str) -> Iterator[Section]:
    yield Section(exchange.command, command_detail(exchange.command, application))
    if exchange.response is not None:
        answer = answer_detail(exchange.command, exchange.response, application)
        yield Section(exchange.response, answer)


def facts(reading: Reading) -> Iterator[tuple[str, str]]:
    """Names and texts of what is known beside the bytes."""
    item = reading.item
    for text in reading.unexpected:
        yield "unexpected", text
    if reading.step:
        yield "step", reading.step
    if item.slot:
        yield "slot", item.slot
    if item.time is not None:
        yield "time", _moment(item.time)
    if isinstance(item, Exchange):
        yield from _of_exchange(item)


def _of_exchange(item: Exchange) -> Iterator[tuple[str, str]]:
    if item.seconds is not None:
        yield "answered in", f"{item.seconds * 1000:.6g} ms"
    for part, start, end in item.redacted:
        yield "left out", f"secret bytes {start} to {end - 1} of the {part}; zeros are in their place"


def _moment(time: float) -> str:
    """A time of day; a number where no calendar reaches."""
    try:
        return datetime.fromtimestamp(time, UTC).isoformat(" ", "milliseconds").replace("+00:00", " UTC")
    except (ValueError, OverflowError, OSError):
        return f"{time:.6g} s"
