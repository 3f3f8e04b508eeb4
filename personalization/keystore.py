"""The result of a key ceremony: named master keys in one file, sealed under a passphrase.

Keys are in no repr and no error.
"""

import json
import re
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any, Self

from apdu.cipher import key_check_value
from apdu.errors import InputError
from host.files import locked, make_folder
from host.issuer_session import TRANSPORT_VERSION
from host.scp03 import KEY_SIZES
from host.sealed_file import SCRYPT_COST, damaged, read_sealed, write_sealed
from personalization.diversification import SCHEMES

__all__ = ["Keystore", "MasterKey", "ceremony", "check_value", "random_key"]

_FORMAT = "saifu keystore 1"
_COMPONENTS = range(2, 9)
_VERSIONS = range(1, 128)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


def check_value(key: bytes) -> str:
    """The key check value as people compare it: 6 hex digits; it tells nothing else of the key."""
    return key_check_value(_sized(key)).hex().upper()


def random_key(size: int) -> bytes:
    """Make a master key or a component of 16, 24 or 32 random bytes."""
    return _sized(secrets.token_bytes(size))


def ceremony(components: list[bytes]) -> bytes:
    """Join 2 to 8 components by XOR: whoever has all but one of them knows nothing of the master key.

    Each holder compares check_value of the own component. Raises InputError when sizes differ, a component
    is there twice, or one, or the result, is all zeros.
    """
    if len(components) not in _COMPONENTS:
        raise InputError(f"a ceremony takes 2 to 8 components, not {len(components)}")
    if len({len(component) for component in components}) != 1:
        raise InputError("the components are not of one size")
    if len(set(components)) != len(components):
        raise InputError("two components are the same: one was typed twice")
    master = reduce(lambda a, b: bytes(x ^ y for x, y in zip(a, b, strict=True)), components)
    if not all(map(any, (*components, master))):
        raise InputError("a component, or the key that they make, is all zeros")
    return _sized(master)


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A master key: its name, key version 1 to 127, diversification scheme, and 16, 24 or 32 bytes.

    Version 255 is that of a card maker's: cards come with keys that are derived from it.

    Raises InputError when one of them is not so.
    """

    name: str
    version: int
    scheme: str
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Check what was given."""
        if not _NAME.fullmatch(self.name):
            raise InputError(f"{self.name!r} is no name of a key: up to 32 letters, digits, dots, - and _")
        if self.version not in _VERSIONS and not self.is_makers:
            makers = f"or {TRANSPORT_VERSION} for a card maker's"
            raise InputError(f"key {self.name}: a key version is 1 to 127, {makers}, not {self.version}")
        if self.scheme not in SCHEMES:
            raise InputError(f"key {self.name}: the scheme is {' or '.join(SCHEMES)}, not {self.scheme!r}")
        _sized(self.key)

    @property
    def is_makers(self) -> bool:
        """Whether cards come with keys of this one, to be replaced: it is no key for cards of one's own."""
        return self.version == TRANSPORT_VERSION

    @property
    def size(self) -> int:
        """Size of the key in bytes."""
        return len(self.key)

    @property
    def kcv(self) -> str:
        """The key check value, 6 hex digits."""
        return check_value(self.key)

    def record(self) -> dict[str, str | int]:
        """The key as it stands in the encrypted part of the file."""
        text = b64encode(self.key).decode()
        return {
            "name": self.name,
            "version": self.version,
            "scheme": self.scheme,
            "kcv": self.kcv,
            "key": text,
        }

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Self:
        """Undo record; raises ValueError, KeyError, TypeError or InputError when something is wrong in it."""
        key = cls(record["name"], record["version"], record["scheme"], b64decode(record["key"], validate=True))
        if key.kcv != record["kcv"]:
            raise ValueError("a key has not its check value")
        return key


@dataclass(frozen=True, slots=True)
class Keystore:
    """Master keys by name; raises InputError when two have one name."""

    keys: tuple[MasterKey, ...] = ()

    def __post_init__(self) -> None:
        """Check the names."""
        names = [key.name for key in self.keys]
        if twice := {name for name in names if names.count(name) > 1}:
            raise InputError(f"there is a key {', '.join(sorted(twice))} already; give the new one another name")

    def key(self, name: str) -> MasterKey:
        """The key of that name; raises InputError."""
        for key in self.keys:
            if key.name == name:
                return key
        names = ", ".join(key.name for key in self.keys) or "none"
        raise InputError(f"there is no key {name!r}; there are: {names}")

    def with_key(self, key: MasterKey) -> Self:
        """The same keys and one more; raises InputError when the name is taken."""
        return replace(self, keys=(*self.keys, key))

    def write(self, path: Path, passphrase: bytes, cost: int = SCRYPT_COST) -> None:
        """Write the file; ``cost`` is Scrypt's N. Raises StoreError when it cannot be written."""
        plain = json.dumps([key.record() for key in self.keys]).encode()
        write_sealed(path, _FORMAT, plain, passphrase, cost)

    @classmethod
    def add(cls, path: Path, key: MasterKey, passphrase: bytes) -> None:
        """Put a key into the file, a new one if there is none: another ceremony at the same time loses no key.

        Raises InputError when the name is taken or the passphrase does not open the file, StoreError.
        """
        make_folder(path.parent)
        with locked(path):
            store = cls.read(path, passphrase) if path.exists() else cls()
            store.with_key(key).write(path, passphrase)

    @classmethod
    def read(cls, path: Path, passphrase: bytes) -> Self:
        """Open a file; raises InputError for a wrong passphrase, StoreError when the file is none of ours."""
        plain = read_sealed(path, _FORMAT, passphrase)
        try:
            return cls(tuple(map(MasterKey.of_record, json.loads(plain))))
        except (ValueError, KeyError, TypeError, InputError):
            raise damaged(path) from None


def _sized(key: bytes) -> bytes:
    if len(key) not in KEY_SIZES:
        raise InputError(f"a key has 16, 24 or 32 bytes, not {len(key)}")
    return key
