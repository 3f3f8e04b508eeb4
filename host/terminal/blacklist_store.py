"""The blacklist store (20) of a terminal: the edition in force, and what is known of newer ones.

A folder: ``trust.json``; ``cipher-keys.json``, the cipher keys (51) of the terminal's group; ``edition``, the
list in force; ``newest-head``, the newest head that any card or broadcast has carried here; ``policy.json``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from apdu.counting import duration
from apdu.errors import InputError, RefusedError, SaifuError, StoreError
from apdu.identity import CardId
from apdu.messages import Head, Signed
from apdu.proof import Proof
from broadcast.cipher_key import CipherKeys
from broadcast.edition import EDITION_MAGIC, Delta, Edition, check_head, read_content
from host.files import locked, make_folder, remove_leftovers, write_whole
from host.terminal.stale_policy import StalePolicy
from host.terminal.trust import Trust

__all__ = ["BlacklistStore"]

_PATIENCE = 30.0
"""Seconds to wait for another writer: reading and writing a long list takes less."""
_HOUR = 3600
_CLOCK_TOLERANCE = _HOUR
"""Seconds by which a terminal's clock may be behind the center's."""


class BlacklistStore:
    """The list as this terminal has it; every file is replaced whole or not at all."""

    def __init__(self, folder: Path) -> None:
        """Open a store; raises InputError when it has no trust file yet, StoreError when it is damaged."""
        self.folder = folder
        if not self._trust_file.exists():
            raise InputError(
                f"{folder}: this terminal trusts no center yet; give it one with: saifu terminal import TRUST-FILE"
            )
        self.trust = Trust.decode(_text(self._trust_file))
        self.edition: Edition | None = None
        self._stamps: dict[Path, tuple[int, ...] | None] = {}
        self.refresh()

    @property
    def _trust_file(self) -> Path:
        return self.folder / "trust.json"

    @property
    def _cipher_keys_file(self) -> Path:
        return self.folder / "cipher-keys.json"

    @property
    def _edition_file(self) -> Path:
        return self.folder / "edition"

    @property
    def _newest_head_file(self) -> Path:
        return self.folder / "newest-head"

    @property
    def _policy_file(self) -> Path:
        return self.folder / "policy.json"

    # --- what is trusted -----------------------------------------------------------------------------------

    @classmethod
    def import_trust(cls, folder: Path, text: str) -> "BlacklistStore":
        """Begin to trust a center; raises RefusedError when the terminal trusts another one already."""
        trust = Trust.decode(text)
        file = folder / "trust.json"
        with _alone_in(folder):
            if file.exists() and Trust.decode(_text(file)) != trust:
                raise RefusedError(f"{folder}: this terminal trusts another center; use another folder for this one")
            remove_leftovers(file)
            write_whole(file, text.encode())
        return cls(folder)

    def import_cipher_keys(self, text: str) -> CipherKeys:
        """Take the cipher keys of the terminal's group; after a roll-over the file has the new ones too.

        Raises InputError, and RefusedError for another issuer's and for an older file of the same group.
        """
        keys = CipherKeys.decode(text)
        if keys.issuer != self.trust.issuer:
            raise RefusedError(f"these cipher keys are of issuer {keys.issuer}, not {self.trust.issuer}")
        with self._alone():
            held = self.cipher_keys
            if held and held.group == keys.group and keys.newest.number < held.newest.number:
                raise RefusedError(
                    f"this file's newest cipher key is {keys.newest.number}, and this terminal holds "
                    f"{held.newest.number}: it is an older one (to go back, remove {self._cipher_keys_file} first)"
                )
            write_whole(self._cipher_keys_file, text.encode(), 0o600)
            self.refresh()
        return keys

    @cached_property
    def cipher_keys(self) -> CipherKeys | None:
        """The cipher keys (51) of this terminal's group; None before they were given."""
        return CipherKeys.decode(_text(self._cipher_keys_file)) if self._cipher_keys_file.exists() else None

    @property
    def policy(self) -> StalePolicy:
        """What to do while the list is old."""
        return StalePolicy.decode(_text(self._policy_file)) if self._policy_file.exists() else StalePolicy()

    @policy.setter
    def policy(self, policy: StalePolicy) -> None:
        with self._alone():
            write_whole(self._policy_file, policy.encode().encode())

    # --- the edition in force ------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Take over what another process, such as ``saifu terminal listen``, has written; costs three stats."""
        with self._changed(self._edition_file) as changed:
            if changed:
                self.edition = self._load_edition() if self._edition_file.exists() else None
        for file, name in ((self._newest_head_file, "_newest_head"), (self._cipher_keys_file, "cipher_keys")):
            with self._changed(file) as changed:
                if changed:
                    self.__dict__.pop(name, None)

    @contextmanager
    def _changed(self, file: Path) -> Iterator[bool]:
        """Whether a file is another one than when this was last asked and the block went well."""
        stamp = _stamp(file)
        yield stamp != self._stamps.get(file)
        self._stamps[file] = stamp

    def _load_edition(self) -> Edition:
        try:
            return Edition.decode(_bytes(self._edition_file), self.trust.issuer, self.trust.keys)
        except SaifuError as error:
            text = "remove this file and import the newest edition again"
            raise StoreError(f"{self._edition_file}: {error}; {text}") from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from writing, and know what they have written before."""
        with _alone_in(self.folder):
            files = self._edition_file, self._newest_head_file, self._cipher_keys_file, self._policy_file
            remove_leftovers(*files)
            self.refresh()
            yield

    def import_edition(self, raw: bytes, now: int | None = None) -> Edition:
        """Check an edition's file and put it in force.

        Raises RefusedError for one that is not newer, or, where ``now`` is given, has expired by then.
        """
        if not raw.startswith(EDITION_MAGIC):
            raise InputError("this is neither an edition of the blacklist, a trust file, nor a file of cipher keys")
        edition = Edition.decode(raw, self.trust.issuer, self.trust.keys)
        return self._put_in_force(edition.head, lambda: edition, now)

    def read(self, content: bytes) -> Edition | Delta:
        """Read what came from the air; FormatError or AuthenticityError when it is not the center's."""
        return read_content(content, self.trust.issuer, self.trust.keys)

    def take(self, read: Edition | Delta, now: int) -> Edition:
        """Put a full list or a delta in force; Unix seconds ``now`` decide whether it has expired.

        Raises RefusedError when it is not newer, expired, or goes on from another edition; FormatError and
        AuthenticityError when it does not lead to its head. Whatever is raised, the old list stays in force.
        """
        return self._put_in_force(read.head, lambda: self._made(read), now)

    def _made(self, read: Edition | Delta) -> Edition:
        if isinstance(read, Edition):
            return read
        if self.edition is None:
            raise RefusedError(f"a delta from edition {read.base} does not help a terminal without a list")
        return read.apply(self.edition)

    def _put_in_force(self, head: Signed[Head], make: Callable[[], Edition], now: int | None) -> Edition:
        self.refresh()
        if known := self._same_or_older(head):
            return known
        self._check_date(head, now)
        # made before others are kept waiting: what is long to make must not hold up business
        edition = make()
        with self._alone():
            if known := self._same_or_older(head):
                return known
            write_whole(self._edition_file, edition.encode_plain())
            self.edition, self._stamps[self._edition_file] = edition, _stamp(self._edition_file)
        return edition

    def _same_or_older(self, signed: Signed[Head]) -> Edition | None:
        """The edition in force if it has this head, None for a newer one; rollback: any other raises RefusedError."""
        head = signed.body
        if head.edition < self.number:
            raise RefusedError(f"edition {head.edition} is older than edition {self.number}, which stays in force")
        if head.edition == self.number and (self.edition is None or signed != self.edition.head):
            raise RefusedError(f"this is another edition {head.edition} than the one that is in force, which stays")
        return self.edition if head.edition == self.number else None

    def _check_date(self, signed: Signed[Head], now: int | None) -> None:
        """Freeze: an edition that should have been replaced by now is not taken.

        Its head stays known: there is something newer than the list in force.
        """
        head = signed.body
        if now is None or now <= head.next:
            return
        self.note_head(signed)
        stays = f"edition {self.number} stays in force" if self.number else "there is none in force"
        raise RefusedError(
            f"edition {head.edition} has expired: the next was due {duration(now - head.next)} ago by this terminal's "
            f"clock; {stays} (as a file it is taken all the same by: saifu terminal import --expired)"
        )

    @property
    def number(self) -> int:
        """Number of the edition in force; 0 without one."""
        return self.edition.number if self.edition else 0

    def __contains__(self, card: CardId) -> bool:
        """S106, S204, S306: whether a card is listed."""
        return self.edition is not None and card.issuer == self.trust.issuer and card.serial in self.edition.tree

    def prove(self, card: CardId) -> tuple[Signed[Head], Proof]:
        """Head and proof for LOCK OUT of a listed card; raises KeyError for one that is not."""
        if self.edition is None:
            raise KeyError(card)
        return self.edition.head, self.edition.tree.prove(card.serial)

    # --- newer editions, and age ---------------------------------------------------------------------------

    def note_head(self, head: Signed[Head]) -> None:
        """Learn from a head that a card carried; raises AuthenticityError when it is forged."""
        check_head(head, self.trust.issuer, self.trust.keys)
        with self._alone():
            self._note(head)

    def _note(self, head: Signed[Head]) -> None:
        if head.body.edition > self.newest_known:
            write_whole(self._newest_head_file, head.raw)
            self.refresh()

    @cached_property
    def _newest_head(self) -> Signed[Head] | None:
        if not self._newest_head_file.exists():
            return None
        try:
            head = Signed.decode(Head, _bytes(self._newest_head_file))
            check_head(head, self.trust.issuer, self.trust.keys)
        except SaifuError as error:
            raise StoreError(f"{self._newest_head_file}: {error}; remove this file") from None
        return head

    @property
    def newest_head(self) -> Signed[Head] | None:
        """The newest head that is known, of the list itself or carried by a card; None before the first."""
        carried = self._newest_head
        if carried is None or (self.edition and self.number >= carried.body.edition):
            return self.edition.head if self.edition else None
        return carried

    @property
    def newest_known(self) -> int:
        """The newest edition that is known to exist, by the list itself or by a card."""
        return self.newest_head.body.edition if self.newest_head else 0

    def staleness(self, now: int) -> str | None:
        """What is wrong with the age of the list at a time, in words; None when it is current."""
        if self.edition is None:
            return "there is no blacklist in this terminal"
        if self.newest_known > self.number:
            return f"edition {self.number} is old: edition {self.newest_known} has been seen"
        if now > self.edition.head.body.next:
            late = duration(now - self.edition.head.body.next)
            return f"edition {self.number} is old: the next one was due {late} ago"
        return _clock_error(self.edition, now)


def _clock_error(edition: Edition, now: int) -> str | None:
    """A clock that is behind would keep an old list current for ever; what the center has signed knows better."""
    behind = edition.head.body.time - now
    if behind <= _CLOCK_TOLERANCE:
        return None
    return f"this terminal's clock is wrong: edition {edition.number} was made {duration(behind)} after what it says"


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from writing into a folder; the lock of a process that is killed goes with it."""
    try:
        make_folder(folder)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}") from None
    with locked(folder / "store", _PATIENCE):
        yield


def _text(file: Path) -> str:
    return _bytes(file).decode("utf-8", "replace")


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}") from None


def _stamp(file: Path) -> tuple[int, ...] | None:
    """What tells one state of a file from the next: every write makes a new file; None when there is none."""
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}") from None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
