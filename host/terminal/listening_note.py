"""What a listener that runs in the background writes down for ``saifu terminal status``; nothing depends on it."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from apdu.errors import StoreError
from broadcast.reception import Progress, Reception, ReceptionStatistics
from host.files import is_locked, locked, make_folder, remove_leftovers, write_whole

__all__ = ["ListeningNote", "listeners", "noting"]

_FOLDER = "listening"
_WRITE_SECONDS = 2.0
_LOCK_SECONDS = 0.5
"""Longer than ``listeners`` holds the lock when it looks whether somebody else does."""


class ListeningNote:
    """The note of one listener, renewed while packets come, at most every two seconds."""

    def __init__(self, file: Path, air: str, clock: Callable[[], float]) -> None:
        """``air`` is what ``--air`` says; ``clock`` tells Unix seconds."""
        self._file, self._air, self._clock = file, air, clock
        self._since, self._written = int(clock()), 0.0

    def update(self, reception: Reception) -> None:
        """Write how the reception stands, unless that was done just now; a full disk keeps nobody from listening."""
        if time.monotonic() - self._written < _WRITE_SECONDS:
            return
        self._written = time.monotonic()
        self.write(reception.statistics, reception.progress)

    def write(self, statistics: ReceptionStatistics, progress: Sequence[Progress]) -> None:
        """Write these figures now."""
        document = {
            "air": self._air,
            "since": self._since,
            "written": int(self._clock()),
            "packets": asdict(statistics),
            "progress": [asdict(one) for one in progress],
        }
        with suppress(StoreError):
            write_whole(self._file, json.dumps(document).encode() + b"\n")


@contextmanager
def noting(folder: Path, air: str, clock: Callable[[], float] = time.time) -> Iterator[ListeningNote]:
    """The note of a listener on this bearer, for as long as the block runs; a second one on it shares the note."""
    name = air.partition(":")[0]
    file = folder / _FOLDER / f"{name if name.isascii() and name.isalpha() else 'other'}.json"
    note = ListeningNote(file, air, clock)
    with ExitStack() as held:
        with suppress(StoreError, OSError):  # somebody else listens on it too, or there is no writing here
            make_folder(file.parent)
            held.enter_context(locked(file.with_suffix(""), _LOCK_SECONDS))
            remove_leftovers(file)
            note.write(ReceptionStatistics(), [])  # until the first packet, there would be what the one before wrote
        yield note


def listeners(folder: Path) -> list[dict[str, Any]]:
    """The notes of the listeners that run now; damaged ones are left out."""
    notes = []
    for file in sorted((folder / _FOLDER).glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            # the lock of the process that made the note ends with it, however it ends
            if is_locked(file.with_suffix("")):
                notes.append(_checked(json.loads(file.read_bytes())))
    return notes


def _checked(note: dict[str, Any]) -> dict[str, Any]:
    """What ``update`` wrote, field by field; anything else raises ValueError, KeyError or TypeError."""
    counts = asdict(ReceptionStatistics(**note["packets"]))
    progress = [asdict(Progress(**one)) for one in note["progress"]]
    numbers = [note["since"], note["written"], *counts.values(), *(value for one in progress for value in one.values())]
    if not isinstance(note["air"], str) or any(type(number) is not int for number in numbers):
        raise TypeError("a note of other types")
    return {**{name: note[name] for name in ("air", "since", "written")}, "packets": counts, "progress": progress}
