"""Personalization: what must be there and belong together, and what comes of an interruption."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from apdu.cipher import cbc_encrypt
from apdu.commands import Ins
from apdu.dgi import Dgi, encode_dgi
from apdu.identity import LifeCycle, Role
from apdu.messages import Certificate, Credit
from apdu.objects import Parameters
from apdu.status import StatusError
from host.issuer_session import IssuerSession
from host.model import ModelSlot
from tests.applet_model.cards import ISSUER, SERIAL
from tests.applet_model.personalizing import Personalizing, assert_usable, begun
from tests.issuer import PIN, PUK, STATIC, Issuer

OTHERS = Issuer(seed=99)
"""Somebody who claims to be the same issuer and has other keys."""


# --- what must be there ------------------------------------------------------------------------------------


def test_all_groups_make_a_purse() -> None:
    work = begun()
    assert work.store_all(work.groups()) == 0x9000
    assert_usable(work.card)


def test_groups_may_share_a_block() -> None:
    work = begun()
    groups = work.groups()
    secret, last = groups.pop("REFERENCE_DATA"), groups.pop("CREDIT")
    assert work.store(groups.pop("PARAMETERS") + groups.pop("CERTIFICATE")) == 0x9000
    assert [work.store(secret, 0x68), *map(work.store, groups.values()), work.store(last, 0x88)] == [0x9000] * 4
    assert_usable(work.card)


def test_two_center_keys_may_share_a_block() -> None:
    work = begun()
    groups = work.groups()
    keys = groups.pop("CENTER_KEY 0") + groups.pop("CENTER_KEY 1")
    assert work.store(keys) == 0x9000
    assert work.store_all(groups) == 0x9000


MISSING = ["PARAMETERS", "CENTER_KEY 0", "CENTER_KEY 1", "REFERENCE_DATA", "CERTIFICATE"]


@pytest.mark.parametrize(("name", "sw"), [*zip(MISSING, (0x6985, 0x9509, 0x950B, 0x6985, 0x6985), strict=True)])
def test_without_one_group_nothing_begins_and_with_it_the_life_begins(name: str, sw: int) -> None:
    work = begun()
    groups = work.groups()
    late = groups.pop(name)
    assert work.store_all(groups) == sw
    assert work.state is LifeCycle.PERSONALIZATION
    assert work.store(late, 0xE8 if name == "REFERENCE_DATA" else 0x88) == 0x9000
    assert_usable(work.card)


def test_without_credit() -> None:
    work = begun()
    groups = work.groups()
    del groups["CREDIT"]
    assert (work.store_all(groups), work.state) == (0x6985, LifeCycle.PERSONALIZATION)


def test_without_a_key_pair() -> None:
    work = Personalizing()
    work.point = bytes(64)
    assert (work.store_all(work.groups()), work.state) == (0x6985, LifeCycle.PERSONALIZATION)


# --- what must belong together -----------------------------------------------------------------------------


def other_point(work: Personalizing) -> bytes:
    return ISSUER.certificate(SERIAL, work.point[:-1] + bytes((work.point[-1] ^ 1,))).raw


def mutated(raw: bytes) -> bytes:
    return raw[:-1] + bytes((raw[-1] ^ 1,))


def foreign_certificate(work: Personalizing) -> bytes:
    return OTHERS.certificate(SERIAL, work.point).raw


Make = Callable[[Personalizing], bytes]
FOREIGN: dict[str, tuple[Dgi, Make, int]] = {
    "another card's certificate": (Dgi.CERTIFICATE, lambda w: ISSUER.certificate(8, w.point).raw, 0x950C),
    "another key's certificate": (Dgi.CERTIFICATE, other_point, 0x950C),
    "another role": (Dgi.CERTIFICATE, lambda w: w.certificate(role=Role.FLOAT), 0x950C),
    "another issuer": (Dgi.CERTIFICATE, lambda w: Issuer(2).certificate(SERIAL, w.point).raw, 0x950C),
    "a forged certificate": (Dgi.CERTIFICATE, foreign_certificate, 0x9509),
    "a changed certificate": (Dgi.CERTIFICATE, lambda w: mutated(w.certificate()), 0x9509),
    "an unknown key": (Dgi.CERTIFICATE, lambda w: w.certificate(key=9), 0x9509),
    "the key for orders": (Dgi.CERTIFICATE, lambda w: w.certificate(key=2), 0x9509),
    "another card's credit": (Dgi.CREDIT, lambda _: ISSUER.credit(8, 1).raw, 0x950C),
    "credit that has seen records": (Dgi.CREDIT, lambda _: ISSUER.credit(SERIAL, 1, seen=1).raw, 0x950C),
    "forged credit": (Dgi.CREDIT, lambda _: OTHERS.credit(SERIAL, 1).raw, 0x950B),
    "changed credit": (Dgi.CREDIT, lambda _: mutated(ISSUER.credit(SERIAL, 1).raw), 0x950B),
    "another card's parameters": (Dgi.PARAMETERS, lambda _: ISSUER.parameters(8).encode(), 0x950C),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_does_not_belong_here(name: str) -> None:
    dgi, make, sw = FOREIGN[name]
    work = begun()
    groups = work.groups()
    right = groups.pop(dgi.name)
    assert work.store_all({**groups, dgi.name: encode_dgi(dgi, make(work))}) == sw
    assert work.state is LifeCycle.PERSONALIZATION
    assert work.store(right, 0x88) == 0x9000
    assert_usable(work.card)


def test_the_last_of_a_group_that_comes_twice_counts() -> None:
    work = begun()
    assert work.store(encode_dgi(Dgi.PARAMETERS, ISSUER.parameters(8).encode())) == 0x9000
    assert work.store(encode_dgi(Dgi.CREDIT, OTHERS.credit(SERIAL, 1).raw)) == 0x9000
    assert work.store(encode_dgi(Dgi.CENTER_KEY, OTHERS.keys[0].encode())) == 0x9000
    assert work.store_all(work.groups()) == 0x9000
    assert_usable(work.card)


def test_there_are_four_places_for_center_keys() -> None:
    work = begun()
    key = ISSUER.keys[0]
    words = [work.store(encode_dgi(Dgi.CENTER_KEY, replace(key, number=n).encode())) for n in (1, 2, 3, 4, 5, 4)]
    assert words == [0x9000] * 4 + [0x6A80, 0x9000]


# --- what is no data ---------------------------------------------------------------------------------------


def parameters(**changed: object) -> bytes:
    body: Parameters = replace(ISSUER.parameters(SERIAL), **changed)  # type: ignore[arg-type]  # any field
    return encode_dgi(Dgi.PARAMETERS, body.encode())


RAW = ISSUER.parameters(SERIAL).encode()
GOOD = encode_dgi(Dgi.PARAMETERS, RAW)
WRONG_DATA = {
    "unknown group": encode_dgi(Dgi.PARAMETERS, b"")[:2].replace(b"\x01\x01", b"\x01\x7f") + b"\0",
    "cut off": GOOD[:-1],
    "one byte": b"\x01",
    "trailing byte": GOOD + b"\0",
    "parameters too short": encode_dgi(Dgi.PARAMETERS, RAW[:-1]),
    "no role": encode_dgi(Dgi.PARAMETERS, RAW[:6] + b"\x09" + RAW[7:]),
    "no PIN tries": parameters(pin_tries=0),
    "16 PIN tries": parameters(pin_tries=16),
    "no tries of the resetting code": parameters(puk_tries=0),
    "a person with money": parameters(initial=1),
    "a merchant with money": parameters(initial=1, role=Role.MERCHANT),
    "more than it may hold": parameters(initial=2, balance_max=1, role=Role.FLOAT),
    "no transfers": parameters(transfer_max=0),
    "key number 0": encode_dgi(Dgi.CENTER_KEY, b"\0" + ISSUER.keys[0].encode()[1:]),
    "key for no use": encode_dgi(Dgi.CENTER_KEY, b"\x01\x03" + ISSUER.keys[0].encode()[2:]),
    "no certificate": encode_dgi(Dgi.CERTIFICATE, bytes(Certificate.SIZE + 64)),
    "no credit": encode_dgi(Dgi.CREDIT, bytes(Credit.SIZE + 64)),
    "reference data in clear": encode_dgi(Dgi.REFERENCE_DATA, PIN + PUK),
}


@pytest.mark.parametrize("name", WRONG_DATA)
def test_wrong_data_stores_nothing_of_its_block(name: str) -> None:
    work = Personalizing()
    before = work.card.image()
    key = encode_dgi(Dgi.CENTER_KEY, ISSUER.keys[0].encode())
    assert work.store(key + WRONG_DATA[name]) == 0x6A80
    assert (work.card.image(), work.state) == (before, LifeCycle.BLANK)


@pytest.mark.parametrize("plain", [b"", PIN, PIN + b"12345678" * 3, b"123\xff\xff\xff\xff\xff" + PUK, PIN + bytes(8)])
def test_reference_data_of_another_form(plain: bytes) -> None:
    work = begun()
    value = cbc_encrypt(STATIC.dek, bytes(16), plain) if len(plain) % 16 == 0 else plain
    assert work.store(encode_dgi(Dgi.REFERENCE_DATA, value), 0x68) == 0x6A80


def test_blocks_are_numbered() -> None:
    work = begun()
    work.block = 1
    assert work.store(GOOD) == 0x6A86
    work.block = 0
    assert work.store(GOOD) == 0x9000
    work.block = 0
    assert work.store(GOOD) == 0x6A86


# --- key pair ----------------------------------------------------------------------------------------------


def test_the_public_key_is_there_once_it_is_made() -> None:
    work = Personalizing()
    assert (work.send(Ins.GENERATE_KEY_PAIR, 0x81, 0).sw, work.state) == (0x6A88, LifeCycle.BLANK)
    point = work.generate()
    assert work.send(Ins.GENERATE_KEY_PAIR, 0x81, 0).data[-64:] == point
    assert work.generate() != point
    assert work.state is LifeCycle.PERSONALIZATION


# --- once, and again ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("done", range(7))
def test_interrupted_it_begins_again(done: int) -> None:
    work = begun()
    for name, group in [*work.groups().items()][:done]:
        assert work.store(group, 0x68 if name == "REFERENCE_DATA" else 0x08) == 0x9000
    again = Personalizing(work.card)
    again.generate()
    assert again.store_all(again.groups()) == 0x9000
    assert_usable(work.card)


def test_center_keys_of_the_interrupted_run_do_not_count() -> None:
    work = begun()
    for number in range(3, 7):
        key = replace(OTHERS.keys[0], number=number)
        assert work.store(encode_dgi(Dgi.CENTER_KEY, key.encode())) == 0x9000
    again = Personalizing(work.card)
    again.generate()
    assert again.store_all(again.groups()) == 0x9000


def test_a_certificate_of_the_interrupted_run_does_not_count() -> None:
    work = begun()
    for name, group in work.groups().items():
        work.store(group, 0x68 if name == "REFERENCE_DATA" else 0x08)
    again = Personalizing(work.card)
    again.generate()
    assert again.store(encode_dgi(Dgi.CREDIT, ISSUER.credit(SERIAL, 1).raw), 0x88) == 0x6985


def test_activation_ends_the_channel_for_ever() -> None:
    work = begun()
    work.store_all(work.groups())
    assert work.card.send(0x84, Ins.STORE_DATA, 0x08, 0, bytes(24)).sw == 0x6882
    assert work.card.send(0x80, Ins.INITIALIZE_UPDATE, 0, 0, bytes(8), 256).sw == 0x6985
    with pytest.raises(StatusError, match="6985"):
        IssuerSession(ModelSlot("issuer", work.card).connect(), lambda _: STATIC)
