"""The static keys with which secure channels in a trace are opened: the desk's key store, or one card's small file.

The file is TOML, readable by its owner alone::

    enc = "404142434445464748494A4B4C4D4E4F"
    mac = "404142434445464748494A4B4C4D4E4F"
    dek = "404142434445464748494A4B4C4D4E4F"
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated

import typer

from apdu.errors import FormatError, InputError
from host.console import desk
from host.files import open_private
from host.scp03 import StaticKeys
from host.secure_connection import KeysFor

__all__ = ["KEYSTORE", "KeysOption", "find_keys", "read_channel_keys"]

KEYSTORE = "keystore"
"""What stands for the desk's key store; behind a colon, the name of a master key in it."""

KeysOption = Annotated[
    str | None,
    typer.Option(
        "--keys",
        help="Opens secure channels: keystore or keystore:NAME, with a master key of saifu personalize; or a file with "
        "enc, mac and dek of the card, as hex.",
    ),
]
_NAMES = ("enc", "mac", "dek")
_OF_OTHERS = 0o077
_LONGEST = 4096


def find_keys(context: typer.Context, text: str | None) -> KeysFor | None:
    """Keys by what a user types: ``keystore``, ``keystore:NAME``, or a file for read_channel_keys; None: none.

    Asks for the passphrase of the desk's key store. Raises InputError, as read_channel_keys and Desk.card_keys do.
    """
    if text is None:
        return None
    kind, _, name = text.partition(":")
    if kind == KEYSTORE:
        return desk(context).card_keys(name)
    static = read_channel_keys(Path(text))
    return lambda _: static


def read_channel_keys(path: Path) -> StaticKeys:
    """Keys for S-ENC, S-MAC and the DEK, as hexadecimal digits in a file.

    Raises InputError for a file that cannot be read, that others may read or write (on POSIX), or that is not of
    this format; no error quotes from it.
    """
    try:
        with open_private(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and mode & _OF_OTHERS:
                raise InputError(
                    f"{path} holds keys, and others can reach it (mode {mode & 0o777:o}): chmod 600 {path}"
                )
            raw = file.read(_LONGEST + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    keys = _keys(raw)
    if keys is None:
        raise InputError(f'{path} is no file of keys: it has three lines, enc = "HEX", mac = "HEX" and dek = "HEX"')
    return keys


def _keys(raw: bytes) -> StaticKeys | None:
    """The keys; None where anything is not as it must be."""
    try:
        fields = tomllib.loads(raw.decode())
        if len(raw) > _LONGEST or set(fields) != set(_NAMES):
            return None
        return StaticKeys(*(bytes.fromhex(fields[name]) for name in _NAMES))
    except (ValueError, TypeError, RecursionError, FormatError):
        return None
