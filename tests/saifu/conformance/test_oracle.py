"""The oracle is silent while a card does what the model does, and says where it does not."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from apdu.commands import Ins
from apdu.errors import MisbehaviourError
from apdu.payload import Tag
from apdu.protocol import Protocol
from apdu.signature import private_key, sign
from apdu.status import StatusWord
from host.session import PurseSession
from saifu.conformance.stand import Stand
from saifu.conformance.subject import DeviationError
from tests.saifu.conformance.cards import Spoil, active, blank_card, stand_of

protocols = pytest.mark.parametrize("protocol", Protocol)


def of(ins: Ins, change: Callable[[bytes], bytes]) -> Spoil:
    """Change the good answers to one command."""
    return lambda command, answer: change(answer) if command[1] == ins and answer[-2] in (0x90, 0x61) else answer


def sign_anew(key: EllipticCurvePrivateKey, message: bytes) -> bytes:
    """A signature with a random nonce, as most cards make it."""
    r, s = decode_dss_signature(key.sign(message, ECDSA(SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


def why(stand: Stand, act: Callable[[Stand], object]) -> str:
    with pytest.raises(DeviationError) as caught:
        act(stand)
    assert caught.value.deviation is not None
    return str(caught.value)


# --- silent on a card that is right ------------------------------------------------------------------------


@protocols
def test_a_whole_life_in_lock_step(protocol: Protocol) -> None:
    stand = stand_of(blank_card(protocol))
    stand.personalize()
    stand.ready(20_000)
    paid = stand.paid(stand.asked_by(stand.other(), 1000))
    stand.card.send(Ins.GIVE_AGAIN, {Tag.COUNTER: paid.value.body.counter.to_bytes(4)})
    stand.ready(500)
    stand.card.send(Ins.ATTEST, {Tag.CHALLENGE: bytes(16)})
    stand.lock_out()
    stand.audit()
    stand.unlock()
    stand.audit()
    stand.terminate()
    stand.audit()


def test_an_answer_in_pieces_is_judged_when_it_is_whole() -> None:
    card, stand = active()
    command = bytes.fromhex("803C0000128F10") + bytes(16)
    assert stand.card.transmit(command) == b"\x61\0"
    first = stand.card.transmit(bytes.fromhex("00C0000000"))
    card.spoil = lambda _, answer: bytes((answer[0] ^ 1,)) + answer[1:]
    assert why(stand, lambda stand: stand.card.transmit(bytes((0, 0xC0, 0, 0, first[-1]))))


def test_an_answer_that_nobody_fetches_is_not_judged() -> None:
    _, stand = active()
    stand.card.transmit(bytes.fromhex("803C0000128F10") + bytes(16))
    stand.audit()


# --- where a card deviates ---------------------------------------------------------------------------------

FLIPPED: list[tuple[Ins, int, str]] = [
    (Ins.GET_DATA, -3, "byte"),
    (Ins.REQUEST, 10, "byte"),  # in the certificate
    (Ins.PAY, 160, "byte"),  # in the value
    (Ins.PAY, -3, "signature"),
    (Ins.RECEIVE, -3, "signature"),
    (Ins.ATTEST, 150, "byte"),
    (Ins.ATTEST, -3, "signature"),
]


def business(stand: Stand) -> None:
    stand.ready(20_000)
    stand.take(100)
    stand.card.send(Ins.ATTEST, {Tag.CHALLENGE: bytes(16)}, ne=None)


@pytest.mark.parametrize(("ins", "at", "word"), FLIPPED)
def test_one_bit_of_an_answer(ins: Ins, at: int, word: str) -> None:
    card, stand = active()
    held: list[bytes] = []

    def spoil(command: bytes, answer: bytes) -> bytes:
        """ATTEST is long: its answer comes with GET RESPONSE, in two pieces."""
        named = command[1] if command[1] != Ins.GET_RESPONSE else held[-1][1]
        held.append(command if command[1] != Ins.GET_RESPONSE else held[-1])
        if named != ins or len(answer) < abs(at) or (at < 0 and answer[-2] == 0x61):
            return answer
        place = at % len(answer)
        return answer[:place] + bytes((answer[place] ^ 1,)) + answer[place + 1 :]

    card.spoil = spoil
    assert word in why(stand, business)


def test_a_status_word() -> None:
    card, stand = active()
    card.spoil = of(Ins.VERIFY, lambda _: b"\x63\xc3")
    assert why(stand, lambda stand: stand.verify(sw=0x9000)).startswith("the card answers 63C3")


def test_data_with_an_error_word() -> None:
    card, stand = active()
    card.spoil = lambda _, answer: b"\0" + answer
    assert "bytes of data" in why(stand, lambda stand: stand.card.send(Ins.GET_DATA, sw=StatusWord.DATA_NOT_FOUND))


def test_a_nonce_that_comes_again() -> None:
    card, stand = active()
    first = stand.requested(100, stand.other()).request.nonce

    def spoil(answer: bytes) -> bytes:
        return answer[: -2 - 14] + first + answer[-2 - 6 :]

    card.spoil = of(Ins.REQUEST, spoil)
    assert "not fresh: it is that of an earlier request" in why(
        stand, lambda stand: stand.request(100, stand.other().card)
    )


def test_a_value_that_is_signed_anew() -> None:
    card, stand = active()
    paid = stand.paid(stand.asked_by(stand.other(), 100))
    key = private_key(card._cells.private_key.get())
    body = paid.value.body.encode()
    other = next(made for made in (sign_anew(key, body) for _ in range(9)) if made != paid.value.raw[-64:])
    card.spoil = of(Ins.GIVE_AGAIN, lambda answer: answer[:-66] + other + answer[-2:])
    counter = {Tag.COUNTER: paid.value.body.counter.to_bytes(4)}
    assert "signed anew" in why(stand, lambda stand: stand.card.send(Ins.GIVE_AGAIN, counter))


def test_a_signature_of_another_key() -> None:
    card, stand = active()

    def spoil(answer: bytes) -> bytes:
        return answer[:-66] + sign(private_key(bytes(39) + b"\x07"), answer[-165:-66]) + answer[-2:]

    card.spoil = of(Ins.PAY, spoil)
    assert "signature" in why(stand, lambda stand: stand.paid(stand.asked_by(stand.other(), 100)))


def test_the_mac_of_an_answer() -> None:
    card = blank_card()
    stand = stand_of(card)
    card.spoil = of(Ins.GENERATE_KEY_PAIR, lambda answer: answer[:-3] + bytes((answer[-3] ^ 1,)) + answer[-2:])
    assert "MAC" in why(stand, lambda stand: stand.begun())


def test_a_deviation_leaves_the_twin_ready_to_be_made_anew() -> None:
    card, stand = active()
    card.spoil = of(Ins.PAY, lambda _: b"\x69\x85")
    why(stand, lambda stand: stand.paid(stand.asked_by(stand.other(), 100)))
    del card.spoil
    stand.card.meet()
    stand.ready(3000)
    stand.audit()
    assert PurseSession(stand.card).selected.status.balance == 3000


def test_a_piece_of_an_answer_whose_rest_nobody_fetches() -> None:
    card, stand = active()
    stand.card.transmit(bytes.fromhex("803C0000128F10") + bytes(16))
    card.spoil = lambda _, answer: answer[:150] + bytes((answer[150] ^ 1,)) + answer[151:]
    stand.card.transmit(bytes.fromhex("00C0000000"))
    del card.spoil
    assert "byte 150" in why(stand, lambda stand: stand.card.transmit(bytes.fromhex("00CA010000")))


def test_a_card_that_describes_itself_as_none_can_be_is_not_taken() -> None:
    card, stand = active()
    card.spoil = lambda command, answer: (
        answer[:2] + b"\xff" + answer[3:] if command[:4] == b"\x00\xca\x01\x08" else answer
    )
    with pytest.raises(MisbehaviourError, match="more tries"):
        stand.card.meet()
