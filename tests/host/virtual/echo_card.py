"""A card that gives back what it is sent, to measure and test the way to a card rather than a card.

``python -m tests.host.virtual.echo_card --port PORT FILE``; the file holds the ATR in hex.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

from host.virtual.card_process import stay_inserted

ATR_T1 = bytes.fromhex("3B8C01") + b"saifu.echo.1" + b"\xd5"
ATR_T0 = bytes.fromhex("3B0C") + b"saifu.echo.0"

COUNT = bytes.fromhex("80C0000000")
"""Asks how many commands, this one included, the card has had since power-on or reset."""

DIE = bytes.fromhex("80FE0000")
"""The process kills itself in the middle of this command, as kill -9 would."""

PROGRAM = (sys.executable, "-m", "tests.host.virtual.echo_card")


class EchoCard:
    """Answers every command with its own bytes and 9000, but for the two above."""

    def __init__(self, atr: bytes = ATR_T1) -> None:
        self._atr = atr
        self._commands = 0

    def power_on(self) -> bytes:
        self._commands = 0
        return self._atr

    def power_off(self) -> None:
        self._commands = 0

    reset = power_on

    def transmit(self, command: bytes) -> bytes:
        self._commands += 1
        if command == DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = bytes((self._commands,)) if command == COUNT else command
        return answer + b"\x90\x00"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--no-quick-ack", action="store_true")
    parser.add_argument("atr", type=Path)
    arguments = parser.parse_args()
    card = EchoCard(bytes.fromhex(arguments.atr.read_text()))
    stay_inserted(arguments.port, card, quick_ack=not arguments.no_quick_ack)


if __name__ == "__main__":
    main()
