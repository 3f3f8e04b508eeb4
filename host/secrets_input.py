"""Where secrets come from: a file, an environment variable or a hidden prompt, never the command line."""

import os
import sys
import warnings
from collections.abc import Collection
from getpass import GetPassWarning, getpass
from pathlib import Path

from apdu.errors import InputError
from apdu.text import visible
from host.files import read_private

__all__ = ["PASSPHRASE_VARIABLE", "read_digits", "read_secret"]

PASSPHRASE_VARIABLE = "SAIFU_PASSPHRASE"  # noqa: S105  (a name, not a secret)
"""The environment variable for passphrases of key files."""

_READABLE_BY_OTHERS = 0o044


def read_secret(prompt: str, env: str | None, file: Path | None, confirm: bool = False) -> bytes:
    """Return a secret: from ``file`` if one is given, else from variable ``env`` if set, else by prompt.

    A prompt shows nothing of what is typed, and with ``confirm`` asks twice. One line end at the end of the
    file is left out. Raises InputError when there is nothing, or nobody to ask.
    """
    if file is not None:
        secret, source = _from_file(file), str(file)
    elif env is not None and env in os.environ:
        secret, source = os.fsencode(os.environ[env]), f"the environment variable {env}"
    else:
        secret, source = _from_prompt(prompt, env, confirm), "what was typed"
    if not secret:
        raise InputError(f"{prompt}: {source} is empty")
    return secret


def read_digits(
    prompt: str, env: str | None, file: Path | None, lengths: Collection[int], confirm: bool = False
) -> str:
    """Return a PIN or resetting code, read like a secret; raises InputError when it is not so many digits."""
    secret = read_secret(prompt, env, file, confirm)
    if not secret.isdigit() or len(secret) not in lengths:
        raise InputError(f"{prompt}: it has to be {min(lengths)} to {max(lengths)} digits")
    return secret.decode("ascii")


def _from_file(path: Path) -> bytes:
    try:
        if os.name == "posix" and (mode := path.stat().st_mode) & _READABLE_BY_OTHERS and path.is_file():
            print(
                visible(f"warning: others can read {path} (mode {mode & 0o777:o}); do: chmod 600 {path}"),
                file=sys.stderr,
            )
        return read_private(path).removesuffix(b"\n").removesuffix(b"\r")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _from_prompt(prompt: str, env: str | None, confirm: bool) -> bytes:
    secret = _ask(prompt, env)
    if confirm and _ask(f"{prompt}, again", env) != secret:
        raise InputError(f"{prompt}: the two entries are not the same; nothing was done")
    return secret.encode("utf-8", "surrogateescape")


def _ask(prompt: str, env: str | None) -> str:
    """Ask on the terminal; where it would show what is typed, or is not there, do not ask at all."""
    remedy = f"set {env} or give a file" if env else "give a file"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)
            return getpass(f"{prompt}: ")
    except (GetPassWarning, EOFError, OSError):
        raise InputError(f"{prompt}: there is no terminal to ask on; {remedy}") from None
