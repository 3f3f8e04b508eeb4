"""Diversification: AN10922's own examples, SP 800-108 by its formula, and what must differ, differs."""

import json
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.cipher import cmac
from apdu.errors import InputError
from host.scp03 import StaticKeys
from personalization.diversification import SCHEMES, KeyUse, an10922, diversify, resetting_code, static_keys

EXAMPLES = json.loads((Path(__file__).parents[1] / "vectors" / "an10922.json").read_text("utf-8"))
MASTER = bytes(range(32))
DATA = b"0123456789"
KEY = st.sampled_from((16, 24, 32)).flatmap(lambda size: st.binary(min_size=size, max_size=size))


@pytest.mark.parametrize("row", EXAMPLES["keys"], ids=lambda row: f"AES-{4 * len(row['master'])}")
def test_examples_of_an10922(row: dict[str, str]) -> None:
    derived = an10922(bytes.fromhex(row["master"]), bytes.fromhex(EXAMPLES["diversification_input"]))
    assert derived == bytes.fromhex(row["derived"])


def test_no_example_is_lost() -> None:
    assert len(EXAMPLES["keys"]) == 3


@pytest.mark.parametrize("use", KeyUse)
def test_an10922_is_given_data_name_and_use(use: KeyUse) -> None:
    assert diversify(MASTER, "an10922", DATA, use) == an10922(MASTER, DATA + b"saifu" + bytes((use,)))


@pytest.mark.parametrize("size", [*range(16), *range(32, 40)])
def test_an10922_refuses_other_lengths(size: int) -> None:
    with pytest.raises(InputError, match="16 to 31 bytes"):
        an10922(MASTER, bytes(size))


def sp_800_108(master: bytes, label: bytes, context: bytes, size: int) -> bytes:
    """The standard's formula by hand: K(i) = PRF(master, [i] || label || 00 || context || [L])."""
    fixed = label + b"\0" + context + (8 * size).to_bytes(4)
    return b"".join(cmac(master, i.to_bytes(4) + fixed) for i in (1, 2))[:size]


@given(master=KEY, data=st.binary(max_size=40), use=st.sampled_from(KeyUse))
def test_sp_800_108_is_its_formula(master: bytes, data: bytes, use: KeyUse) -> None:
    expected = sp_800_108(master, use.name.encode(), data, len(master))
    assert diversify(master, "sp800-108", data, use) == expected


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", [16, 24, 32])
def test_cards_and_uses_have_different_keys(scheme: str, size: int) -> None:
    cards = [number.to_bytes(10) for number in range(20)]
    keys = [diversify(MASTER[:size], scheme, data, use) for data, use in product(cards, KeyUse)]
    assert len(set(keys)) == 60
    assert {len(key) for key in keys} == {size}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_static_keys_are_one_of_each_use(scheme: str) -> None:
    enc, mac, dek = (diversify(MASTER, scheme, DATA, use) for use in (KeyUse.ENC, KeyUse.MAC, KeyUse.DEK))
    assert static_keys(MASTER, scheme, DATA, 32) == StaticKeys(enc, mac, dek)


def test_sp_800_108_makes_smaller_keys_that_are_no_part_of_the_large_ones() -> None:
    small, large = static_keys(MASTER, "sp800-108", DATA, 16), static_keys(MASTER, "sp800-108", DATA, 32)
    assert len(small.enc) == 16
    assert not large.enc.startswith(small.enc)


@pytest.mark.parametrize(
    ("scheme", "master", "size"), [("an10922", 32, 16), ("an10922", 16, 32), ("sp800-108", 16, 24)]
)
def test_sizes_that_a_scheme_does_not_make(scheme: str, master: int, size: int) -> None:
    with pytest.raises(InputError, match=f"no key of {size} bytes"):
        static_keys(bytes(master), scheme, DATA, size)


@pytest.mark.parametrize("size", [0, 15, 17, 33])
def test_master_key_of_no_aes_size(size: int) -> None:
    for scheme in SCHEMES:
        with pytest.raises(InputError, match="16, 24 or 32"):
            diversify(bytes(size), scheme, DATA, KeyUse.ENC)
    with pytest.raises(InputError, match="16, 24 or 32"):
        resetting_code(bytes(size), DATA)
    with pytest.raises(InputError, match="16, 24 or 32"):
        an10922(bytes(size), bytes(16))


def test_unknown_scheme_is_told_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'visa2'.*an10922 and sp800-108"):
        diversify(MASTER, "visa2", DATA, KeyUse.ENC)


@given(master=KEY, data=st.binary(max_size=40))
def test_resetting_code_is_eight_digits_of_its_formula(master: bytes, data: bytes) -> None:
    code = resetting_code(master, data)
    assert len(code) == 8
    assert int(code) == int.from_bytes(sp_800_108(master, b"PUK", data, 16)) % 100_000_000


def test_resetting_codes_are_spread() -> None:
    codes = [resetting_code(MASTER, number.to_bytes(10)) for number in range(2000)]
    assert len(set(codes)) == 2000
    for place in range(8):
        assert all(140 < sum(code[place] == digit for code in codes) < 260 for digit in "0123456789")
