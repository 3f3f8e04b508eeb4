"""The center's two keys: which signs what, and how they are kept."""

from pathlib import Path

import pytest

from apdu.errors import AuthenticityError, InputError, StoreError
from apdu.identity import CardId, Role
from apdu.layout import Record
from apdu.messages import Certificate, Credit, Head, TerminateOrder, UnlockOrder
from apdu.objects import KeyUse
from apdu.signature import POINT_SIZE
from center.keys import CERTIFICATION_KEY, ORDERS_KEY, CenterKeys
from host.sealed_file import write_sealed
from tests.center.bank import CHEAP

CARD = CardId.of(1, 2)
CERTIFIED: Record = Certificate(CERTIFICATION_KEY, CARD, Role.PERSON, 1, bytes(POINT_SIZE))
ORDERED: list[Record] = [
    Head(ORDERS_KEY, 1, 1, 1, 2, 0, bytes(24)),
    Credit(ORDERS_KEY, CARD, 1, 1, 2, 3, 4, 0),
    UnlockOrder(ORDERS_KEY, CARD, 1),
    TerminateOrder(ORDERS_KEY, CARD, 5),
]


@pytest.fixture
def keys(tmp_path: Path) -> CenterKeys:
    keys = CenterKeys.generate()
    keys.write(tmp_path, b"a passphrase", CHEAP)
    return keys


def test_keys_are_read_as_they_were_written(keys: CenterKeys, tmp_path: Path) -> None:
    assert CenterKeys.read(tmp_path, b"a passphrase").public == keys.public


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


def sealed(folder: Path, plain: bytes) -> None:
    write_sealed(folder / "keys.json", "saifu center keys 1", plain, b"a passphrase", CHEAP)


@pytest.mark.parametrize(
    "plain", [b"[]", b"{}", b"[1, 2]", b'["00", "11"]', b'["' + b"0" * 64 + b'", "' + b"f" * 64 + b'"]']
)
def test_what_are_no_two_keys_is_refused(tmp_path: Path, plain: bytes) -> None:
    sealed(tmp_path, plain)
    with pytest.raises(StoreError, match="is no key file of saifu, or is damaged"):
        CenterKeys.read(tmp_path, b"a passphrase")


@pytest.mark.usefixtures("keys")
def test_a_wrong_passphrase_and_a_key_store_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the passphrase does not open"):
        CenterKeys.read(tmp_path, b"Passphrase")
    write_sealed(tmp_path / "keys.json", "saifu keystore 1", b"[]", b"a passphrase", CHEAP)
    with pytest.raises(StoreError, match="is no key file of saifu"):
        CenterKeys.read(tmp_path, b"a passphrase")


@pytest.mark.usefixtures("keys")
def test_missing_and_damaged_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(StoreError, match="is damaged"):
        CenterKeys.read(tmp_path, b"a passphrase")
    path.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        CenterKeys.read(tmp_path, b"a passphrase")


def test_a_passphrase_may_be_long(keys: CenterKeys, tmp_path: Path) -> None:
    keys.write(tmp_path, b"x" * 5000, CHEAP)
    assert CenterKeys.read(tmp_path, b"x" * 5000).public == keys.public
