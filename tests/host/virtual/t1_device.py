"""The interface device's end of T=1, written apart from the card's: what a driver does, for tests of a card."""

from collections.abc import Callable
from functools import reduce
from operator import xor

TRIES = 3
LARGEST = 254


class T1FailedError(Exception):
    """Three resynchronisations did not help: a driver would reset the card."""


class _LostError(Exception):
    """Three tries brought nothing (rule 6.4)."""


def block(pcb: int, data: bytes = b"") -> bytes:
    body = bytes((0, pcb, len(data))) + data
    return body + bytes((reduce(xor, body),))


def is_whole(received: bytes) -> bool:
    return len(received) > 3 and received[0] == 0 and len(received) == received[2] + 4 and not reduce(xor, received)


class T1Device:
    """Exchanges APDUs over ``line``, which takes a block and returns the one that comes back."""

    def __init__(self, line: Callable[[bytes], bytes], device_size: int = 32) -> None:
        self._line, self.device_size = line, device_size
        self._sent = self._wanted = 0
        self.card_size = 32
        self.resynchs = 0

    def negotiate(self) -> None:
        """S(IFS request), again until it is answered."""
        asked = block(0xC1, bytes((self.device_size,)))
        self._until(asked, block(0xE1, bytes((self.device_size,))))

    def _until(self, asked: bytes, wanted: bytes) -> None:
        for _ in range(TRIES):
            if self._line(asked) == wanted:
                return
        raise T1FailedError

    def exchange(self, command: bytes) -> bytes:
        for _ in range(TRIES):
            try:
                return self._exchange(command)
            except _LostError:
                self.resynchs += 1
                self._until(block(0xC0), block(0xE0))
                self._sent = self._wanted = 0
        raise T1FailedError

    def _exchange(self, command: bytes) -> bytes:
        rest, answer, receiving = command, b"", False
        said = sent = self._piece(rest)
        bad = 0
        while True:
            got = self._line(said)
            if not is_whole(got):
                bad += 1
                said = said if said[1] & 0xC0 == 0x80 else block(0x81 | self._wanted << 4)
            elif got[1] in (0xC1, 0xC3):
                bad = 0
                self.card_size = got[3] if got[1] == 0xC1 else self.card_size
                said = block(got[1] | 0x20, got[3:-1])
            elif got[1] & 0xC0 == 0x80:
                wants_next = got[1] >> 4 & 1 != sent[1] >> 6
                bad = 0 if wants_next and sent[1] & 0x20 else bad + 1
                if wants_next and sent[1] & 0x20:
                    rest = rest[sent[2] :]
                    self._sent ^= 1
                    said = sent = self._piece(rest)
                elif not wants_next and not receiving:
                    said = sent
            elif got[1] & 0x80 or got[1] >> 6 != self._wanted:
                raise _LostError
            else:
                bad = 0
                self._sent ^= not receiving
                receiving = True
                self._wanted ^= 1
                answer += got[3:-1]
                if not got[1] & 0x20:
                    return answer
                said = block(0x80 | self._wanted << 4)
            if bad >= TRIES:
                raise _LostError

    def _piece(self, rest: bytes) -> bytes:
        more = 0x20 if len(rest) > self.card_size else 0
        return block(self._sent << 6 | more, rest[: self.card_size])
