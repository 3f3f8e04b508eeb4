"""A program to be killed: moves money between two card images for ever; ``python transfer_loop.py A B``."""

import sys
from itertools import cycle
from pathlib import Path

from host.model import CardFile
from tests.applet_model.cards import session
from tests.issuer import NOW


def main(one: Path, other: Path) -> None:
    """Finish what an earlier run left behind, then pay back and forth until killed."""
    cards = [CardFile(one), CardFile(other)]
    purses = [session(card) for card in cards]
    for payer, payee in (purses, purses[::-1]):
        for entry in payer.get_unsettled():
            payer.settle(payee.receive(payer.give_again(entry.counter), NOW))
    print("ready", flush=True)
    for payer, payee in cycle((purses, purses[::-1])):
        paid = payer.pay(payee.request(5, payer.card, NOW), NOW)
        payer.settle(payee.receive(paid, NOW))
        print("moved", flush=True)


main(*map(Path, sys.argv[1:]))
