"""Demodulator (22) of a terminal, fig. 6: decryption of the key (50), then of the list (49); [0028]-[0029].

A message must be, byte for byte, of the one shape that the modulator makes: every byte is either a constant,
or authenticated. So nothing reaches the COSE library but what it is known to read, and no byte of a message
can be changed unnoticed.
"""

from cwt import COSE

from apdu.errors import AuthenticityError, FormatError
from broadcast.cipher_key import CipherKey, CipherKeys
from broadcast.modulator import MAX_SEALED, cose_key, external_data

__all__ = ["demodulate"]

_BEFORE_IV = bytes.fromhex("D860 84 43A10103 A1054C")
"""Tag 96, array of 4; protected {1: 3}, that is A256GCM; unprotected {5: 12 bytes}."""
_IV_SIZE = 12
_IV_END = len(_BEFORE_IV) + _IV_SIZE
_BEFORE_KID = bytes.fromhex("81 83 40 A2 0124 0442")
"""Array of 1, array of 3; protected empty; unprotected {1: -5, that is A256KW, 4: 2 bytes}."""
_KID_SIZE = 2
_BEFORE_WRAPPED = bytes.fromhex("5828")
"""Byte string of 40."""
_RECIPIENTS_SIZE = len(_BEFORE_KID) + _KID_SIZE + len(_BEFORE_WRAPPED) + 0x28
_HEAD_SIZES = {0x58: 2, 0x59: 3, 0x5A: 5}
"""First byte of a byte string's head to the head's size; any other is a head of one byte, or none."""
_TAG_SIZE = 16
_LEAST = _IV_END + 1 + _TAG_SIZE + _RECIPIENTS_SIZE
"""Bytes of a sealed empty content."""


def demodulate(sealed: bytes, keys: CipherKeys) -> bytes:
    """Open a sealed message with the key (51) of its number, and return the content.

    Raises FormatError for a message of more than 4 MiB or of another shape, AuthenticityError where the
    key is not held, or does not open it.
    """
    number = _key_number(sealed)
    key = keys.of(number)
    if key is None:
        held = ", ".join(str(key.number) for key in keys.keys)
        raise AuthenticityError(f"sealed for key {number}, which this terminal does not hold (it holds {held})")
    return _opened(sealed, key)


def _key_number(sealed: bytes) -> int:
    """Check size and shape, and return the number of the cipher key."""
    if not _LEAST <= len(sealed) <= MAX_SEALED:
        raise FormatError(f"a sealed list has {_LEAST} to {MAX_SEALED} bytes, not {len(sealed)}")
    recipients = len(sealed) - _RECIPIENTS_SIZE
    kid = recipients + len(_BEFORE_KID)
    _expect(sealed, 0, _BEFORE_IV)
    _expect(sealed, recipients, _BEFORE_KID)
    _expect(sealed, kid + _KID_SIZE, _BEFORE_WRAPPED)
    head = _head(recipients - _IV_END - _HEAD_SIZES.get(sealed[_IV_END], 1))
    if not sealed.startswith(head, _IV_END):
        raise FormatError("the ciphertext of a sealed list is not as long as it says", _IV_END)
    return int.from_bytes(sealed[kid : kid + _KID_SIZE])


def _expect(sealed: bytes, offset: int, constant: bytes) -> None:
    if not sealed.startswith(constant, offset):
        raise FormatError("this is not a sealed list as the center makes it", offset)


def _head(length: int) -> bytes:
    """The shortest head of a CBOR byte string (RFC 8949 clauses 3.1 and 4.2.1)."""
    if length < 24:
        return bytes([0x40 | length])
    size = 1 if length < 1 << 8 else 2 if length < 1 << 16 else 4
    return bytes([0x57 + size.bit_length()]) + length.to_bytes(size)


def _opened(sealed: bytes, key: CipherKey) -> bytes:
    """Unwrap the ID encryption key (50) and decrypt (49)."""
    try:
        return COSE().decode(sealed, cose_key(key), external_aad=external_data(key.number))
    except Exception:  # the library does not say what it may raise; whatever it is, nothing was opened
        text = "it was changed on the way, or sealed with another group's key"
        raise AuthenticityError(f"sealed for key {key.number}, but that key does not open it: {text}") from None
