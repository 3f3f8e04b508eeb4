"""Card processes: one for each card in a slot, so that pulling a card out is ending a process."""

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from apdu.errors import InputError, ReaderError
from broadcast import children
from host.replay import REPLAY
from host.virtual.card_process import INSERTED

__all__ = ["CARD_PROGRAM", "CardProcess", "absolute"]

CARD_PROGRAM = (sys.executable, "-P", "-m", "host.virtual.card_process")
"""Command that becomes a card; the port of the slot and the image, or ``replay:FILE``, are added to it.

-P: not a module of the same name that happens to lie in the current folder.
"""

_ROOT = Path(__file__).resolve().parents[2]
_INSERT_SECONDS = 20
"""Loading an image and the next look of pcscd, 0.4 s, take less, by far."""
_EJECT_SECONDS = 5


def absolute(source: Path) -> Path:
    """A card image, or ``replay:FILE``, named from the root: its process may run in another folder."""
    text = str(source)
    if not text.startswith(REPLAY):
        return source.absolute()
    return Path(f"{REPLAY}{Path(text.removeprefix(REPLAY)).absolute()}")


class CardProcess:
    """A process that is a card in a slot; it ends when told to, and when its parent ends."""

    def __init__(self, image: Path, port: int, program: Sequence[str] = CARD_PROGRAM) -> None:
        """Start the process; the reader sees the card within 0.5 s, see ``wait_until_inserted``."""
        self.image = image
        path = filter(None, (str(_ROOT), os.environ.get("PYTHONPATH")))
        self._process = children.start(
            [*program, "--port", str(port), "--", str(image)],
            {"PYTHONPATH": os.pathsep.join(path)},  # it finds our modules from whichever folder it is started
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the reader, which ends its cards itself
        )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the card is still in the slot."""
        return self._process.poll() is None

    def wait_until_inserted(self) -> None:
        """Wait until the reader has powered the card; raises InputError if the image is not a card's."""
        said = self._first_line()
        if said != INSERTED:
            self.kill()
            reason = said.removeprefix(f"{self.image}: ") or "its process ended, see above"
            raise InputError(f"{self.image} cannot be inserted: {reason}")

    def _first_line(self) -> str:
        output = self._process.stdout
        assert output is not None  # noqa: S101  (a pipe was asked for)
        if not select.select([output], [], [], _INSERT_SECONDS)[0]:
            self.kill()
            raise ReaderError(f"the reader did not take {self.image} in {_INSERT_SECONDS} s: start it anew")
        return output.readline().decode("utf-8", "replace").strip()

    def take_out(self) -> None:
        """Pull the card out, whatever it is doing."""
        assert self._process.stdin is not None  # noqa: S101  (a pipe was asked for)
        self._process.stdin.close()
        try:
            self._process.wait(_EJECT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._close()

    def kill(self) -> None:
        """End the process as the system does when it must: nothing is finished or written any more."""
        self._process.kill()
        self._close()

    def _close(self) -> None:
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
