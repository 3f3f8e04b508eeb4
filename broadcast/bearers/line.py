"""What the lines have in common: names of channels, trust in servers, and waiting between attempts."""

import re
import ssl
from pathlib import Path
from time import monotonic

from apdu.errors import InputError

__all__ = ["Backoff", "check_channel", "trust"]

_CHANNEL = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,3}")
_RESERVED = {"full", "delta", "index"}
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 30.0
_SHORTEST_ANSWER = 3.0
"""Seconds for what a server answers first: with less, a good one would pass for one that is down."""


def check_channel(channel: str) -> str:
    """Return a channel's name, ``GROUP`` or ``GROUP/KEY-NUMBER``; raises InputError for what no path can hold."""
    if len(channel) > 128 or not _CHANNEL.fullmatch(channel) or _RESERVED & set(channel.split("/")):
        raise InputError(f"{channel!r} cannot name a channel; give one such as terminals/1")
    return channel


def trust(ca: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer to servers whose certificate comes from this CA file, or from the system's; names are checked.

    Raises InputError when the file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        text = f"{ca} cannot be used as a CA file: {error.strerror or error}"
        raise InputError(f"{text}; give a PEM file with the certificate of the server's CA") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Backoff:
    """How long to wait before the next attempt: ever longer, up to 30 s, and never beyond the end."""

    def __init__(self, seconds: float | None) -> None:
        """Begin; the end is in ``seconds``, None: never."""
        began = monotonic()
        self._end = None if seconds is None else began + seconds
        self._least = began + _SHORTEST_ANSWER
        self._wait = _FIRST_WAIT

    def left(self, most: float) -> float:
        """Seconds left until the end, at most ``most``; not above 0 when it is over."""
        return most if self._end is None else min(most, self._end - monotonic())

    def answer(self, most: float) -> float:
        """Seconds that a server may take now, at most ``most``: until the end, but 3 s from the start in any case."""
        return min(most, max(self.left(most), self._least - monotonic()))

    def failed(self) -> float:
        """An attempt failed: seconds to wait now; not above 0 when there is no time for another."""
        wait, self._wait = self._wait, min(2 * self._wait, _LONGEST_WAIT)
        return self.left(wait)

    def worked(self) -> None:
        """An attempt worked: the next failure waits briefly again."""
        self._wait = _FIRST_WAIT
