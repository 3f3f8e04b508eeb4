"""One table from error to exit code; docs/reference/exit-codes.md is made from it."""

from apdu.errors import (
    AuthenticityError,
    BearerError,
    CardError,
    FormatError,
    InputError,
    MisbehaviourError,
    OutcomeUnknownError,
    ReaderError,
    RefusedError,
    SaifuError,
    SecureChannelError,
    StoreError,
)
from apdu.status import StatusError

__all__ = ["EXIT_CODES", "exit_code"]

EXIT_CODES: dict[type[SaifuError], tuple[int, str]] = {
    InputError: (2, "something given is wrong: an option, a file, a passphrase"),
    FormatError: (2, "something given does not have the form it must have"),
    ReaderError: (3, "the card could not be reached; nothing happened on it"),
    StatusError: (4, "the card declined: too little money, no PIN, out of date, locked out"),
    RefusedError: (5, "the terminal or the center declined: listed card, too little money, old edition"),
    OutcomeUnknownError: (6, "a command was sent and no answer came: put the card in again and resume"),
    AuthenticityError: (7, "a signature, certificate or proof does not hold"),
    SecureChannelError: (7, "the secure channel could not be opened or does not verify"),
    MisbehaviourError: (8, "the card gave an answer that no honest card gives"),
    CardError: (8, "the card cannot be worked with"),
    StoreError: (9, "a file of saifu is damaged, in use or missing"),
    BearerError: (10, "a bearer of the blacklist is missing or fails: a program, a port, a broker, a file"),
    SaifuError: (1, "something is not as it must be"),
}
"""Exit codes; 0 is success, 1 also a demo step that is not as it must be, 2 also a wrong command line."""


def exit_code(error: SaifuError) -> int:
    """The exit code of an error: that of the nearest class in the table."""
    return next(EXIT_CODES[kind][0] for kind in type(error).__mro__ if kind in EXIT_CODES)
