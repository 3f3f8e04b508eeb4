"""The blacklist store (20) of a terminal: the edition in force, and what is known of newer ones.

A folder: ``trust.json``, ``edition``, and ``newest-head``, the newest head that any card has carried here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from filelock import FileLock, Timeout

from apdu.errors import InputError, RefusedError, SaifuError, StoreError
from apdu.identity import CardId
from apdu.messages import Head, Signed
from apdu.proof import Proof
from broadcast.edition import EDITION_MAGIC, Edition, check_head
from host.files import write_whole
from host.terminal.trust import Trust

__all__ = ["BlacklistStore"]

_LOCK_SECONDS = 30
"""Reading and writing a long list takes less."""


class BlacklistStore:
    """The list as this terminal has it; every file is replaced whole or not at all."""

    def __init__(self, folder: Path) -> None:
        """Open a store; raises InputError when it has no trust file yet, StoreError when it is damaged."""
        self._folder = folder
        if not self._trust_file.exists():
            raise InputError(
                f"{folder}: this terminal trusts no center yet; give it one with: saifu terminal import TRUST-FILE"
            )
        self.trust = Trust.decode(self._trust_file.read_text(encoding="utf-8", errors="replace"))
        self.edition: Edition | None = None
        self.edition = self._load_edition()

    @property
    def _trust_file(self) -> Path:
        return self._folder / "trust.json"

    @property
    def _edition_file(self) -> Path:
        return self._folder / "edition"

    @property
    def _newest_head_file(self) -> Path:
        return self._folder / "newest-head"

    @classmethod
    def import_trust(cls, folder: Path, text: str) -> "BlacklistStore":
        """Begin to trust a center; raises RefusedError when the terminal trusts another one already."""
        trust = Trust.decode(text)
        file = folder / "trust.json"
        if file.exists() and Trust.decode(file.read_text(encoding="utf-8", errors="replace")) != trust:
            raise RefusedError(f"{folder}: this terminal trusts another center; use another folder for this one")
        write_whole(file, text.encode())
        return cls(folder)

    def _load_edition(self) -> Edition | None:
        if not self._edition_file.exists():
            return None
        raw = self._edition_file.read_bytes()
        if self.edition is not None and raw == self.edition.encode():
            return self.edition
        try:
            return Edition.decode(raw, self.trust.issuer, self.trust.keys)
        except SaifuError as error:
            text = "remove this file and import the newest edition again"
            raise StoreError(f"{self._edition_file}: {error}; {text}") from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from writing, and know what they have written before."""
        try:
            lock = FileLock(self._folder / "store.lock").acquire(_LOCK_SECONDS)
        except Timeout:
            raise StoreError(f"{self._folder}: another process is writing here, and does not end") from None
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be written: {error.strerror}") from None
        with lock:
            self.edition = self._load_edition()
            self.__dict__.pop("_newest_head", None)
            yield

    def import_edition(self, raw: bytes) -> Edition:
        """Check an edition and put it in force; raises RefusedError for one that is not newer."""
        if not raw.startswith(EDITION_MAGIC):
            raise InputError("this is neither an edition of the blacklist nor a trust file")
        edition = Edition.decode(raw, self.trust.issuer, self.trust.keys)
        with self._alone():
            if edition.head.body.edition < self.number:
                raise RefusedError(
                    f"edition {edition.head.body.edition} is older than edition {self.number}, which stays in force"
                )
            write_whole(self._edition_file, raw)
            self.edition = edition
        return edition

    @property
    def number(self) -> int:
        """Number of the edition in force; 0 without one."""
        return self.edition.head.body.edition if self.edition else 0

    def __contains__(self, card: CardId) -> bool:
        """S106, S204, S306: whether a card is listed."""
        return self.edition is not None and card.issuer == self.trust.issuer and card.serial in self.edition.tree

    def prove(self, card: CardId) -> tuple[Signed[Head], Proof]:
        """Head and proof for LOCK OUT of a listed card; raises KeyError for one that is not."""
        if self.edition is None:
            raise KeyError(card)
        return self.edition.head, self.edition.tree.prove(card.serial)

    def note_head(self, head: Signed[Head]) -> None:
        """Learn from a head that a card carried; raises AuthenticityError when it is forged."""
        check_head(head, self.trust.issuer, self.trust.keys)
        with self._alone():
            if head.body.edition > self.newest_known:
                write_whole(self._newest_head_file, head.raw)
                self.__dict__.pop("_newest_head", None)

    @cached_property
    def _newest_head(self) -> Signed[Head] | None:
        if not self._newest_head_file.exists():
            return None
        try:
            head = Signed.decode(Head, self._newest_head_file.read_bytes())
            check_head(head, self.trust.issuer, self.trust.keys)
        except SaifuError as error:
            raise StoreError(f"{self._newest_head_file}: {error}; remove this file") from None
        return head

    @property
    def newest_known(self) -> int:
        """The newest edition that is known to exist, by the list itself or by a card."""
        carried = self._newest_head.body.edition if self._newest_head else 0
        return max(self.number, carried)

    def staleness(self, now: int) -> str | None:
        """What is wrong with the age of the list at a time, in words; None when it is current."""
        if self.edition is None:
            return "there is no blacklist in this terminal"
        if self.newest_known > self.number:
            return f"edition {self.number} is old: a card has seen edition {self.newest_known}"
        if now > self.edition.head.body.next:
            hours = (now - self.edition.head.body.next) // 3600
            return f"edition {self.number} is old: the next one was due {hours} hours ago"
        return None
