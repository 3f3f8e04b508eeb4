"""Terminal groups and their cipher keys: given out, rolled over, retired."""

import json
from pathlib import Path

import pytest

from apdu.errors import FormatError, RefusedError
from broadcast.cipher_key import MAX_CIPHER_KEYS, CipherKeys
from center.center import Center
from center.cipher_groups import cipher_keys, groups, retire_cipher_key, roll_cipher_key
from host.sealed_file import write_sealed
from tests.center.bank import CHEAP, PASSPHRASE, Bank


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "center")


def numbers(keys: CipherKeys) -> list[int]:
    return [key.number for key in keys.keys]


def test_a_new_group_gets_its_first_key_and_keeps_it(bank: Bank) -> None:
    keys = cipher_keys(bank.center)
    assert (keys.issuer, keys.group, numbers(keys)) == (1, "terminals", [1])
    assert cipher_keys(bank.center) == keys
    again = Center.open(bank.folder, PASSPHRASE, witness=bank.witness)
    assert cipher_keys(again) == keys
    again.close()


def test_every_group_and_number_has_a_key_of_its_own(bank: Bank) -> None:
    for _ in range(3):
        roll_cipher_key(bank.center, "north")
    keys = [*cipher_keys(bank.center, "north").keys, *cipher_keys(bank.center, "south").keys]
    assert len({key.key for key in keys}) == len(keys) == 4
    assert groups(bank.center) == ["north", "south"]


def test_a_key_is_rolled_over_and_the_old_one_retired(bank: Bank) -> None:
    one = cipher_keys(bank.center)
    assert numbers(roll_cipher_key(bank.center)) == [1, 2]
    assert numbers(retire_cipher_key(bank.center, 1)) == [2]
    assert numbers(cipher_keys(bank.center)) == [2]
    assert numbers(roll_cipher_key(bank.center)) == [2, 3]
    assert one.keys[0] not in cipher_keys(bank.center).keys


def test_the_last_key_and_one_that_is_not_active_cannot_be_retired(bank: Bank) -> None:
    cipher_keys(bank.center)
    with pytest.raises(RefusedError, match="the last of group terminals: roll over first"):
        retire_cipher_key(bank.center, 1)
    with pytest.raises(RefusedError, match="no active cipher key 2"):
        retire_cipher_key(bank.center, 2)
    assert numbers(cipher_keys(bank.center)) == [1]


def test_a_terminal_holds_so_many_keys_and_no_more(bank: Bank) -> None:
    for _ in range(MAX_CIPHER_KEYS):
        roll_cipher_key(bank.center)
    with pytest.raises(RefusedError, match="retire the oldest first"):
        roll_cipher_key(bank.center)
    assert numbers(cipher_keys(bank.center)) == list(range(1, MAX_CIPHER_KEYS + 1))


@pytest.mark.parametrize("group", ["", "full", "delta", "index", "a/b", "a b", "#", "x" * 33, "é"])
def test_a_name_that_no_topic_can_hold_is_refused_and_not_kept(bank: Bank, group: str) -> None:
    for ask in (cipher_keys, roll_cipher_key):
        with pytest.raises(FormatError, match="name of a group"):
            ask(bank.center, group)
    assert groups(bank.center) == []


def test_a_center_from_before_there_were_cipher_keys_gets_their_root_once(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "center")
    public = bank.center.keys.public
    without_root(bank.folder, bank.center)
    bank.center.close()
    first, second = (Center.open(bank.folder, PASSPHRASE, witness=bank.witness) for _ in range(2))
    assert first.keys.public == second.keys.public == public
    assert cipher_keys(first) == cipher_keys(second)
    first.close()
    second.close()


def without_root(folder: Path, center: Center) -> None:
    """Write the key file as it was before: two keys."""
    private = (center.keys.certification, center.keys.orders)
    raw = [key.private_numbers().private_value.to_bytes(32).hex() for key in private]
    write_sealed(folder / "keys.json", "saifu center keys 1", json.dumps(raw).encode(), PASSPHRASE, CHEAP)
