"""A purse that writes down what is done to it, and can be told to fall silent.

``python -m tests.host.virtual.witness_card --port PORT IMAGE``. What happens is written to ``IMAGE.said``, a line each:
``power on``, ``power off``, ``reset``, or a command's header in hex. A command whose INS stands in ``IMAGE.mute``, in
hex, is never answered; neither is a reset, if ``reset`` stands there. With a ``!`` behind it the card dies of it.
"""

import argparse
import os
import sys
from pathlib import Path
from threading import Event

from apdu.protocol import Protocol
from host.model import CardFile
from host.virtual.card_process import stay_inserted

__all__ = ["events", "fall_silent", "program"]


def program(protocol: Protocol) -> tuple[str, ...]:
    """The command that becomes such a card."""
    return (sys.executable, "-m", "tests.host.virtual.witness_card", "--protocol", protocol.value)


def events(image: Path) -> list[str]:
    """What has been done to the card of an image."""
    said = Path(f"{image}.said")
    return said.read_text().splitlines() if said.exists() else []


def fall_silent(image: Path, *when: str) -> None:
    """Answer these no more: INS in hex, or ``reset``; or die of it, with a ``!``."""
    Path(f"{image}.mute").write_text(" ".join(when))


class WitnessCard:
    def __init__(self, image: Path, protocol: Protocol) -> None:
        self._card = CardFile(image, protocol)
        self._said, self._mute = Path(f"{image}.said"), Path(f"{image}.mute")

    def _happens(self, what: str, key: str) -> None:
        with self._said.open("a") as file:
            file.write(what + "\n")
        silent = self._mute.read_text().split() if self._mute.exists() else []
        if f"{key}!" in silent:
            os._exit(1)
        if key in silent:
            Event().wait()

    def power_on(self) -> bytes:
        self._happens("power on", "power")
        return self._card.power_on()

    def power_off(self) -> None:
        self._happens("power off", "power")
        self._card.power_off()

    def reset(self) -> bytes:
        self._happens("reset", "reset")
        return self._card.power_on()

    def transmit(self, command: bytes) -> bytes:
        self._happens(command[:4].hex(), command[1:2].hex())
        return self._card.transmit(command)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--protocol", type=Protocol, default=Protocol.T1)
    parser.add_argument("image", type=Path)
    arguments = parser.parse_args()
    stay_inserted(arguments.port, WitnessCard(arguments.image, arguments.protocol))


if __name__ == "__main__":
    main()
