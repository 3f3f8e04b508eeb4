"""A card in the virtual reader that is recorded from inside: what any program says to it is in the trace."""

import time

from apdu.trace.model import Reset
from host.recording import RecordingConnection, TraceFile
from host.virtual.vpcd import SimulatedCard

__all__ = ["RecordedCard"]


class RecordedCard:
    """Hands everything on to a card, and writes what is said, without PINs and keys; is a SimulatedCard."""

    def __init__(self, card: SimulatedCard, trace: TraceFile, slot: str) -> None:
        """``slot`` is the reader's name, as in PC/SC."""
        self._card, self._trace, self._slot = card, trace, slot
        self._connection = RecordingConnection(card, trace, slot)

    def power_on(self) -> bytes:
        """Give the card power, and write its answer to reset."""
        return self._begun(self._card.power_on())

    def reset(self) -> bytes:
        """Reset the card, and write its answer to reset."""
        return self._begun(self._card.reset())

    def _begun(self, atr: bytes) -> bytes:
        self._trace.write(Reset(atr, self._slot, round(time.time(), 6)))
        self._connection = RecordingConnection(self._card, self._trace, self._slot)
        return atr

    def power_off(self) -> None:
        """Take the power away."""
        self._card.power_off()

    def transmit(self, command: bytes) -> bytes:
        """Write a command, send it, and write the answer; raises what the card raises, which is written too."""
        return self._connection.transmit(command)
