"""The one tree of errors, for every room.

::

    SaifuError
    ├── FormatError               bytes or text that do not parse: what, and at which offset
    ├── AuthenticityError         a signature, certificate, MAC or proof that does not hold
    ├── InputError                a file or an option of the user's: which, where, what to do
    ├── ReaderError               between the program and the card
    │   ├── PcscUnavailableError  no PC/SC on this machine, or its daemon does not answer
    │   ├── NoReaderError         no reader of that name or number
    │   ├── NoCardError           the reader is empty
    │   ├── ReaderBusyError       another program holds the reader or the card
    │   ├── CardRemovedError      the card was taken out or lost power before the command was sent
    │   ├── CardResetError        somebody reset the card: selection, PIN and secure channel are gone
    │   └── OutcomeUnknownError   a command was sent and no answer came: ask the card, then resume
    ├── CardError                 the card answered, and the answer stops us
    │   ├── StatusError           a status word other than success; unknown words are kept
    │   ├── SecureChannelError    the secure channel could not be opened or does not verify
    │   └── MisbehaviourError     an answer that no honest card gives
    ├── BearerError               a bearer of the blacklist (air or line) is missing or fails
    ├── RefusedError              a terminal, the center or a check unit declines the business
    └── StoreError                a file or database of ours is damaged, locked or missing
        └── InUseError            another process has it at the moment
"""

__all__ = [
    "AuthenticityError",
    "BearerError",
    "CardError",
    "CardRemovedError",
    "CardResetError",
    "FormatError",
    "InUseError",
    "InputError",
    "MisbehaviourError",
    "NoCardError",
    "NoReaderError",
    "OutcomeUnknownError",
    "PcscUnavailableError",
    "ReaderBusyError",
    "ReaderError",
    "RefusedError",
    "SaifuError",
    "SecureChannelError",
    "StoreError",
]


class SaifuError(Exception):
    """Root of every error that saifu raises on purpose; its text is meant for people."""


class FormatError(SaifuError):
    """Bytes or text that do not have the layout they must have."""

    def __init__(self, message: str, offset: int | None = None) -> None:
        """Keep ``offset``, the position in bytes of what is wrong, where it is known."""
        super().__init__(message if offset is None else f"{message} (at byte {offset})")
        self.offset = offset


class AuthenticityError(SaifuError):
    """A signature, certificate, MAC or proof that does not hold."""


class InputError(SaifuError):
    """Something that the user gave is wrong; the text names the place and the remedy."""


class ReaderError(SaifuError):
    """The way to the card failed; the card itself said nothing."""


class PcscUnavailableError(ReaderError):
    """PC/SC is not installed, or its daemon does not answer."""


class NoReaderError(ReaderError):
    """There is no reader of that name or number."""


class NoCardError(ReaderError):
    """The reader holds no card."""


class ReaderBusyError(ReaderError):
    """Another program holds the reader or the card."""


class CardRemovedError(ReaderError):
    """The card was taken out, or lost power, before the command reached it."""


class CardResetError(ReaderError):
    """The card was reset by somebody else: selection, PIN status and secure channel are gone."""


class OutcomeUnknownError(ReaderError):
    """A command was sent and its answer was lost: whether the card acted is unknown.

    Never send it again blindly. Recovery: put the card in again, read its unsettled transfers
    (GET DATA) and resume them; a payment that was made is given again, one that was not is not there.
    """

    recovery = "put the card in again: the transfer is found on it and finished, or was never made"


class CardError(SaifuError):
    """The card answered, and the answer stops the operation."""


class SecureChannelError(CardError):
    """SCP03 could not be opened, or a message of it does not verify."""


class MisbehaviourError(CardError):
    """The card gave an answer that no honest card gives (endless 61xx, wrong length, wrong ID)."""


class BearerError(SaifuError):
    """A bearer of the blacklist (radio, sound, pager, line) is missing or fails; the text says which and why."""


class RefusedError(SaifuError):
    """A terminal, the center or a check unit declines the business; the text says why."""


class StoreError(SaifuError):
    """A file or database of ours is damaged, in use by another process, or missing."""


class InUseError(StoreError):
    """A file of ours is in use by another process at the moment."""
