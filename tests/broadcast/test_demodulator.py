"""The demodulator opens what the center sealed for this group's terminals, and nothing else."""

from collections.abc import Callable, Iterator
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from hypothesis import assume, given
from hypothesis import strategies as st

from apdu.errors import AuthenticityError, FormatError
from broadcast.cipher_key import CipherKey, CipherKeys
from broadcast.demodulator import demodulate
from broadcast.modulator import MAX_SEALED, modulate

PLAIN = b"edition 7"
OLD = CipherKey(1, bytes(range(0xA0, 0xC0)))
NEW = CipherKey(2, bytes(range(0x40, 0x60)))
REFUSALS = (FormatError, AuthenticityError)


def group(*keys: CipherKey) -> CipherKeys:
    return CipherKeys(1, "shops", keys)


BOTH = group(OLD, NEW)
SEALED = modulate(PLAIN, OLD)
PARTS = {"IV": slice(10, 22), "ciphertext": slice(24, -52), "kid": slice(-44, -42), "wrapped key": slice(-40, None)}
"""Where a sealed message of nine bytes is not constant."""


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def refusal(sealed: bytes, keys: CipherKeys = BOTH) -> FormatError | AuthenticityError:
    """The error that a message ends in, which tells no key."""
    with pytest.raises(REFUSALS) as caught:
        demodulate(sealed, keys)
    told = " ".join(f"{error} {error!r}" for error in chain(caught.value))
    assert not any(key.key[:4].hex() in told or repr(key.key[:4])[2:-1] in told for key in keys.keys)
    assert isinstance(caught.value, REFUSALS)
    return caught.value


# --- which key ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [OLD, NEW], ids=["old", "new"])
def test_old_and_new_key_open_side_by_side(key: CipherKey) -> None:
    assert demodulate(modulate(PLAIN, key), BOTH) == PLAIN


def test_message_for_a_retired_key_is_refused() -> None:
    assert demodulate(SEALED, group(OLD)) == PLAIN
    error = refusal(SEALED, group(NEW))
    assert isinstance(error, AuthenticityError)
    assert str(error) == "sealed for key 1, which this terminal does not hold (it holds 2)"


def test_message_for_an_unknown_key_names_it_and_what_is_held() -> None:
    error = refusal(modulate(PLAIN, CipherKey.generate(3)))
    assert isinstance(error, AuthenticityError)
    assert str(error) == "sealed for key 3, which this terminal does not hold (it holds 1, 2)"


def test_another_groups_key_of_the_same_number_does_not_open() -> None:
    error = refusal(modulate(PLAIN, CipherKey.generate(1)))
    assert isinstance(error, AuthenticityError)
    assert "sealed for key 1" in str(error)
    assert "another group" in str(error)


def test_number_of_the_key_cannot_be_changed_even_where_two_numbers_have_one_key() -> None:
    numbers = [1 | 1 << bit for bit in range(1, 16)]
    for some in (numbers[:5], numbers[5:10], numbers[10:]):
        held = group(OLD, *(CipherKey(number, OLD.key) for number in some))
        for number in some:
            changed = SEALED[:-44] + number.to_bytes(2) + SEALED[-42:]
            assert isinstance(refusal(changed, held), AuthenticityError)


# --- changed on the way ------------------------------------------------------------------------------------


def test_no_bit_can_be_changed() -> None:
    assert demodulate(SEALED, BOTH) == PLAIN
    for bit in range(8 * len(SEALED)):
        changed = bytearray(SEALED)
        changed[bit >> 3] ^= 0x80 >> (bit & 7)
        refusal(bytes(changed))


@pytest.mark.parametrize("part", PARTS)
def test_parts_that_are_not_constant_are_authenticated(part: str) -> None:
    for position in range(len(SEALED))[PARTS[part]]:
        changed = bytearray(SEALED)
        changed[position] ^= 0xFF
        assert isinstance(refusal(bytes(changed)), AuthenticityError)


def test_all_other_bytes_are_constant() -> None:
    free = {position for part in PARTS.values() for position in range(len(SEALED))[part]}
    for position in set(range(len(SEALED))) - free:
        changed = bytearray(SEALED)
        changed[position] ^= 0x01
        assert isinstance(refusal(bytes(changed)), FormatError)


def test_no_byte_can_be_missing() -> None:
    for size in range(len(SEALED)):
        assert isinstance(refusal(SEALED[:size]), FormatError)
        assert isinstance(refusal(SEALED[len(SEALED) - size :]), FormatError)


@pytest.mark.parametrize("more", [b"\x00", b"\xf6", b"\xff", SEALED], ids=["zero", "null", "break", "itself"])
def test_nothing_can_be_appended_or_put_in_front(more: bytes) -> None:
    assert isinstance(refusal(SEALED + more), FormatError)
    assert isinstance(refusal(more + SEALED), FormatError)


@pytest.mark.parametrize("part", ["IV", "ciphertext", "wrapped key"])
def test_parts_of_two_messages_do_not_mix(part: str) -> None:
    other, mixed = modulate(PLAIN, OLD), bytearray(SEALED)
    mixed[PARTS[part]] = other[PARTS[part]]
    assert isinstance(refusal(bytes(mixed)), AuthenticityError)


def test_error_says_where_the_shape_ends() -> None:
    for position, offset in ((2, 0), (22, 22), (-45, len(SEALED) - 52), (-41, len(SEALED) - 42)):
        changed = bytearray(SEALED)
        changed[position] ^= 0x01
        error = refusal(bytes(changed))
        assert isinstance(error, FormatError)
        assert error.offset == offset


# --- COSE by another hand, of this shape and of others -------------------------------------------------------

IV, CONTENT_KEY = bytes(range(12)), bytes(range(32))
EXTERNAL = b"saifu edition 1\x00\x01"


def parts(plain: bytes = PLAIN, external: bytes = EXTERNAL, protected: bytes = b"\xa1\x01\x03") -> list[Any]:
    """The four parts of a COSE_Encrypt message for the old key, made with the bare ciphers."""
    aad = cbor2.dumps(["Encrypt", protected, external])
    ciphertext = AESGCM(CONTENT_KEY).encrypt(IV, plain, aad)
    return [protected, {5: IV}, ciphertext, [[b"", {1: -5, 4: b"\x00\x01"}, aes_key_wrap(OLD.key, CONTENT_KEY)]]]


def tagged(value: object, tag: int = 96) -> bytes:
    return cbor2.dumps(cbor2.CBORTag(tag, value))


def with_recipient(position: int, value: object) -> bytes:
    changed = parts()
    changed[3][0][position] = value
    return tagged(changed)


def with_part(position: int, value: object) -> bytes:
    changed = parts()
    changed[position] = value
    return tagged(changed)


EDGES = [0, 7, 8, 239, 240, 65519, 65520]
"""Contents on both sides of where the head of their ciphertext grows."""
HEADS = [("58", 1), ("59", 2), ("5a", 4), ("5b", 8)]


@pytest.mark.parametrize("size", EDGES)
def test_message_by_another_hand_opens(size: int) -> None:
    assert demodulate(tagged(parts(bytes(size))), BOTH) == bytes(size)


@pytest.mark.parametrize("size", EDGES)
def test_length_in_more_bytes_than_it_needs_is_refused(size: int) -> None:
    whole, length = tagged(parts(bytes(size))), size + 16
    start, rest = whole[:22], whole[-52 - length :]
    spellings = [bytes.fromhex(head) + length.to_bytes(width) for head, width in HEADS if length < 1 << 8 * width]
    longer = [start + spelling + rest for spelling in spellings if start + spelling + rest != whole]
    assert len(longer) >= 1
    for message in longer:
        assert cbor2.loads(message) == cbor2.loads(whole)
        assert isinstance(refusal(message), FormatError)


@pytest.mark.parametrize("size", EDGES)
def test_length_that_is_not_the_ciphertexts_is_refused(size: int) -> None:
    changed = bytearray(tagged(parts(bytes(size))))
    changed[-52 - (size + 16) - 1] ^= 0x01
    assert isinstance(refusal(bytes(changed)), FormatError)


@pytest.mark.parametrize(
    "external",
    [b"", b"saifu edition 1", b"saifu edition 1\x00\x02", b"saifu edition 2\x00\x01", b"saifu credit 1\x00\x01"],
)
def test_message_for_another_purpose_is_refused(external: bytes) -> None:
    assert isinstance(refusal(tagged(parts(external=external))), AuthenticityError)


def two_recipients() -> bytes:
    changed = parts()
    changed[3] *= 2
    return tagged(changed)


SHAPES: dict[str, Callable[[], bytes]] = {
    "no tag": lambda: cbor2.dumps(parts()),
    "COSE_Encrypt0": lambda: tagged(parts()[:3], 16),
    "COSE_Mac": lambda: tagged(parts(), 97),
    "a tag around the tag": lambda: b"\xd9\xd9\xf7" + tagged(parts()),
    "three parts": lambda: tagged(parts()[:3]),
    "five parts": lambda: tagged([*parts(), b""]),
    "endless array": lambda: b"\xd8\x60\x9f" + tagged(parts())[3:] + b"\xff",
    "A192GCM": lambda: tagged(parts(protected=b"\xa1\x01\x02")),
    "more in the protected header": lambda: tagged(parts(protected=b"\xa2\x01\x03\x03\x00")),
    "nothing in the protected header": lambda: tagged(parts(protected=b"")),
    "more in the unprotected header": lambda: with_part(1, {5: IV, 4: b"\x00\x01"}),
    "nothing in the unprotected header": lambda: with_part(1, {}),
    "IV of 13 bytes": lambda: with_part(1, {5: IV + b"\x00"}),
    "no IV": lambda: with_part(1, {5: b""}),
    "detached content": lambda: with_part(2, None),
    "no ciphertext": lambda: with_part(2, b""),
    "less than a tag": lambda: with_part(2, bytes(15)),
    "text for ciphertext": lambda: with_part(2, "A" * 25),
    "no recipient": lambda: with_part(3, []),
    "two recipients": two_recipients,
    "protected header of the recipient": lambda: with_recipient(0, b"\xa0"),
    "A128KW": lambda: with_recipient(1, {1: -3, 4: b"\x00\x01"}),
    "direct": lambda: with_recipient(1, {1: -6, 4: b"\x00\x01"}),
    "no kid": lambda: with_recipient(1, {1: -5}),
    "kid of 1 byte": lambda: with_recipient(1, {1: -5, 4: b"\x01"}),
    "kid of 3 bytes": lambda: with_recipient(1, {1: -5, 4: b"\x00\x00\x01"}),
    "kid first": lambda: with_recipient(1, {4: b"\x00\x01", 1: -5}),
    "more in the recipient's header": lambda: with_recipient(1, {1: -5, 4: b"\x00\x01", 5: b""}),
    "wrapped key of 24 bytes": lambda: with_recipient(2, aes_key_wrap(OLD.key, CONTENT_KEY[:16])),
    "no wrapped key": lambda: with_recipient(2, b""),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_cose_of_another_shape_is_refused(shape: str) -> None:
    assert isinstance(refusal(SHAPES[shape]()), FormatError)


# --- hostile bytes -----------------------------------------------------------------------------------------

START, END = SEALED[:22], SEALED[-52:]
"""What stands before the head of the ciphertext, and after the ciphertext."""
HOSTILE = {
    "nothing": b"",
    "deep arrays": b"\x81" * MAX_SEALED,
    "deep maps": b"\xa1\x01" * 100_000,
    "deep tags": b"\xd8\x60" * 100_000,
    "deep endless arrays": b"\x9f" * 100_000,
    "deep arrays for ciphertext": START + b"\x81" * 100_000 + END,
    "deep arrays for recipients": START + b"\x50" + bytes(16) + b"\x81" * 100_000,
    "ciphertext of 4 GiB": START + b"\x5a\xff\xff\xff\xff" + bytes(16) + END,
    "ciphertext of 16 EiB": START + b"\x5b" + b"\xff" * 8 + bytes(16) + END,
    "ciphertext without an end": START + b"\x5f" + bytes(16) + b"\xff" + END,
    "array of 16 EiB": b"\xd8\x60\x9b" + b"\xff" * 8 + SEALED,
    "number of 1 MB": b"\xc2\x5a\x00\x10\x00\x00" + b"\xff" * 0x100000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused(name: str) -> None:
    assert isinstance(refusal(HOSTILE[name]), FormatError)


def test_message_of_one_byte_too_many_is_refused_by_its_size() -> None:
    sealed = tagged(parts(bytes(MAX_SEALED + 1 - 95)))
    assert len(sealed) == MAX_SEALED + 1
    assert f"to {MAX_SEALED} bytes, not {MAX_SEALED + 1}" in str(refusal(sealed))
    assert demodulate(tagged(parts(bytes(MAX_SEALED - 95))), BOTH) == bytes(MAX_SEALED - 95)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(raw: bytes) -> None:
    refusal(raw)


@given(st.binary(min_size=16, max_size=300), st.binary(min_size=12, max_size=12), st.binary(min_size=40, max_size=40))
def test_any_message_of_the_right_shape_is_refused_without_the_key(
    ciphertext: bytes, iv: bytes, wrapped: bytes
) -> None:
    recipient = [b"", {1: -5, 4: b"\x00\x01"}, wrapped]
    message = tagged([b"\xa1\x01\x03", {5: iv}, ciphertext, [recipient]])
    assert isinstance(refusal(message), AuthenticityError)


@given(st.data())
def test_any_change_is_refused(data: st.DataObject) -> None:
    whole = modulate(data.draw(st.binary(max_size=300)), OLD)
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    changed = whole[:start] + data.draw(st.binary(max_size=40)) + whole[end:]
    assume(changed != whole)
    refusal(changed)
