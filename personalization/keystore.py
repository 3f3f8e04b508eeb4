"""The result of a key ceremony: named master keys in one file, encrypted under a passphrase.

The file is JSON: a header in clear, with the parameters of Scrypt and AES-256-GCM (RFC 7914, NIST SP
800-38D), and the encrypted keys. The header is authenticated with them. Keys are in no repr and no error.
"""

import json
import re
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from apdu.cipher import key_check_value
from apdu.errors import InputError, StoreError
from host.files import write_whole
from host.scp03 import KEY_SIZES
from personalization.diversification import SCHEMES

__all__ = ["SCRYPT_COST", "Keystore", "MasterKey", "ceremony", "check_value", "random_key"]

SCRYPT_COST = 2**17
"""Scrypt's N: 128 MiB and about half a second to open a file."""

_FORMAT = "saifu keystore 1"
_COSTS = [2**power for power in range(14, 21)]
_SALT_SIZE, _NONCE_SIZE, _FILE_KEY_SIZE = 16, 12, 32
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
        if self.version not in _VERSIONS:
            raise InputError(f"key {self.name}: a key version is 1 to 127, not {self.version}")
        if self.scheme not in SCHEMES:
            raise InputError(f"key {self.name}: the scheme is {' or '.join(SCHEMES)}, not {self.scheme!r}")
        _sized(self.key)

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
        key = cls(record["name"], record["version"], record["scheme"], _bytes(record["key"]))
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
        """Write the file, readable by its owner alone: after a crash there is the old file or the new one.

        ``cost`` is Scrypt's N. Raises StoreError when the file cannot be written.
        """
        header = _Header(cost, secrets.token_bytes(_SALT_SIZE), secrets.token_bytes(_NONCE_SIZE))
        plain = json.dumps([key.record() for key in self.keys]).encode()
        secret = header.cipher(passphrase).encrypt(header.nonce, plain, header.authenticated())
        document = {**header.fields(), "keys": b64encode(secret).decode()}
        write_whole(path, json.dumps(document, indent=1).encode() + b"\n", 0o600)

    @classmethod
    def read(cls, path: Path, passphrase: bytes) -> Self:
        """Open a file; raises InputError for a wrong passphrase, StoreError when the file is none of ours."""
        header, secret = _parts(path)
        try:
            plain = header.cipher(passphrase).decrypt(header.nonce, secret, header.authenticated())
        except InvalidTag:
            raise InputError(f"the passphrase does not open {path}, or the file was changed") from None
        try:
            return cls(tuple(map(MasterKey.of_record, json.loads(plain))))
        except (ValueError, KeyError, TypeError, InputError):
            raise _damaged(path) from None


@dataclass(frozen=True, slots=True)
class _Header:
    """The part in clear: Scrypt's N and salt, and the nonce of AES-GCM."""

    cost: int
    salt: bytes
    nonce: bytes

    def fields(self) -> dict[str, str | int]:
        """The header as it stands in the file."""
        salt, nonce = (b64encode(value).decode() for value in (self.salt, self.nonce))
        return {"format": _FORMAT, "cost": self.cost, "salt": salt, "nonce": nonce}

    def authenticated(self) -> bytes:
        """The header as AES-GCM authenticates it."""
        return json.dumps(self.fields(), sort_keys=True, separators=(",", ":")).encode()

    def cipher(self, passphrase: bytes) -> AESGCM:
        """The cipher that a passphrase gives."""
        scrypt = Scrypt(salt=self.salt, length=_FILE_KEY_SIZE, n=self.cost, r=8, p=1)
        return AESGCM(scrypt.derive(passphrase))


def _parts(path: Path) -> tuple[_Header, bytes]:
    """Read the header and what is encrypted; the cost is held in bounds, because nothing is verified yet."""
    try:
        document = json.loads(path.read_bytes())
        header = _Header(document["cost"], _bytes(document["salt"]), _bytes(document["nonce"]))
        secret = _bytes(document["keys"])
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _damaged(path) from None
    sizes = (len(header.salt), len(header.nonce))
    known = document == {**header.fields(), "keys": document["keys"]}
    if not known or type(header.cost) is not int or header.cost not in _COSTS or sizes != (_SALT_SIZE, _NONCE_SIZE):
        raise _damaged(path)
    return header, secret


def _damaged(path: Path) -> StoreError:
    return StoreError(f"{path} is no key file of saifu, or is damaged: take the copy that you keep")


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)


def _sized(key: bytes) -> bytes:
    if len(key) not in KEY_SIZES:
        raise InputError(f"a key has 16, 24 or 32 bytes, not {len(key)}")
    return key
