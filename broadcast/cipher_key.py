"""The cipher keys of a group of terminals: store 46 at the center, store 51 in every terminal (fig. 6, [0027]-[0028]).

The center alone makes them. Two may be in use side by side while a group goes over to a new one. All
terminals of a group hold the same keys, so they keep lists from strangers, and lists by strangers out;
who wrote a list is what the signature inside says.
"""

import json
import re
import secrets
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from apdu.errors import FormatError, InputError

__all__ = ["CIPHER_KEYS_FORMAT", "CIPHER_KEY_SIZE", "MAX_CIPHER_KEYS", "CipherKey", "CipherKeys", "require_group"]

CIPHER_KEYS_FORMAT = "saifu cipher keys 1"
CIPHER_KEY_SIZE = 32
"""Bytes of a cipher key: AES-256."""
MAX_CIPHER_KEYS = 8
"""The most keys that a group has at a time."""

_PACKET_KEY_INFO = b"saifu packet tag"
_GROUP = re.compile(r"(?!(full|delta|index)$)[A-Za-z0-9_-]{1,32}")
"""On a line ``full``, ``delta`` and ``index`` are the names of what a channel holds."""


@dataclass(frozen=True, slots=True, repr=False)
class CipherKey:
    """One cipher key (46/51) and its number (1-65535); raises FormatError unless the key has 32 bytes.

    ``packet_key`` (32 bytes) is the key of the packets' tags, derived with HKDF-SHA256 (RFC 5869): the
    cipher key itself does nothing but wrap content keys.
    """

    number: int
    key: bytes
    packet_key: bytes = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Check number and size, and derive the packet key once."""
        if not 1 <= self.number <= 0xFFFF:
            raise FormatError("the number of a cipher key is 1 to 65535")
        if len(self.key) != CIPHER_KEY_SIZE:
            raise FormatError(f"cipher key {self.number} has {len(self.key)} bytes, not {CIPHER_KEY_SIZE}")
        derivation = HKDF(SHA256(), CIPHER_KEY_SIZE, salt=None, info=_PACKET_KEY_INFO)
        object.__setattr__(self, "packet_key", derivation.derive(self.key))

    @classmethod
    def generate(cls, number: int) -> Self:
        """Make a new key from the system's randomness."""
        return cls(number, secrets.token_bytes(CIPHER_KEY_SIZE))

    def __repr__(self) -> str:
        """Tell the number and hide the key."""
        return f"CipherKey({self.number}, hidden)"


@dataclass(frozen=True, slots=True, repr=False)
class CipherKeys:
    """What a terminal holds in store 51: the keys of its issuer's group, in ascending order of their numbers.

    ``issuer`` is 0-65535; ``group`` has 1 to 32 letters, digits, ``-`` and ``_``, because bearers make a
    topic or a path of it; there are 1 to 8 keys. Raises FormatError for anything else.
    """

    issuer: int
    group: str
    keys: tuple[CipherKey, ...]

    def __post_init__(self) -> None:
        """Check issuer, group, and the order and number of the keys."""
        if not 0 <= self.issuer <= 0xFFFF:
            raise FormatError("the number of an issuer is 0 to 65535")
        require_group(self.group)
        if not 1 <= len(self.keys) <= MAX_CIPHER_KEYS:
            raise FormatError(f"a group has 1 to {MAX_CIPHER_KEYS} cipher keys, not {len(self.keys)}")
        if any(one.number >= other.number for one, other in pairwise(self.keys)):
            raise FormatError("the cipher keys are not in ascending order of their numbers")

    @property
    def newest(self) -> CipherKey:
        """The key with the highest number: the one to seal with."""
        return self.keys[-1]

    def of(self, number: int) -> CipherKey | None:
        """The key of a number; None where it is not here."""
        return next((key for key in self.keys if key.number == number), None)

    def encode(self) -> str:
        """Return the text of the file (JSON) that brings the keys to a terminal: a secret, all of it."""
        keys = [{"number": key.number, "key": key.key.hex()} for key in self.keys]
        content = {"format": CIPHER_KEYS_FORMAT, "issuer": self.issuer, "group": self.group, "keys": keys}
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def decode(cls, text: str) -> Self:
        """Parse such a text; raises InputError, which never tells anything of a key."""
        try:
            content = json.loads(text)
            if content["format"] != CIPHER_KEYS_FORMAT:
                raise ValueError("another format")
            keys = (CipherKey(_number(key["number"]), bytes.fromhex(key["key"])) for key in content["keys"])
            return cls(_number(content["issuer"]), content["group"], tuple(keys))
        except FormatError as error:
            raise InputError(f"this is not a file of cipher keys for this version of saifu: {error}") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError("this is not a file of cipher keys (the center writes one for each group)") from None

    def __repr__(self) -> str:
        """Tell issuer, group and numbers, and hide the keys."""
        return f"CipherKeys({self.issuer}, {self.group!r}, {self.keys})"


def require_group(group: str) -> None:
    """Raise FormatError unless this can be the name of a terminal group."""
    if not _GROUP.fullmatch(group):
        raise FormatError("the name of a group has 1 to 32 letters, digits, - and _, and is not full, delta or index")


def _number(value: object) -> int:
    """A whole number of a JSON text; true and 1.0 are none."""
    if type(value) is not int:
        raise ValueError("not a whole number")
    return value
