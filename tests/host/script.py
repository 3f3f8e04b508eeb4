"""A connection that says what it is told to say, and remembers what was asked."""

from itertools import chain, repeat

__all__ = ["Script", "pieces"]


class Script:
    """Gives the answers in their order; the last one for ever."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = chain(answers, repeat(answers[-1]))
        self.sent: list[bytes] = []

    def transmit(self, command: bytes) -> bytes:
        self.sent.append(command)
        return next(self._answers)


def pieces(answer: bytes) -> list[bytes]:
    """A long answer with 9000, as a card gives it out: up to 256 bytes at a time, with 61xx."""
    parts = [answer[i : i + 256] for i in range(0, len(answer), 256)] or [b""]
    announced = [len(part) & 0xFF for part in parts[1:]]
    return [
        *(part + bytes((0x61, more)) for part, more in zip(parts, announced, strict=False)),
        parts[-1] + b"\x90\x00",
    ]
