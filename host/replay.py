"""Recorded connections: what was said to a card and what it answered, written down and played again."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from apdu.command import CommandApdu
from apdu.commands import SECRET_INS
from apdu.errors import FormatError, MisbehaviourError
from host.connection import CardConnection

__all__ = ["Exchange", "RecordingConnection", "ReplayConnection", "redact"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One command APDU and its response APDU with the status word; PINs are redacted in ``command``."""

    command: bytes
    response: bytes


def redact(command: bytes) -> bytes:
    """Put zeros in the place of PINs and resetting codes: the data of VERIFY, CHANGE and RESET.

    What does not parse is cut behind its header, if it names one of these commands.
    """
    if len(command) < 2 or command[1] not in SECRET_INS:
        return command
    try:
        parsed = CommandApdu.decode(command)
    except FormatError:
        return command[:4]
    return parsed.with_data(bytes(len(parsed.data))).encode()


@dataclass(slots=True)
class RecordingConnection:
    """Hands every command on, and keeps what was said in ``exchanges``."""

    connection: CardConnection
    secrets: bool = field(default=False, kw_only=True)
    """Keep PINs too; only for cards that are made for tests."""
    exchanges: list[Exchange] = field(default_factory=list, kw_only=True)

    def transmit(self, command: bytes) -> bytes:
        """Send a command, return and keep the answer; without an answer nothing is kept.

        Raises what the connection raises.
        """
        response = self.connection.transmit(command)
        self.exchanges.append(Exchange(command if self.secrets else redact(command), response))
        return response


class ReplayConnection:
    """Answers as a card once did, to the same commands in the same order, and to nothing else."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        """Begin at the first exchange."""
        self._exchanges = tuple(exchanges)
        self._position = 0

    def transmit(self, command: bytes) -> bytes:
        """Return the recorded answer; a PIN need not be the one that was redacted.

        Raises MisbehaviourError, with the position counted from 1, for another command than the recorded one
        and for one after the last; the position does not move then.
        """
        place, given = f"exchange {self._position + 1} of {len(self._exchanges)}", redact(command)
        if self.finished:
            raise MisbehaviourError(f"{place}: the recording ends before {given.hex()}")
        recorded = self._exchanges[self._position]
        if recorded.command not in (command, given):
            raise MisbehaviourError(f"{place}: {redact(recorded.command).hex()} was recorded, not {given.hex()}")
        self._position += 1
        return recorded.response

    @property
    def finished(self) -> bool:
        """Whether everything that was recorded has been played."""
        return self._position == len(self._exchanges)
