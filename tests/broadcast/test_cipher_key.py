"""The cipher keys: numbered, ordered, told to nobody, and read again from the file that brings them to a terminal."""

import hmac
import json
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import FormatError, InputError
from broadcast.cipher_key import CIPHER_KEY_SIZE, CIPHER_KEYS_FORMAT, MAX_CIPHER_KEYS, CipherKey, CipherKeys

SECRET = bytes(range(0xA0, 0xC0))
KEY = CipherKey(3, SECRET)
HELD = CipherKeys(1, "shops", (KEY, CipherKey(9, bytes(32))))

numbers = st.integers(1, 0xFFFF)
keys = st.builds(CipherKey, numbers, st.binary(min_size=32, max_size=32))
rings = st.builds(
    lambda issuer, group, held: CipherKeys(issuer, group, tuple(sorted(held, key=lambda key: key.number))),
    st.integers(0, 0xFFFF),
    st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True),
    st.lists(keys, min_size=1, max_size=MAX_CIPHER_KEYS, unique_by=lambda key: key.number),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def shows_secret(text: str) -> bool:
    """Whether a text holds four bytes in a row of the key, in hex or as Python writes bytes."""
    pieces = [SECRET[i : i + 4] for i in range(len(SECRET) - 3)]
    return any(piece.hex() in text.lower() or repr(piece)[2:-1] in text for piece in pieces)


@given(rings)
def test_what_a_terminal_holds_is_read_as_it_was_written(held: CipherKeys) -> None:
    again = CipherKeys.decode(held.encode())
    assert again == held
    assert [key.packet_key for key in again.keys] == [key.packet_key for key in held.keys]
    assert all(one.number < other.number for one, other in pairwise(again.keys))


def test_file_says_what_it_is() -> None:
    content = json.loads(HELD.encode())
    assert content == {
        "format": CIPHER_KEYS_FORMAT,
        "issuer": 1,
        "group": "shops",
        "keys": [{"number": 3, "key": SECRET.hex()}, {"number": 9, "key": "00" * 32}],
    }


def test_newest_key_has_the_highest_number() -> None:
    assert HELD.newest.number == 9
    assert HELD.of(3) is KEY
    assert HELD.of(4) is None


def test_new_keys_differ_and_have_their_number() -> None:
    made = [CipherKey.generate(7) for _ in range(3)]
    assert {key.number for key in made} == {7}
    assert {len(key.key) for key in made} == {CIPHER_KEY_SIZE}
    assert len({key.key for key in made} | {key.packet_key for key in made}) == 6


def test_packet_key_is_derived_as_rfc_5869_says() -> None:
    extracted = hmac.digest(bytes(32), SECRET, "sha256")
    assert KEY.packet_key == hmac.digest(extracted, b"saifu packet tag\x01", "sha256")


def test_keys_with_the_same_number_and_bytes_are_equal() -> None:
    assert CipherKey(3, SECRET) == KEY != CipherKey(4, SECRET)
    assert len({CipherKey(3, SECRET), KEY}) == 1


@pytest.mark.parametrize("number", [0, -1, 0x10000])
def test_key_number_out_of_range_is_refused(number: int) -> None:
    with pytest.raises(FormatError, match="1 to 65535"):
        CipherKey(number, SECRET)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(FormatError, match=f"has {size} bytes, not 32"):
        CipherKey(1, bytes(size))


@pytest.mark.parametrize("number", [1, 0xFFFF])
def test_first_and_last_number_are_taken(number: int) -> None:
    assert CipherKey(number, SECRET).number == number


def row(*of: int) -> tuple[CipherKey, ...]:
    return tuple(CipherKey(number, SECRET) for number in of)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: CipherKeys(-1, "shops", row(1)), "issuer"),
        (lambda: CipherKeys(0x10000, "shops", row(1)), "issuer"),
        (lambda: CipherKeys(1, "", row(1)), "group"),
        (lambda: CipherKeys(1, "shops/../persons", row(1)), "group"),
        (lambda: CipherKeys(1, "shops\n", row(1)), "group"),
        (lambda: CipherKeys(1, "é", row(1)), "group"),
        (lambda: CipherKeys(1, "s" * 33, row(1)), "group"),
        (lambda: CipherKeys(1, "shops", ()), "1 to 8 cipher keys, not 0"),
        (lambda: CipherKeys(1, "shops", row(*range(1, 10))), "1 to 8 cipher keys, not 9"),
        (lambda: CipherKeys(1, "shops", row(2, 1)), "ascending"),
        (lambda: CipherKeys(1, "shops", row(2, 2)), "ascending"),
    ],
)
def test_what_no_group_holds_is_refused(make: Callable[[], CipherKeys], complaint: str) -> None:
    with pytest.raises(FormatError, match=complaint):
        make()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"saifu cipher keys 1"', '"saifu cipher keys 2"'),
        ('"saifu cipher keys 1"', "1"),
        ('"format"', '"kind"'),
        ('"issuer": 1', '"issuer": true'),
        ('"issuer": 1', '"issuer": 1.0'),
        ('"issuer": 1', '"issuer": "1"'),
        ('"issuer": 1', f'"issuer": {"9" * 5000}'),
        ('"issuer": 1', f'"issuer": {int.from_bytes(SECRET)}'),
        ('"group": "shops"', '"group": 5'),
        ('"group": "shops"', f'"group": "{SECRET.hex()}"'),
        ('"group": "shops"', '"group": "\\ud800"'),
        ('"number": 3', '"number": 3.0'),
        ('"number": 3', '"number": true'),
        ('"number": 3', '"number": 9'),
        ('"number": 3', '"number": 10'),
        ('"number": 3', f'"number": {int.from_bytes(SECRET)}'),
        (SECRET.hex(), SECRET.hex()[:-2]),
        (SECRET.hex(), SECRET.hex()[:-1]),
        (SECRET.hex(), SECRET.hex()[:-1] + "g"),
        (f'"{SECRET.hex()}"', "null"),
        ('"keys"', '"key"'),
        ("}", ""),
        ("{", "[" * 100_000),
    ],
)
def test_file_with_one_thing_wrong_is_refused_without_a_word_of_the_key(right: str, wrong: str) -> None:
    text = HELD.encode()
    assert right in text
    with pytest.raises(InputError, match="not a file of cipher keys") as refusal:
        CipherKeys.decode(text.replace(right, wrong, 1))
    assert not shows_secret(str(refusal.value))
    assert str(int.from_bytes(SECRET)) not in str(refusal.value)


@given(st.text() | json_values.map(json.dumps))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        CipherKeys.decode(text)


@given(st.sampled_from(["format", "issuer", "group", "keys"]), json_values)
def test_file_with_any_other_value_in_one_place_is_refused_or_read(name: str, value: object) -> None:
    content = json.loads(HELD.encode())
    content[name] = value
    try:
        held = CipherKeys.decode(json.dumps(content))
    except InputError:
        return
    assert json.loads(held.encode()) == content


def test_nothing_tells_a_key() -> None:
    texts = [repr(KEY), str(KEY), f"{KEY}", repr(HELD), str(HELD), repr([HELD]), repr({"keys": HELD.keys})]
    assert shows_secret(SECRET.hex())
    assert shows_secret(repr(SECRET))
    assert not any(shows_secret(text) or KEY.packet_key.hex() in text for text in texts)
    assert "3" in repr(KEY)
    assert "shops" in repr(HELD)
