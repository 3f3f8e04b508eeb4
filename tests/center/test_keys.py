"""The center's two keys: which signs what, and how they are kept."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from apdu.errors import AuthenticityError, InputError, StoreError
from apdu.identity import CardId, Role
from apdu.layout import Record
from apdu.messages import Certificate, Credit, Head, TerminateOrder, UnlockOrder
from apdu.objects import KeyUse
from apdu.signature import POINT_SIZE
from center.keys import CERTIFICATION_KEY, ORDERS_KEY, CenterKeys

CARD = CardId.of(1, 2)
CERTIFIED: Record = Certificate(CERTIFICATION_KEY, CARD, Role.PERSON, 1, bytes(POINT_SIZE))
ORDERED: list[Record] = [
    Head(ORDERS_KEY, 1, 1, 1, 2, 0, bytes(24)),
    Credit(ORDERS_KEY, CARD, 1, 1, 2, 3, 4, 0),
    UnlockOrder(ORDERS_KEY, CARD, 1),
    TerminateOrder(ORDERS_KEY, CARD),
]


@pytest.fixture
def keys(tmp_path: Path) -> CenterKeys:
    keys = CenterKeys.generate()
    keys.write(tmp_path, b"passphrase")
    return keys


def test_keys_are_read_as_they_were_written(keys: CenterKeys, tmp_path: Path) -> None:
    assert CenterKeys.read(tmp_path, b"passphrase").public == keys.public


def test_no_two_centers_have_the_same_keys(keys: CenterKeys) -> None:
    points = {key.point for center in (keys, CenterKeys.generate()) for key in center.public}
    assert len(points) == 4


def test_public_keys_say_what_they_are_for(keys: CenterKeys) -> None:
    assert [(key.number, key.use) for key in keys.public] == [(1, KeyUse.CERTIFICATION), (2, KeyUse.ORDERS)]


@pytest.mark.parametrize(("body", "which"), [(CERTIFIED, 0), *((body, 1) for body in ORDERED)])
def test_each_body_is_signed_with_its_own_key(keys: CenterKeys, body: Record, which: int) -> None:
    signed = keys.sign(body)
    assert signed.verify(keys.public[which].point) == body
    with pytest.raises(AuthenticityError):
        signed.verify(keys.public[1 - which].point)


def put(path: Path, key: object, encryption: KeySerializationEncryption) -> None:
    assert hasattr(key, "private_bytes")
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("key", [generate_private_key(SECP384R1()), Ed25519PrivateKey.generate()])
def test_a_key_of_another_kind_is_refused(tmp_path: Path, key: object) -> None:
    put(tmp_path / "orders.pem", key, BestAvailableEncryption(b"passphrase"))
    with pytest.raises(StoreError, match=r"orders\.pem: this is not a P-256 key"):
        CenterKeys.read(tmp_path, b"passphrase")


def test_a_key_that_somebody_put_there_in_clear_is_refused(keys: CenterKeys, tmp_path: Path) -> None:
    put(tmp_path / "orders.pem", keys.orders, NoEncryption())
    with pytest.raises(InputError, match="wrong, or its key files are damaged"):
        CenterKeys.read(tmp_path, b"passphrase")


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("name", ["certification.pem", "orders.pem"])
def test_missing_and_damaged_files_are_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-60])
    with pytest.raises(InputError, match="wrong, or its key files are damaged"):
        CenterKeys.read(tmp_path, b"passphrase")
    (tmp_path / name).unlink()
    with pytest.raises(StoreError, match=rf"{name}: .*is this a center"):
        CenterKeys.read(tmp_path, b"passphrase")
