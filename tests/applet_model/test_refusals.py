"""Forged, mutated, crossed and reordered messages of every kind: refused, and nothing changes in the card.

Nothing means that: the whole memory is compared before and after.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from apdu.commands import COMMANDS, Ins
from apdu.identity import LifeCycle, Role
from apdu.layout import Record
from apdu.messages import (
    SIGNED_BODIES,
    Attestation,
    Certificate,
    CheckOrder,
    Credit,
    Head,
    Outcome,
    Receipt,
    Refusal,
    Resolution,
    TerminateOrder,
    UnlockOrder,
    Value,
)
from apdu.payload import Tag
from apdu.signature import SIGNATURE_SIZE, point_of, private_key, sign
from apdu.status import StatusWord
from tests.applet_model.offers import MINE, OFFERS, THEIRS, Offer
from tests.applet_model.purses import ISSUER
from tests.issuer import CERTIFICATION, EUR, FAR, NOW, ORDERS

W = StatusWord
STRANGER = private_key(bytes(range(40)))
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the curve."""
SIGNED_BY_CARDS = {"value in RECEIVE", "receipt in SETTLE", "refusal in SETTLE"}
each_offer = pytest.mark.parametrize("name", OFFERS)


def refused(offer: Offer, spoilt: Iterable[bytes]) -> set[int]:
    """Offer everything spoilt, then the good one; the status words of the refusals."""
    words, before = set(), offer.purse.image
    for raw in spoilt:
        words.add(offer.sw(raw))
        assert offer.purse.image == before
    assert W.OK not in words
    assert offer.sw(offer.raw) == W.OK
    return words


def with_signature(offer: Offer, signature: bytes) -> bytes:
    return offer.raw[:-SIGNATURE_SIZE] + signature


def signed(body: bytes, key: EllipticCurvePrivateKey) -> bytes:
    return body + sign(key, body)


def test_there_is_an_offer_for_every_signed_object_that_a_command_takes() -> None:
    plain = {Tag.AMOUNT, Tag.CARD_ID, Tag.DATE, Tag.COUNTER, Tag.CHALLENGE, Tag.REQUEST, Tag.PROOF}
    taken = {(row.ins, tag) for row in COMMANDS for tag in row.carries if tag not in plain}
    assert {(offer.ins, offer.tag) for offer in (make() for make in OFFERS.values())} == taken


@each_offer
def test_every_bit_counts(name: str) -> None:
    def spoilt(raw: bytes) -> Iterator[bytes]:
        for bit in range(8 * len(raw)):
            yield (int.from_bytes(raw) ^ 1 << bit).to_bytes(len(raw))

    offer = OFFERS[name]()
    refused(offer, spoilt(offer.raw))


@each_offer
def test_no_other_length_will_do(name: str) -> None:
    offer = OFFERS[name]()
    lengths = (offer.raw[:size] for size in range(len(offer.raw)))
    assert refused(offer, (*lengths, offer.raw + b"\0")) <= {W.WRONG_DATA, W.WRONG_LENGTH}


@each_offer
def test_a_stranger_cannot_sign(name: str) -> None:
    offer = OFFERS[name]()
    word = W.CERTIFICATE_INVALID if offer.kind is Certificate else W.SIGNATURE_INVALID
    assert refused(offer, [signed(offer.body.encode(), STRANGER)]) == {word}


@each_offer
def test_a_signature_of_another_body_does_not_fit(name: str) -> None:
    offer = OFFERS[name]()
    word = W.CERTIFICATE_INVALID if offer.kind is Certificate else W.SIGNATURE_INVALID
    borrowed = sign(offer.key, offer.body.encode() + b"\0")
    assert refused(offer, [with_signature(offer, borrowed)]) == {word}


@each_offer
def test_r_and_s_lie_between_0_and_the_order(name: str) -> None:
    offer = OFFERS[name]()
    r, s = offer.raw[-SIGNATURE_SIZE:-32], offer.raw[-32:]
    ends = [0, N, int.from_bytes(b"\xff" * 32)]
    halves = [end.to_bytes(32) for end in ends]
    pairs = [(x, s) for x in halves] + [(r, x) for x in halves] + [(x, y) for x in halves for y in halves]
    word = W.CERTIFICATE_INVALID if offer.kind is Certificate else W.SIGNATURE_INVALID
    assert refused(offer, (with_signature(offer, one + other) for one, other in pairs)) == {word}


@pytest.mark.parametrize("name", sorted(OFFERS.keys() - SIGNED_BY_CARDS))
def test_the_centers_keys_have_one_use_each(name: str) -> None:
    """A certification key signs no orders, an order key no certificates, and unknown numbers are no keys."""
    offer = OFFERS[name]()
    keys = {CERTIFICATION: ISSUER.certification, ORDERS: ISSUER.orders}
    good = offer.body.encode()
    spoilt = [
        signed(good[:1] + bytes((number,)) + good[2:], key)
        for number in (0, CERTIFICATION, ORDERS, 3, 255)
        for key in keys.values()
        if (keys.get(number), key) != (offer.key, offer.key)
    ]
    word = W.CERTIFICATE_INVALID if offer.kind is Certificate else W.SIGNATURE_INVALID
    assert refused(offer, spoilt) == {word}


# --- crossed ---------------------------------------------------------------------------------------------


def bodies() -> list[Record]:
    """One of each kind, about the right cards."""
    mine, theirs, point = ISSUER.id(MINE), ISSUER.id(THEIRS), point_of(STRANGER)
    return [
        Certificate(CERTIFICATION, theirs, Role.FLOAT, FAR, point),
        Value(theirs, 1, mine, 1, bytes(8), 100, EUR),
        Receipt(mine, 1, theirs),
        Refusal(mine, 1, theirs),
        Attestation(theirs, bytes(16), LifeCycle.ACTIVE, 1, 1, 1, 1, 1, bytes(32), 1, 1, NOW, bytes(32)),
        Head(ORDERS, ISSUER.number, 9, NOW, FAR, 0, bytes(24)),
        Credit(ORDERS, mine, 9, NOW, FAR, 9, 9, 0),
        UnlockOrder(ORDERS, mine, 9),
        Resolution(ORDERS, mine, 1, Outcome.NEVER_RECEIVED),
        TerminateOrder(ORDERS, mine, 1),
        CheckOrder(ORDERS, 1, FAR),
    ]


def test_bodies_has_one_of_each_kind() -> None:
    assert [type(body) for body in bodies()] == list(SIGNED_BODIES)
    assert len({kind.TYPE for kind in SIGNED_BODIES}) == len(SIGNED_BODIES)


@each_offer
def test_no_other_kind_is_taken(name: str) -> None:
    """Genuinely signed, by the very key that signs what is wanted; also cut or filled up to its size."""
    offer = OFFERS[name]()
    others = [body.encode() for body in bodies() if type(body) is not offer.kind]
    fitted = [body[: offer.kind.SIZE].ljust(offer.kind.SIZE, b"\0") for body in others]
    words = refused(offer, (signed(body, offer.key) for body in (*others, *fitted)))
    assert words <= {W.WRONG_DATA, W.WRONG_LENGTH, W.CHAINING_NOT_SUPPORTED}


@each_offer
def test_the_type_byte_alone_tells_kinds_apart(name: str) -> None:
    offer = OFFERS[name]()
    good = offer.body.encode()
    other_types = [kind.TYPE for kind in SIGNED_BODIES if kind.TYPE not in (None, offer.kind.TYPE)]
    retyped = (bytes((number or 0,)) + good[1:] for number in other_types)
    assert refused(offer, (signed(body, offer.key) for body in retyped)) == {W.WRONG_DATA}


@each_offer
def test_no_object_passes_under_another_tag(name: str) -> None:
    offer, before = OFFERS[name](), set[int]()
    image = offer.purse.image
    for tag in Tag:
        if tag is not offer.tag:
            rest = {key: raw for key, raw in offer.objects.items() if key not in (offer.tag, tag)}
            before.add(offer.purse.offer(offer.ins, rest | {tag: offer.raw}))
            assert offer.purse.image == image
    assert before <= {W.WRONG_DATA, W.WRONG_LENGTH, W.CHAINING_NOT_SUPPORTED}


# --- proofs ----------------------------------------------------------------------------------------------


def test_every_bit_of_a_proof_counts() -> None:
    offer = OFFERS["head in LOCK OUT"]()
    proof, image = offer.objects[Tag.PROOF], offer.purse.image
    for bit in range(8 * len(proof)):
        spoilt = (int.from_bytes(proof) ^ 1 << bit).to_bytes(len(proof))
        words = offer.purse.offer(Ins.LOCK_OUT, offer.objects | {Tag.PROOF: spoilt})
        assert words in (W.NOT_LISTED, W.WRONG_DATA)
        assert offer.purse.image == image


def test_a_proof_has_no_other_length() -> None:
    offer = OFFERS["head in LOCK OUT"]()
    proof, image = offer.objects[Tag.PROOF], offer.purse.image
    for other in (*(proof[:size] for size in range(len(proof))), proof + b"\0", proof + bytes(24)):
        assert offer.purse.offer(Ins.LOCK_OUT, offer.objects | {Tag.PROOF: other}) == W.WRONG_DATA
        assert offer.purse.image == image


@pytest.mark.parametrize("listed", [(), (1,), (THEIRS,), (MINE + 256,), tuple(range(3, 900))])
def test_a_proof_for_others_locks_nobody_else_out(listed: tuple[int, ...]) -> None:
    offer = OFFERS["head in LOCK OUT"]()
    edition, image = ISSUER.edition(7, *listed), offer.purse.image
    proofs = [edition.tree.prove(serial).encode() for serial in listed[:5]] + [offer.objects[Tag.PROOF]]
    for proof in proofs:
        sent = {Tag.HEAD: edition.head.raw, Tag.PROOF: proof}
        assert offer.purse.offer(Ins.LOCK_OUT, sent) == W.NOT_LISTED
        assert offer.purse.image == image


# --- points ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", [bytes(64), b"\xff" * 64, bytes(63) + b"\1"])
def test_a_point_off_the_curve_is_no_key(point: bytes) -> None:
    offer = OFFERS["certificate in RECEIVE"]()
    body = replace(Certificate.decode(offer.body.encode()), point=point)
    assert refused(offer, [signed(body.encode(), STRANGER)]) == {W.CERTIFICATE_INVALID}
    offer = OFFERS["certificate in RECEIVE"]()
    assert refused(offer, [signed(body.encode(), offer.key)]) == {W.SIGNATURE_INVALID}
