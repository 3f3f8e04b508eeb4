"""The oracle: hears what a card is told and what it answers, and says where the model would have answered otherwise.

It works on any connection, and on a recorded trace as well.
"""

from dataclasses import dataclass, field, replace

from apdu.command import SECURE_MESSAGING, CommandApdu
from apdu.commands import Ins
from apdu.errors import AuthenticityError, FormatError
from apdu.messages import Value
from apdu.payload import Tag, pack
from apdu.protocol import Protocol
from apdu.signature import is_point, verify
from apdu.status import status_text
from apdu.trace.model import Exchange
from host.scp03 import StaticKeys
from host.secure_listener import SecureListener
from saifu.conformance.platform import is_of_channels, is_platform_select, is_purses, is_whole_select, may_be_platforms
from saifu.conformance.twin import MARK_SIZES, Free, Mark, Twin

__all__ = ["Deviation", "Drawn", "Oracle"]

_MORE, _AGAIN = 0x61, 0x6C
_LEAST_DIFFERENCE = 8
"""Bits in which two random nonces of 64 bits differ at least, but in one case of 10^10."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """One answer that is not the model's; bytes are in clear where a secure channel carried them."""

    command: bytes
    expected: bytes
    """What the model answers; where the card is free, what the card chose, if it was in order."""
    answered: bytes | None
    why: str
    is_platforms: bool = False
    """Whether the platform may have answered in the purse's place: then it is not the purse that deviates."""
    in_step: bool = True
    """Whether card and model are in the same state after it; always False where the purse deviates."""


@dataclass(slots=True)
class Drawn:
    """What all the cards of a run have drawn at random.

    A card that draws again what it has drawn itself deviates at once. What another card has drawn before it is kept for
    cases of their own: else each card after the first would deviate wherever it is used, and seldom where the fault is.
    """

    repeated: set[Free] = field(default_factory=set)
    """Kinds of which one card has drawn what another has drawn before."""
    _by: dict[tuple[Free, bytes], object] = field(default_factory=dict)

    def take(self, kind: Free, drawn: bytes, card: object) -> None:
        """Keep what a card has drawn; ``card`` is the same object each time."""
        if self._by.setdefault((kind, drawn), card) is not card:
            self.repeated.add(kind)

    def is_by_others(self, kind: Free, card: object) -> bool:
        """Whether cards but this one have drawn something of the kind."""
        return any(each is kind and by is not card for (each, _), by in self._by.items())


class Oracle:
    """A twin in lock-step with one card."""

    def __init__(self, twin: Twin, keys: StaticKeys | None = None) -> None:
        """``keys`` are the card's static keys, for what goes through a secure channel; PUT KEY makes them others."""
        self.twin, self.keys = twin, keys
        self.drawn = Drawn()
        """A run gives all of its cards the same."""
        self._card_side, self._twin_side = (SecureListener(lambda _: _required(self.keys)) for _ in range(2))
        self._nonces, self._points = {0, (1 << 64) - 1}, set[bytes]()
        self._values = dict[bytes, bytes]()
        self._signed = dict[tuple[bytes, bytes], bytes]()
        self._in_doubt = False
        self._begin(b"")

    def _begin(self, command: bytes) -> None:
        self._command, self._expected, self._answered = command, b"", b""

    def reset(self) -> None:
        """The card was powered on, or reset."""
        self.twin.power_on()
        for side in (self._card_side, self._twin_side):
            side.reset("")
        self._in_doubt = False
        self._begin(b"")

    def hear(self, command: bytes, answered: bytes | None) -> Deviation | None:
        """Follow one exchange as it went over the wire; None when the card did what the model does."""
        was_selected = self.twin.is_selected
        is_platforms = self._is_platforms(command, was_selected)
        deviation = self._heard(command, answered)
        if deviation is None or not is_platforms or self._is_purses(command, answered):
            return deviation and replace(deviation, in_step=False)
        self._begin(b"")  # nothing is fetched of what the platform has said
        in_step = not is_platform_select(command) and (not was_selected or is_of_channels(command))
        return replace(deviation, is_platforms=True, in_step=in_step)

    def _is_platforms(self, command: bytes, was_selected: bool) -> bool:
        """Whether the platform may answer, by the rules of ``platform``."""
        if is_whole_select(command):
            self._in_doubt = False
            return False
        self._in_doubt |= may_be_platforms(command)
        return self._in_doubt or not was_selected

    def _is_purses(self, command: bytes, answered: bytes | None) -> bool:
        """Whether the purse itself has answered where it may not; in doubt it may be selected, so then it may."""
        if answered is None or (self._in_doubt and not may_be_platforms(command)):
            return False
        return is_purses(answered, pack({Tag.CAPACITIES: self.twin.cells.capacities.encode()}))

    def _heard(self, command: bytes, answered: bytes | None) -> Deviation | None:
        expected = self.twin.transmit(self._as_carried(command))
        if not (self._expected[-2:-1] == bytes((_MORE,)) and command[1:2] == bytes((Ins.GET_RESPONSE,))):
            dropped = self._dropped()
            self._begin(command)
            if dropped is not None:
                return dropped
        if answered is None or len(answered) != len(expected) or answered[-2:] != expected[-2:]:
            return Deviation(command, expected, answered, _difference(expected, answered))
        self._expected, self._answered = self._expected[:-2] + expected, self._answered[:-2] + answered
        return None if expected[-2] == _MORE else self._judge()

    def _dropped(self) -> Deviation | None:
        """What was fetched of an answer whose rest nobody fetches: it is the model's, but where the card is free."""
        secured = self._command[:1] and self._command[0] & SECURE_MESSAGING
        if self._expected[-2:-1] != bytes((_MORE,)) or secured:
            return None
        expected, answered = self._expected[:-2], self._answered[:-2]
        free = {
            place for at in range(len(expected)) if (mark := self._mark_at(expected, at)) for place in _of(mark, at)
        }
        at = next((i for i, byte in enumerate(expected) if i not in free and byte != answered[i]), None)
        if at is None or len(expected) - at < MARK_SIZES[Free.SIGNATURE]:
            return None  # near the end a mark may have been cut off
        return Deviation(self._command, self._expected, self._answered, _difference(self._expected, self._answered))

    def _as_carried(self, command: bytes) -> bytes:
        """At T=0 the Le of a command with data stays with the reader (ISO 7816-3 12.2.1, case 4S)."""
        with_data = len(command) > 5 and command[4]
        return command[: 5 + command[4]] if self.twin.protocol is Protocol.T0 and with_data else command

    def _judge(self) -> Deviation | None:
        """Compare two whole answers, in clear; after 6Cxx the command comes again."""
        if self._expected[-2] == _AGAIN:
            return None
        said, wanted = (
            side.hear(Exchange(self._command, raw))
            for side, raw in ((self._card_side, self._answered), (self._twin_side, self._expected))
        )
        if said is not None and said.faults:
            return Deviation(self._command, self._expected, self._answered, said.faults[0])
        if said is None or wanted is None or said.plain is None or wanted.plain is None:
            return self._compare(self._command, self._expected, self._answered)
        return self._compare(said.plain.command, wanted.plain.response or b"", said.plain.response or b"")

    def _compare(self, command: bytes, expected: bytes, answered: bytes) -> Deviation | None:
        """Let the card have what it is free in, if that is in order; the rest is equal."""
        if len(expected) != len(answered):
            return Deviation(command, expected, answered, _difference(expected, answered))
        at, why = 0, ""
        while at < len(expected):
            mark = self._mark_at(expected, at)
            if mark is None:
                at += 1
                continue
            size = MARK_SIZES[mark.kind]
            chosen = answered[at : at + size]
            why = why or self._accept(mark, expected[at : at + size], chosen, command)
            if not why:
                expected = expected[:at] + chosen + expected[at + size :]
            at += size
        if expected == answered:
            return None
        return Deviation(command, expected, answered, why or _difference(expected, answered))

    def _mark_at(self, expected: bytes, at: int) -> Mark | None:
        marks = self.twin.marks
        return marks.get(expected[at : at + 64]) or marks.get(expected[at : at + 8])

    def _accept(self, mark: Mark, twins: bytes, chosen: bytes, command: bytes) -> str:
        """What is wrong with a choice of the card's; empty when it is in order, and then it is learned."""
        match mark.kind:
            case Free.NONCE:
                return self._accept_nonce(twins, chosen)
            case Free.POINT:
                return self._accept_point(chosen)
        return self._accept_signature(mark.about, chosen, command)

    def _accept_nonce(self, mark: bytes, nonce: bytes) -> str:
        drawn = int.from_bytes(nonce)
        if any((drawn ^ before).bit_count() < _LEAST_DIFFERENCE for before in self._nonces):
            return f"the nonce {nonce.hex().upper()} is not fresh: it is that of an earlier request, or nearly so"
        self._nonces.add(drawn)
        self.drawn.take(Free.NONCE, nonce, self)
        self.twin.learn_nonce(mark, nonce)
        return ""

    def _accept_point(self, point: bytes) -> str:
        if not is_point(point):
            return "the public key is no point of P-256"
        if point in self._points:
            return "the public key is that of an earlier pair"
        self._points.add(point)
        self.drawn.take(Free.POINT, point, self)
        self.twin.learn_point(point)
        return ""

    def _accept_signature(self, message: bytes, signature: bytes, command: bytes) -> str:
        """Signed by the card over what the model would sign; a value that is given again is the same."""
        try:
            verify(self.twin.point or b"", message, signature)
        except AuthenticityError:
            return "the signature is not that of the card's key over what the model signs"
        # r tells the random number of a signature: used for two messages, it gives the private key away
        if self._signed.setdefault((self.twin.point or b"", signature[:32]), message) != message:
            return "two signatures are made with one random number: they tell the card's private key"
        self.drawn.take(Free.SIGNATURE, signature[:32], self)
        if message[0] != Value.TYPE:
            return ""
        before = self._values.setdefault(message, signature)
        again = before != signature and CommandApdu.decode(command).ins == Ins.GIVE_AGAIN
        return "the value is signed anew, and not the stored one" if again else ""


def _of(mark: Mark, at: int) -> range:
    """Places of a mark."""
    return range(at, at + MARK_SIZES[mark.kind])


def _required(keys: StaticKeys | None) -> StaticKeys:
    if keys is None:
        raise FormatError("the keys of the secure channel are not given")
    return keys


def _difference(expected: bytes, answered: bytes | None) -> str:
    """Why two answers differ, in words."""
    if answered is None:
        return f"no answer; the model answers {_word(expected)}"
    if answered[-2:] != expected[-2:]:
        return f"the card answers {_word(answered)}; the model {_word(expected)}"
    if len(answered) != len(expected):
        return f"the card answers {len(answered) - 2} bytes of data; the model {len(expected) - 2}"
    at = next(i for i, (one, other) in enumerate(zip(expected, answered, strict=True)) if one != other)
    return f"byte {at} of the answer is {answered[at]:02X}; the model's is {expected[at]:02X}"


def _word(response: bytes) -> str:
    sw = int.from_bytes(response[-2:])
    return f"{sw:04X} ({status_text(sw)})"
