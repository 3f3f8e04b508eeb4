"""Keys of one card out of a master key, by the card's diversification data (10 bytes in SCP03).

Two schemes, by name:

``an10922``
    NXP AN10922: AES-CMAC over a constant and the diversification input, which is here: diversification
    data, ``saifu`` in ASCII, and a byte for the key's use. Derived keys have the master key's size.
``sp800-108``
    NIST SP 800-108 in counter mode with AES-CMAC: a counter of 4 bytes first, the key's use as label
    (``ENC``, ``MAC``, ``DEK``), the diversification data as context, 4 bytes of length. Derived keys have
    the master key's size or less.
"""

from enum import IntEnum

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFCMAC, CounterLocation, Mode

from apdu.cipher import cmac
from apdu.errors import InputError
from host.scp03 import KEY_SIZES, StaticKeys

__all__ = ["SCHEMES", "KeyUse", "an10922", "diversify", "resetting_code", "static_keys"]

SCHEMES = ("an10922", "sp800-108")
"""Names of the schemes."""

_SYSTEM_IDENTIFIER = b"saifu"
_RESETTING_CODE = b"PUK"
_COUNTER_SIZE = _LENGTH_SIZE = 4
_AN10922_INPUT = range(16, 32)


class KeyUse(IntEnum):
    """What a derived key is for; the number goes into AN10922, the name into SP 800-108."""

    ENC = 1
    MAC = 2
    DEK = 3


def diversify(master: bytes, scheme: str, data: bytes, use: KeyUse, size: int | None = None) -> bytes:
    """Derive one key of ``size`` bytes, or of the master key's size.

    Raises InputError for an unknown scheme, a size that the scheme has not, or data that do not fit.
    """
    size = len(master) if size is None else size
    if len(master) not in KEY_SIZES or size not in KEY_SIZES:
        raise InputError(f"keys have 16, 24 or 32 bytes, not {len(master)} and {size}")
    match scheme:
        case "an10922" if size == len(master):
            return an10922(master, data + _SYSTEM_IDENTIFIER + bytes((use,)))
        case "sp800-108" if size <= len(master):
            return _sp800_108(master, use.name.encode(), data, size)
        case "an10922" | "sp800-108":
            raise InputError(f"{scheme} makes no key of {size} bytes from a master key of {len(master)}")
    raise InputError(f"there is no diversification scheme {scheme!r}; there are {' and '.join(SCHEMES)}")


def static_keys(master: bytes, scheme: str, diversification_data: bytes, size: int) -> StaticKeys:
    """Derive a card's ENC, MAC and DEK, each of ``size`` bytes; raises InputError as diversify does."""
    enc, mac, dek = (diversify(master, scheme, diversification_data, use, size) for use in KeyUse)
    return StaticKeys(enc, mac, dek)


def resetting_code(master: bytes, data: bytes) -> str:
    """Derive a card's resetting code, 8 decimal digits.

    SP 800-108 with label ``PUK`` gives 16 bytes, a number below 2^128; the code is its rest by 10^8. No
    code is likelier than another by more than 1 in 3 x 10^30.
    """
    if len(master) not in KEY_SIZES:
        raise InputError(f"a master key has 16, 24 or 32 bytes, not {len(master)}")
    return f"{int.from_bytes(_sp800_108(master, _RESETTING_CODE, data, 16)) % 10**8:08d}"


def an10922(master: bytes, diversification_input: bytes) -> bytes:
    """Derive a key of the master key's size from 16 to 31 bytes of input (AN10922 revision 2.2).

    Raises InputError for any other length. AN10922 fills shorter input up to two blocks where CMAC fills one;
    with 16 bytes and more both do the same.
    """
    if len(diversification_input) not in _AN10922_INPUT:
        raise InputError(f"AN10922 input has 16 to 31 bytes here, not {len(diversification_input)}")

    def part(constant: int) -> bytes:
        """One half of the derivation, under its constant."""
        return cmac(master, bytes((constant,)) + diversification_input)

    match len(master):
        case 16:
            return part(0x01)
        case 24:
            return _overlap(part(0x11), part(0x12))
        case 32:
            return part(0x41) + part(0x42)
    raise InputError(f"AN10922 has master keys of 16, 24 or 32 bytes, not {len(master)}")


def _overlap(first: bytes, second: bytes) -> bytes:
    """24 bytes of two blocks: the inner halves are joined by XOR (AN10922, AES-192)."""
    middle = bytes(a ^ b for a, b in zip(first[8:], second[:8], strict=True))
    return first[:8] + middle + second[8:]


def _sp800_108(master: bytes, label: bytes, context: bytes, size: int) -> bytes:
    """Counter mode, all fields as the module says (NIST SP 800-108 revision 1, 4.1)."""
    return KBKDFCMAC(
        AES,
        mode=Mode.CounterMode,
        length=size,
        rlen=_COUNTER_SIZE,
        llen=_LENGTH_SIZE,
        location=CounterLocation.BeforeFixed,
        label=label,
        context=context,
        fixed=None,
    ).derive(master)
