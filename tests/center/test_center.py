"""The center's folder: made once and whole, opened only with its passphrase, and no secret in clear in it."""

import base64
import os
import sqlite3
import stat
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from apdu.errors import InputError, RefusedError, StoreError
from apdu.identity import CardId, Role
from apdu.signature import point_of, private_key
from center.center import Center
from center.keys import CERTIFICATION_KEY, CenterKeys
from center.settings import Settings
from host.terminal.trust import Trust
from tests.center.bank import CHEAP, PASSPHRASE, Bank
from tests.issuer import NOW

posix_only = pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "center")
    bank.open_float(1000)
    return bank


def again(bank: Bank, passphrase: bytes = PASSPHRASE) -> Center:
    """The center of another process."""
    return Center.open(bank.folder, passphrase, lambda: NOW, bank.witness)


def test_what_was_made_is_there_when_it_is_opened_again(bank: Bank) -> None:
    card = bank.center.allot(Role.PERSON, "Aoi")
    opened = again(bank)
    assert opened.settings == Settings(1, "EUR")
    assert opened.public_keys == bank.center.public_keys
    assert (card, Role.PERSON, "Aoi") in opened.registered()
    assert (opened.now, opened.issuer, opened.unit.code) == (NOW, 1, "EUR")


def test_the_trust_file_is_the_public_side(bank: Bank) -> None:
    trust = Trust.decode((bank.folder / "trust.json").read_text("utf-8"))
    assert trust == bank.center.trust == Trust(1, bank.center.unit, bank.center.keys.public)


# --- secrets -----------------------------------------------------------------------------------------------


def in_clear(secret: bytes) -> list[bytes]:
    """How a secret may stand in a file without being encrypted."""
    shifted = [base64.b64encode(bytes(skip) + secret)[4:-4] for skip in range(3)]
    return [secret, secret[::-1], secret.hex().encode(), secret.hex().upper().encode(), *shifted]


def files_with(folder: Path, secret: bytes) -> list[str]:
    return [
        path.name
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(form in path.read_bytes() for form in in_clear(secret))
    ]


def test_private_keys_are_never_in_clear_on_disk(bank: Bank) -> None:
    for key in (bank.center.keys.certification, bank.center.keys.orders):
        assert files_with(bank.folder, key.private_numbers().private_value.to_bytes(32)) == []
        assert "trust.json" in files_with(bank.folder, point_of(key)), "the search finds what is there"
    assert files_with(bank.folder, PASSPHRASE) == []


@pytest.mark.parametrize("skip", range(3))
def test_the_search_for_secrets_finds_every_form(tmp_path: Path, skip: int) -> None:
    secret = private_key(bytes(40)).private_numbers().private_value.to_bytes(32)
    (tmp_path / "key").write_bytes(base64.b64encode(b"x" * skip + secret + b"and more"))
    assert files_with(tmp_path, secret) == ["key"]


@posix_only
def test_only_the_owner_can_read_what_is_not_public(bank: Bank) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in bank.folder.iterdir()}
    assert stat.S_IMODE(bank.folder.stat().st_mode) == 0o700
    assert modes.pop("trust.json") == 0o644
    assert {name: mode for name, mode in modes.items() if mode & 0o077 and not name.endswith(".lock")} == {}


def test_a_center_shows_no_key_in_its_repr(bank: Bank) -> None:
    scalar = bank.center.keys.orders.private_numbers().private_value
    for shown in (repr(bank.center), repr(bank.center.keys)):
        assert str(scalar) not in shown
        assert f"{scalar:x}" not in shown


# --- what is wrong is said ---------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [b"", b"a", PASSPHRASE + b" ", PASSPHRASE.upper(), b"\0" * 2000])
def test_a_wrong_passphrase_opens_nothing(bank: Bank, wrong: bytes) -> None:
    with pytest.raises(InputError, match="passphrase does not open"):
        again(bank, wrong)


def test_a_folder_without_a_center(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no center here"):
        Center.open(tmp_path, PASSPHRASE)
    CenterKeys.generate().write(tmp_path, PASSPHRASE, CHEAP)
    with pytest.raises(StoreError, match="there is no center here"):
        Center.open(tmp_path, PASSPHRASE)


def test_a_center_is_never_overwritten(bank: Bank, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in bank.folder.iterdir()}
    with pytest.raises(InputError, match="never overwritten"):
        Center.create(bank.folder, Settings(2, "EUR"), PASSPHRASE)
    assert before == {path.name: path.read_bytes() for path in bank.folder.iterdir()}
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "keys.json").write_bytes(b"the only copy")
    with pytest.raises(InputError, match="never overwritten"):
        Center.create(tmp_path / "kept", Settings(2, "EUR"), PASSPHRASE)


def damages(content: bytes) -> dict[str, bytes]:
    """A database as a bad disk gives it back."""
    return {
        "empty": b"",
        "no database": b"this is no database, but long enough for one" * 99,
        "zeros": bytes(len(content)),
        "half": content[: len(content) // 2],
        "one page": content[:4096],
        "first page lost": bytes(4096) + content[4096:],
        "tables renamed": content.replace(b"settings", b"sottings").replace(b"cards", b"cords"),
    }


@pytest.mark.parametrize("damage", damages(b""))
def test_a_damaged_database_is_told_as_such(bank: Bank, damage: str) -> None:
    bank.center.close()
    file = bank.folder / "center.sqlite"
    file.write_bytes(damages(file.read_bytes())[damage])
    with pytest.raises(StoreError, match=str(bank.folder)):
        again(bank).registered()


def test_settings_that_make_no_sense_are_told_as_such(bank: Bank) -> None:
    with sqlite3.connect(bank.folder / "center.sqlite") as database:
        database.execute("UPDATE settings SET value = '{\"issuer\": 1'")
    database.close()
    with pytest.raises(StoreError, match="settings"):
        again(bank)


def test_a_database_in_use_is_told_as_such(bank: Bank) -> None:
    database = sqlite3.connect(bank.folder / "center.sqlite", isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            bank.center.allot(Role.PERSON, "Aoi")
    finally:
        database.close()
    bank.center.allot(Role.PERSON, "Aoi")


@pytest.mark.parametrize("name", ["with space", "a#b", "a%20b", "ö", "a;b&c=d"])
def test_any_folder_will_do(tmp_path: Path, name: str) -> None:
    bank = Bank(tmp_path / name)
    assert (tmp_path / name / "center.sqlite").exists()
    assert again(bank).public_keys == bank.center.public_keys


# --- the registry ------------------------------------------------------------------------------------------


def test_serials_are_dense(bank: Bank) -> None:
    assert [bank.center.allot(Role.PERSON, f"holder {n}").serial for n in range(5)] == [2, 3, 4, 5, 6]


def test_serials_are_given_out_once_whoever_asks(bank: Bank) -> None:
    cards: list[CardId] = []

    def bureau() -> None:
        center = again(bank)
        cards.extend(center.allot(Role.PERSON, "somebody") for _ in range(10))
        center.close()

    bureaus = [threading.Thread(target=bureau) for _ in range(4)]
    for thread in bureaus:
        thread.start()
    for thread in bureaus:
        thread.join()
    assert sorted(card.serial for card in cards) == list(range(2, 42))


def test_an_id_is_certified_once_whoever_asks(bank: Bank) -> None:
    card, point = bank.center.allot(Role.PERSON, "Aoi"), point_of(private_key(bytes(40)))
    serials: list[int] = []

    def bureau() -> None:
        center = again(bank)
        for _ in range(10):
            with suppress(RefusedError):
                serials.append(center.certify(card, point)[1].body.serial)
        center.close()

    bureaus = [threading.Thread(target=bureau) for _ in range(4)]
    for thread in bureaus:
        thread.start()
    for thread in bureaus:
        thread.join()
    assert serials == [1]
    assert bank.center.is_certified(card)


def test_a_certificate_is_verified_by_what_terminals_trust(bank: Bank) -> None:
    card, point = bank.center.allot(Role.MERCHANT, "Shop"), point_of(private_key(bytes(40)))
    certificate, credit = bank.center.certify(card, point)
    body = bank.center.trust.certified(certificate)
    assert (body.key, body.subject, body.role, body.point) == (CERTIFICATION_KEY, card, Role.MERCHANT, point)
    assert body.expiry == NOW + 1826 * 86400
    assert (credit.body.card, credit.body.serial, credit.body.seen) == (card, 1, 0)


def test_a_card_in_use_is_not_certified_again(bank: Bank) -> None:
    aoi, other = bank.purse(), point_of(private_key(bytes(40)))
    bank.renew(aoi)
    with pytest.raises(RefusedError, match="was certified before"):
        bank.center.certify(aoi.id, other)
    assert bank.renew(aoi) == 3


def test_there_is_one_float(bank: Bank) -> None:
    """Or personalization could make money."""
    with pytest.raises(RefusedError, match="has its float already"):
        bank.center.allot(Role.FLOAT, "another")


@pytest.mark.parametrize("card", [CardId.of(1, 99), CardId.of(2, 1)])
def test_cards_of_others_get_no_certificate(bank: Bank, card: CardId) -> None:
    with pytest.raises(RefusedError, match="not in this center's registry"):
        bank.center.certify(card, point_of(private_key(bytes(40))))
