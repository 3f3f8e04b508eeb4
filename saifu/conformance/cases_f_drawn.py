"""Cases on what a card draws at random: keys, nonces and signatures of two cards, and what follows from what.

A card draws again what another one has drawn when its generator begins anew in each card, or is a function of what all
cards have: its serial, a counter. That is seen only where other cards were spent in the same run.
"""

from collections.abc import Iterable

from apdu.commands import Ins
from apdu.identity import LifeCycle
from saifu.conformance.case import NotHereError, case
from saifu.conformance.channel import Channel
from saifu.conformance.provoking import close
from saifu.conformance.stand import Stand
from saifu.conformance.subject import must
from saifu.conformance.twin import MARK_SIZES, Free

__all__: list[str] = []

_NONCES = 97
"""The differences of so many random nonces do not span all bits of a nonce in one case of 2^32."""
_BITS = 8 * MARK_SIZES[Free.NONCE]


def _is_its_own(stand: Stand, kind: Free) -> None:
    """No card has drawn what another card of this run had drawn; raises NotHereError where there was no other."""
    oracle = stand.card.oracle
    if not oracle.drawn.is_by_others(kind, oracle):
        raise NotHereError("no other card was had in this run")
    must(kind not in oracle.drawn.repeated, f"a {kind.value} is that of another card")


@case(
    "GENERATE KEY PAIR",
    "a card makes no key pair that another card has made",
    LifeCycle.PERSONALIZATION,
    ins=Ins.GENERATE_KEY_PAIR,
)
def _own_key_pair(stand: Stand) -> None:
    Channel.open(stand.card).generate()
    _is_its_own(stand, Free.POINT)


@case("REQUEST", "a card draws no nonce that another card has drawn", ins=Ins.REQUEST)
def _own_nonces(stand: Stand) -> None:
    stand.ready()
    stand.requested(1, stand.partner())
    close(stand)
    _is_its_own(stand, Free.NONCE)


@case("Signatures", "two cards do not sign with the same random number")
def _own_signatures(stand: Stand) -> None:
    stand.ready()
    stand.give(1)
    _is_its_own(stand, Free.SIGNATURE)


def _independent(numbers: Iterable[int]) -> int:
    """How many of the numbers are no sum, bit by bit and without carry, of the others: the rank of their bits."""
    found = dict[int, int]()
    for number in numbers:
        while number and (known := found.get(number.bit_length())):
            number ^= known
        if number:
            found[number.bit_length()] = number
    return len(found)


@case("REQUEST", "no bit of a nonce follows from its other bits", ins=Ins.REQUEST)
def _all_bits(stand: Stand) -> None:
    stand.ready()
    payer = stand.partner()
    first, *others = (int.from_bytes(stand.requested(1, payer).request.nonce) for _ in range(_NONCES))
    close(stand)
    free = _independent(first ^ other for other in others)
    must(free == _BITS, f"of the {_BITS} bits of a nonce {_BITS - free} follow from the others, in {_NONCES} requests")
