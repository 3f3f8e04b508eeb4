"""The modulator makes COSE_Encrypt as RFC 9052 has it: read here by hand, with a CBOR reader and the bare ciphers."""

from base64 import urlsafe_b64decode

import cbor2
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from apdu.errors import FormatError
from broadcast.cipher_key import CipherKey, CipherKeys
from broadcast.demodulator import demodulate
from broadcast.modulator import MAX_PLAIN, MAX_SEALED, OVERHEAD, external_data, modulate

KEY = CipherKey(0x0102, bytes(range(0xA0, 0xC0)))
HELD = CipherKeys(1, "shops", (KEY,))
SIZES = [0, 1, 7, 8, 239, 240, 255, 256, 65519, 65520, 65535, 65536, 1_000_000]

PUBLISHED_KEY = urlsafe_b64decode("hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg=")
PUBLISHED = bytes.fromhex(
    "D8608443A10102A1054CDDDC08972DF9BE62855291A1582456469FC7CA43E0F7F1970156D7D3C5EDAE33915C6DDFC0D2AC38AC13C3D00818"
    "E806D9C9818340A2012404582430313863306165352D346439622D343731622D626664362D6565663331346263373033375820E23608D3E4"
    "44847B45BD6FEBFF3CC83C5C0769E65D441CCEF0B70C09121A79F6"
)
"""COSE_Encrypt with A192GCM and A256KW: cose-wg/Examples, aes-wrap-examples/aes-wrap-256-05.json."""


def opened_by_hand(message: bytes, cipher_key: bytes, external: bytes) -> bytes:
    """Decrypt a COSE_Encrypt message with one A256KW recipient: RFC 9052 clause 5.3, RFC 9053 clause 6.2.1."""
    protected, unprotected, ciphertext, [[_, _, wrapped]] = cbor2.loads(message).value
    aad = cbor2.dumps(["Encrypt", protected, external])
    return AESGCM(aes_key_unwrap(cipher_key, wrapped)).decrypt(unprotected[5], ciphertext, aad)


def content(size: int) -> bytes:
    return bytes(i * i % 251 for i in range(size % 4096)) + bytes(size - size % 4096)


def test_published_example_opens_by_hand() -> None:
    assert opened_by_hand(PUBLISHED, PUBLISHED_KEY, b"") == bytes.fromhex("546869732069732074686520636F6E74656E742E")


@pytest.mark.parametrize("size", SIZES)
def test_what_is_modulated_opens_by_hand(size: int) -> None:
    plain = content(size)
    assert opened_by_hand(modulate(plain, KEY), KEY.key, external_data(KEY.number)) == plain


@pytest.mark.parametrize("size", SIZES)
def test_what_is_modulated_is_demodulated(size: int) -> None:
    plain = content(size)
    assert demodulate(modulate(plain, KEY), HELD) == plain


def test_message_says_its_algorithms_and_the_number_of_its_key() -> None:
    message = cbor2.loads(modulate(b"list", KEY))
    protected, unprotected, ciphertext, [[inner, header, wrapped]] = message.value
    assert message.tag == 96
    assert cbor2.loads(protected) == {1: 3}
    assert (list(unprotected), len(unprotected[5])) == ([5], 12)
    assert (inner, header) == (b"", {1: -5, 4: b"\x01\x02"})
    assert (len(ciphertext), len(wrapped)) == (4 + 16, 32 + 8)


def test_external_data_name_the_purpose_and_the_key() -> None:
    assert external_data(0x0102) == b"saifu edition 1\x01\x02"


@pytest.mark.parametrize("external", [b"", b"saifu edition 1", external_data(0x0103), external_data(0x0102) + b"\x00"])
def test_message_does_not_open_for_another_purpose(external: bytes) -> None:
    with pytest.raises(InvalidTag):
        opened_by_hand(modulate(b"list", KEY), KEY.key, external)


def test_message_does_not_open_with_the_packet_key() -> None:
    with pytest.raises(InvalidUnwrap):
        opened_by_hand(modulate(b"list", KEY), KEY.packet_key, external_data(KEY.number))


@pytest.mark.parametrize(
    ("size", "overhead"),
    [
        (0, 91),
        (7, 91),
        (8, 92),
        (239, 92),
        (240, OVERHEAD),
        (1024, OVERHEAD),
        (65519, OVERHEAD),
        (65520, 95),
        (1_000_000, 95),
    ],
)
def test_sealing_adds_few_bytes(size: int, overhead: int) -> None:
    assert len(modulate(bytes(size), KEY)) == size + overhead


def test_same_content_never_looks_the_same_twice() -> None:
    plain, count = bytes(64), 20
    messages = [cbor2.loads(modulate(plain, KEY)).value for _ in range(count)]
    ivs = {unprotected[5] for _, unprotected, _, _ in messages}
    ciphertexts = [ciphertext for _, _, ciphertext, _ in messages]
    blocks = {text[i : i + 16] for text in ciphertexts for i in range(0, 80, 16)}
    wrapped = [recipients[0][2] for *_, recipients in messages]
    content_keys = {aes_key_unwrap(KEY.key, key) for key in wrapped}
    assert (len(ivs), len(set(wrapped)), len(content_keys), len(blocks)) == (count, count, count, 5 * count)


def test_content_key_is_not_in_the_message() -> None:
    message = modulate(b"list", KEY)
    content_key = aes_key_unwrap(KEY.key, message[-40:])
    assert len(content_key) == 32
    assert not any(secret[:8] in message for secret in (content_key, KEY.key, KEY.packet_key))


def test_longest_content_fits_exactly_and_one_byte_more_is_refused() -> None:
    sealed = modulate(bytes(MAX_PLAIN), KEY)
    assert len(sealed) == MAX_SEALED
    assert demodulate(sealed, HELD) == bytes(MAX_PLAIN)
    with pytest.raises(FormatError, match=f"{MAX_PLAIN} is the most"):
        modulate(bytes(MAX_PLAIN + 1), KEY)
