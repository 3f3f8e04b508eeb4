"""Commands and answers that a form tells one after the other are put together."""

from dataclasses import replace

from apdu.trace.model import Exchange, Item, Remark

__all__ = ["MOST_WAITING", "Pairing", "exchange"]

MOST_WAITING = 64
"""Commands, of as many readers or threads, that may wait for their answers at one time."""

_SHORTEST_ANSWER = 2


def exchange(sent: Exchange, response: bytes | None, seconds: float | None = None) -> list[Item]:
    """Items for a command and what came back; what is too short for a status word is no answer (ISO 7816-4, 5.1)."""
    if seconds is not None:
        seconds = round(max(seconds, 0.0), 6)
    if response is None or len(response) >= _SHORTEST_ANSWER:
        return [replace(sent, response=response, seconds=seconds)]
    short = Remark(f"an answer of {len(response)} bytes, too short for a status word", sent.slot, sent.time)
    return [replace(sent, response=None, seconds=seconds), short]


class Pairing:
    """Who waits for an answer, by a key: a thread, a reader, or nothing where a form tells one thing at a time."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._waiting: dict[str, tuple[Exchange, float | None]] = {}

    def sent(self, command: Exchange, key: str = "", clock: float | None = None) -> list[Item]:
        """Keep a command; gives the one that is given up for it. ``clock`` counts seconds from anywhere."""
        given_up = self.unanswered(key)
        if len(self._waiting) >= MOST_WAITING:
            given_up += self.unanswered(next(iter(self._waiting)))
        self._waiting[key] = command, clock
        return given_up

    def answered(
        self, response: bytes | None, key: str = "", clock: float | None = None, seconds: float | None = None
    ) -> list[Item]:
        """Give the exchange that an answer completes; ``clock`` or ``seconds`` say how long it took."""
        if key not in self._waiting:
            return [Remark("an answer whose command is not in the trace")]
        command, began = self._waiting.pop(key)
        if seconds is None and clock is not None and began is not None:
            seconds = clock - began
        return exchange(command, response, seconds)

    def extended(self, data: bytes, key: str = "") -> None:
        """Add data that comes after its command's header; nothing where no command waits."""
        if key in self._waiting:
            command, clock = self._waiting[key]
            self._waiting[key] = replace(command, command=command.command + data), clock

    def waits(self, key: str = "") -> bool:
        """Whether a command waits for its answer."""
        return key in self._waiting

    def unanswered(self, key: str = "") -> list[Item]:
        """The command that will get no answer any more, if there is one."""
        return [self._waiting.pop(key)[0]] if key in self._waiting else []

    def rest(self) -> list[Item]:
        """All commands that are left at the end."""
        left: list[Item] = [command for command, _ in self._waiting.values()]
        self._waiting.clear()
        return left
