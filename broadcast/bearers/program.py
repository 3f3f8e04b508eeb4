"""Programs of others that bearers run: where they are found, and the errors when they are missing or fail."""

import shutil

from apdu.errors import BearerError

__all__ = ["failure", "find_program"]

_LONGEST_WORDS = 500
"""Characters of what a program said before it failed."""


def find_program(name: str, package: str) -> str:
    """Return the path of a program; raises BearerError that names its package on Debian."""
    if path := shutil.which(name):
        return path
    raise BearerError(f"{name} was not found; install the package {package}")


def failure(name: str, words: bytes, code: int) -> BearerError:
    """Return the error of a program that ended with a code, with its own last words."""
    said = words.decode("utf-8", "replace").strip()[-_LONGEST_WORDS:]
    return BearerError(f"{name} failed: {said or f'exit code {code}'}")
