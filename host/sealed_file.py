"""Secrets in a file, encrypted under a passphrase: the key store and the center's keys.

The file is JSON: a header in clear, with the parameters of Scrypt and AES-256-GCM (RFC 7914, NIST SP
800-38D), and the encrypted content. The header is authenticated with it.
"""

import json
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from apdu.errors import InputError, StoreError
from host.files import PRIVATE, read_private, write_whole

__all__ = ["PASSPHRASE_SIZE", "SCRYPT_COST", "damaged", "read_sealed", "write_sealed"]

PASSPHRASE_SIZE = 12
"""Characters that a passphrase has at least when it comes to a new file.

At Scrypt's cost, whoever has the file tries some thousand passphrases a second with a rack of machines: twelve letters
drawn at random (56 bits) hold for hundred thousands of years, eight (38 bits) for one.
"""
SCRYPT_COST = 2**17
"""Scrypt's N: 128 MiB and about half a second to open a file."""

_COSTS = [2**power for power in range(14, 21)]
_SALT_SIZE, _NONCE_SIZE, _FILE_KEY_SIZE = 16, 12, 32


@dataclass(frozen=True, slots=True)
class _Header:
    """The part in clear: what the file is, Scrypt's N and salt, and the nonce of AES-GCM."""

    kind: str
    cost: int
    salt: bytes
    nonce: bytes

    def fields(self) -> dict[str, str | int]:
        """The header as it stands in the file."""
        salt, nonce = (b64encode(value).decode() for value in (self.salt, self.nonce))
        return {"format": self.kind, "cost": self.cost, "salt": salt, "nonce": nonce}

    def authenticated(self) -> bytes:
        """The header as AES-GCM authenticates it."""
        return json.dumps(self.fields(), sort_keys=True, separators=(",", ":")).encode()

    def cipher(self, passphrase: bytes) -> AESGCM:
        """The cipher that a passphrase gives."""
        scrypt = Scrypt(salt=self.salt, length=_FILE_KEY_SIZE, n=self.cost, r=8, p=1)
        return AESGCM(scrypt.derive(passphrase))


def write_sealed(path: Path, kind: str, plain: bytes, passphrase: bytes, cost: int = SCRYPT_COST) -> None:
    """Write the file, readable by its owner alone: after a crash there is the old file or the new one.

    ``kind`` names what is in it; ``cost`` is Scrypt's N. Raises StoreError when it cannot be written, InputError for
    a passphrase that is too short for a new file; a file that has such a one keeps it. Who has read the file before
    holds its lock.
    """
    if _length(passphrase) < PASSPHRASE_SIZE and not path.exists():
        raise InputError(f"a new passphrase has at least {PASSPHRASE_SIZE} characters: take some words at random")
    header = _Header(kind, cost, secrets.token_bytes(_SALT_SIZE), secrets.token_bytes(_NONCE_SIZE))
    secret = header.cipher(passphrase).encrypt(header.nonce, plain, header.authenticated())
    document = {**header.fields(), "keys": b64encode(secret).decode()}
    write_whole(path, json.dumps(document, indent=1).encode() + b"\n", PRIVATE)


def read_sealed(path: Path, kind: str, passphrase: bytes) -> bytes:
    """Open a file; raises InputError for a wrong passphrase, StoreError when it is none of this kind."""
    header, secret = _parts(path, kind)
    try:
        return header.cipher(passphrase).decrypt(header.nonce, secret, header.authenticated())
    except InvalidTag:
        raise InputError(f"the passphrase does not open {path}, or the file was changed") from None


def damaged(path: Path) -> StoreError:
    """What to say of a file that is not as saifu writes it."""
    return StoreError(f"{path} is no key file of saifu, or is damaged: take the copy that you keep")


def _parts(path: Path, kind: str) -> tuple[_Header, bytes]:
    """Read the header and what is encrypted; the cost is held in bounds, because nothing is verified yet."""
    try:
        document = json.loads(read_private(path))
        header = _Header(kind, document["cost"], _bytes(document["salt"]), _bytes(document["nonce"]))
        secret = _bytes(document["keys"])
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError):
        raise damaged(path) from None
    sizes = (len(header.salt), len(header.nonce))
    known = document == {**header.fields(), "keys": document["keys"]}
    if not known or type(header.cost) is not int or header.cost not in _COSTS or sizes != (_SALT_SIZE, _NONCE_SIZE):
        raise damaged(path)
    return header, secret


def _length(passphrase: bytes) -> int:
    """How many characters it has, or bytes where they are no text."""
    try:
        return len(passphrase.decode())
    except UnicodeDecodeError:
        return len(passphrase)


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)
