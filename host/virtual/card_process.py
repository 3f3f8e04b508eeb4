"""The process that is a card: ``python -m host.virtual.card_process --port PORT IMAGE``.

For an image stands ``replay:FILE``, a card out of a trace; what deviates from it is told on standard error.

Its standard input is its life line: when that closes, because the card is ejected or because whoever inserted
it is gone, the process ends. On its standard output it says one line: ``inserted`` once the reader has
powered the card, or what was wrong.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from apdu.errors import SaifuError
from apdu.protocol import Protocol
from host.recording import TraceFile
from host.replay import REPLAY, ReplayCard, load
from host.virtual.recorded_card import RecordedCard
from host.virtual.vpcd import SimulatedCard, VpcdLink, connect

__all__ = ["INSERTED", "main", "stay_inserted"]

INSERTED = "inserted"
"""What is said once the reader has powered the card and got its ATR."""

_RETRY_SECONDS = 0.05


def stay_inserted(port: int, card: SimulatedCard, *, quick_ack: bool = True) -> None:
    """Hold a card in the slot behind the loopback ``port``, until standard input closes.

    A daemon that is restarted finds the card still there.
    """
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    say_inserted = _once(lambda: print(INSERTED, flush=True))
    while True:
        try:
            connection = connect(port)
        except OSError:  # the daemon is not there at the moment
            time.sleep(_RETRY_SECONDS)
            continue
        with connection:
            VpcdLink(connection, card, quick_ack=quick_ack, when_seen=say_inserted).serve()


def _end_with_standard_input() -> None:
    """End at once, from a thread: the card may be in the middle of a command, as when one pulls it out."""
    sys.stdin.buffer.read()
    os._exit(0)


def _once(action: Callable[[], None]) -> Callable[[], None]:
    left = [action]
    return lambda: left.pop()() if left else None


def _tell(deviation: str) -> None:
    print(f"saifu: {deviation}", file=sys.stderr, flush=True)


def _load(image: Path, protocol: Protocol) -> SimulatedCard:
    if str(image).startswith(REPLAY):
        return ReplayCard(load(str(image).removeprefix(REPLAY)), _tell)
    from host.model import CardFile  # here, so that other cards can stay inserted without the card model

    return CardFile(image, protocol)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="be the card of an image, in a slot of the virtual reader")
    parser.add_argument("--port", type=int, required=True, help="loopback port of the slot")
    parser.add_argument("--no-quick-ack", action="store_true", help="to measure what quick ACK gains")
    parser.add_argument("--protocol", choices=[each.value for each in Protocol], default=Protocol.T1.value)
    parser.add_argument("--trace", type=Path, help="trace of the reader's, to go on with")
    parser.add_argument("--slot", default="", help="the slot's name in that trace")
    parser.add_argument("image", type=Path, help="card image, or replay:FILE")
    return parser.parse_args()


def main() -> int:
    """Read the arguments, load the image and be that card; returns 1 if the image cannot be loaded."""
    arguments = _arguments()
    try:
        card = _load(arguments.image, Protocol(arguments.protocol))
        if arguments.trace is not None:
            card = RecordedCard(card, TraceFile(arguments.trace, ""), arguments.slot)
    except (SaifuError, OSError) as error:
        print(error, flush=True)
        return 1
    stay_inserted(arguments.port, card, quick_ack=not arguments.no_quick_ack)
    return 0


if __name__ == "__main__":
    sys.exit(main())
