"""Receiver (21) and demodulator (22) at work: from packets of a bearer to an edition in force [0014].

It listens whenever the terminal is on, or once, when the owner presses a button.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from apdu.counting import counted
from apdu.errors import AuthenticityError, BearerError, FormatError, InputError, RefusedError, SaifuError, StoreError
from broadcast.bearer import Receiver, Way
from broadcast.cipher_key import CipherKeys
from broadcast.demodulator import demodulate
from broadcast.edition import Delta, Edition
from broadcast.reception import Reception, Whole
from host.air import Line, open_receiver
from host.terminal.blacklist_store import BlacklistStore

__all__ = ["Listener"]

_PENDING_MOST = 16
"""Deltas that are kept until the edition that they go on from is there."""
_PENDING_BYTES = 8 * 1024 * 1024
"""What they may come to together."""
_TOLD_MOST = 16
"""Bad news that is told before only some of it is, until the next edition comes in force."""
_TURN_SECONDS = 150.0
_ASK_SECONDS = 5.0
"""Long enough for a line to say what it has. Asked again, it has twice as long: what it has may be long."""
_AGAIN_SECONDS = 0.5
_LOW = 0xFFFF


class Listener:
    """Takes packets in and puts what the center sent in force; whatever comes, the old list stays until then."""

    def __init__(
        self, store: BlacklistStore, tell: Callable[[str], None], clock: Callable[[], float] = time.time
    ) -> None:
        """``tell`` is given one line for each thing worth telling; raises InputError without cipher keys."""
        self._store, self._tell, self._clock = store, tell, clock
        self._keys = self._read_keys()
        self.reception = Reception(self._keys.keys, store.number)
        self._pending: dict[int, tuple[Delta, Whole]] = {}
        self._bad_news = 0
        self._failure: BearerError | None = None
        self._has_answered = False

    def _read_keys(self) -> CipherKeys:
        keys = self._store.cipher_keys
        if keys is None:
            raise InputError(
                "this terminal has no cipher keys, so it can't read broadcasts; take those of its group from the "
                "center (saifu center cipher-keys) and give them in with: saifu terminal import FILE"
            )
        return keys

    @property
    def is_current(self) -> bool:
        """Whether the list is in date, and nothing newer has been heard of."""
        return self._store.staleness(int(self._clock())) is None and not self.reception.progress

    def tune_in(
        self,
        air: str,
        line: Line,
        seconds: float | None = None,
        once: bool = False,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        """Open a bearer by its name and listen; on a line the channel changes with the newest cipher key.

        ``once`` asks a line once, or with ``seconds`` again and again until the list is current. A line that has
        answered before, and does not now, is asked again too. Raises InputError and BearerError.
        """
        end = None if seconds is None else time.monotonic() + seconds
        turns = _turns(once)
        while True:
            keys = self._keys
            with open_receiver(air, keys, lambda: self._store.number, line) as receiver:
                while keys is self._keys:
                    self._hear(receiver, end, next(turns), once, progress)
                    self._follow_store()
                    is_done = once and self._has_answered and (end is None or self.is_current)
                    if receiver.way is not Way.LINE or is_done:
                        return
                    if _left(end) == 0:
                        self._require_answer()
                        return

    def _hear(
        self, receiver: Receiver, end: float | None, turn: float, once: bool, progress: Callable[[], None]
    ) -> None:
        """One turn: a line is left now and then, to see whether the keys have changed."""
        is_line, left = receiver.way is Way.LINE, _left(end)
        try:
            self.listen(receiver, _least(left, turn) if is_line else left, once, progress)
            self._has_answered = True
        except BearerError as error:
            if not is_line or not (self._has_answered or (once and _left(end))):
                raise
            self._failure = error
            self._complain(str(error))
            time.sleep(_least(_left(end), _AGAIN_SECONDS))

    def _require_answer(self) -> None:
        """Raise what went wrong at last, if the line has never answered."""
        if self._failure is not None and not self._has_answered:
            raise self._failure

    def listen(
        self,
        receiver: Receiver,
        seconds: float | None = None,
        once: bool = False,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        """Take packets until the bearer ends or ``seconds`` have passed.

        ``once`` ends as soon as what is on the air is in force; ``progress`` is called after each packet.
        """
        for raw in receiver.packets(seconds):
            before = self._store.number
            self.take(raw)
            progress()
            is_another = self._store.number != before
            if once and (self.reception.has_newest or (is_another and receiver.is_done)):
                break

    def take(self, raw: bytes) -> None:
        """Take one packet in; raises StoreError, and InputError when the terminal's cipher keys were taken away."""
        self._follow_store()
        whole = self.reception.take(raw)
        if whole is not None:
            self._demodulate(whole)

    def _follow_store(self) -> None:
        """Another process may have taken an edition or new keys in."""
        self._store.refresh()
        if self.reception.current != self._store.number:
            self.reception.current = self._store.number
            self._go_on()
        if self._store.cipher_keys is not self._keys:
            self._keys = self._read_keys()
            self.reception.keys = self._keys.keys

    def _demodulate(self, whole: Whole) -> None:
        try:
            read = self._store.read(demodulate(whole.sealed, self._keys))
            _check_label(read, whole)
        except (FormatError, AuthenticityError) as error:
            self._refuse(whole, error)
            return
        if isinstance(read, Delta) and read.base > self._store.number:
            self._keep(read, whole)
        elif self._put_in_force(read, whole):
            self._go_on()

    def _refuse(self, whole: Whole, error: SaifuError) -> None:
        """Whoever holds the packets' key may send what they like: only what the center signed is taken."""
        self.reception.forget(whole)
        self._complain(f"refused: {error}")

    def _keep(self, delta: Delta, whole: Whole) -> None:
        """A part of a chain that comes before its turn; its head is genuine, so the list in force is old."""
        self._drop(delta.base)
        self._pending[delta.base] = delta, replace(whole, sealed=b"")
        while len(self._pending) > _PENDING_MOST or self._pending_bytes > _PENDING_BYTES:
            self._drop(max(self._pending))
        if delta.number > self._store.newest_known:
            self._store.note_head(delta.head)
        self._complain(f"the step from edition {delta.base} to {delta.number} waits until edition {delta.base} is here")

    @property
    def _pending_bytes(self) -> int:
        return sum(len(delta.off) + len(delta.on) for delta, _ in self._pending.values())

    def _drop(self, base: int) -> None:
        """Keep a step no longer; it may have been a false one, so the next of its name is taken anew."""
        if kept := self._pending.pop(base, None):
            self.reception.forget(kept[1])

    def _complain(self, line: str) -> None:
        """Tell bad news: all of it at first, then ever less, or whoever makes it fills screens and disks."""
        self._bad_news += 1
        if self._bad_news <= _TOLD_MOST or not self._bad_news & (self._bad_news - 1):
            self._tell(line if self._bad_news <= _TOLD_MOST else f"{line} ({self._bad_news} of this kind so far)")

    def _has_expired(self, read: Edition | Delta) -> bool:
        return int(self._clock()) > read.head.body.next

    def _go_on(self) -> None:
        """Apply the kept steps that fit now, and drop those that are behind."""
        while kept := self._pending.pop(self._store.number, None):
            if not self._put_in_force(*kept):
                break
        self._pending = {base: kept for base, kept in self._pending.items() if base > self._store.number}

    def _put_in_force(self, read: Edition | Delta, whole: Whole) -> bool:
        """Returns whether the edition is in force now; if not, the reason is told."""
        try:
            edition = self._store.take(read, int(self._clock()))
        except StoreError:
            self.reception.forget(whole)
            raise
        except (FormatError, AuthenticityError) as error:
            self._refuse(whole, error)
            return False
        except RefusedError as error:
            if self._has_expired(read):  # by a clock that may be set right while it is still on the air
                self.reception.forget(whole)
            self._complain(f"not taken: {error}")
            return False
        self.reception.current = edition.number
        self._bad_news = 0
        how = f"by the step from edition {read.base}" if isinstance(read, Delta) else "as a full list"
        self._tell(f"edition {edition.number} is in force: {counted(edition.tree.count, 'card')} listed, {how}")
        return True


def _turns(once: bool) -> Iterator[float]:
    """How long to listen to a line at a stretch, in seconds."""
    asked = _ASK_SECONDS
    while True:
        yield asked if once else _TURN_SECONDS
        asked *= 2


def _left(end: float | None) -> float | None:
    """Seconds until the end; None when there is none."""
    return None if end is None else max(end - time.monotonic(), 0.0)


def _least(left: float | None, most: float) -> float:
    return most if left is None else min(left, most)


def _check_label(read: Edition | Delta, whole: Whole) -> None:
    """Packets that say another edition or span than what they carry come from nobody who wishes us well."""
    span = read.number - read.base if isinstance(read, Delta) else 0
    if (read.number & _LOW, span) != (whole.edition16, whole.span):
        raise FormatError("the packets name another edition than the one that they carry")
