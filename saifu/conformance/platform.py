"""Where a card may answer for its platform: before the purse is selected, and about what no application hears.

A purse in plastic is an application on a platform: a runtime that picks the application a command goes to, and an
issuer's application that is selected after reset. So some commands never reach the purse (protocol.md, "What belongs to
the platform"):

- everything between a reset and the SELECT by the purse's whole name;
- MANAGE CHANNEL, and every class that names a logical channel;
- SELECT without a name, or by a part of the purse's: the runtime may take it for another application or for a new
  selection of this one. Whatever it answers, what is selected from there on, and what of the selection is left, is the
  runtime's affair until the next reset or SELECT by the whole name.

A command that the runtime kept to itself has not reached the purse: a chain or a held answer may be left that the purse
would have dropped. So after each of them, too, what differs may be the platform's doing until the next reset or SELECT
by the whole name: the two are *in doubt*.

A card without such a platform does as the model does there, and passes. One that answers otherwise has not failed, and
has not passed either: the case becomes *platform*, with what was answered. It goes on from the model's answer where
nothing hangs on it; where the two may not be in the same state any more, it ends. What only the purse can say, its FCI,
its capacities and its own status words 95xx, is never the platform's.
"""

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.errors import FormatError
from apdu.identity import AID

__all__ = [
    "MANAGE_CHANNEL",
    "is_of_channels",
    "is_platform_select",
    "is_purses",
    "is_whole_select",
    "may_be_platforms",
    "names_channel",
]

MANAGE_CHANNEL = 0x70
"""Instruction of ISO 7816-4 11.1.2, in the classes of ISO 7816-4."""
_LOW_CHANNELS, _FURTHER, _PROPRIETARY = 0x03, 0x40, 0x80
_SELECT_BY_NAME = bytes((0x00, Ins.SELECT, 0x04))


def names_channel(cla: int) -> bool:
    """Whether a class is of another logical channel: 1 to 3, or 4 to 19 in the further classes (ISO 7816-4 5.4.1)."""
    return bool(cla & _FURTHER or cla & _LOW_CHANNELS)


def is_whole_select(command: bytes) -> bool:
    """Whether a command selects the purse by its whole name."""
    return command[:3] == _SELECT_BY_NAME and _name(command) == AID


def is_platform_select(command: bytes) -> bool:
    """Whether a SELECT has no name, or a part of the purse's."""
    if command[:3] != _SELECT_BY_NAME or (name := _name(command)) is None:
        return False
    return name != AID and AID.startswith(name)


def _name(command: bytes) -> bytes | None:
    """The data of a SELECT; None for bytes that are no command."""
    try:
        return CommandApdu.decode(command).data
    except FormatError:
        return None


def may_be_platforms(command: bytes) -> bool:
    """Whether a command may be the platform's although the purse is selected."""
    return is_of_channels(command) or is_platform_select(command)


def is_of_channels(command: bytes) -> bool:
    """Whether a command is MANAGE CHANNEL, or of another logical channel."""
    manages = command[1:2] == bytes((MANAGE_CHANNEL,)) and not command[0] & _PROPRIETARY
    return bool(command) and (manages or names_channel(command[0]))


def is_purses(answer: bytes, capacities: bytes) -> bool:
    """Whether only the purse can have said this; ``capacities`` is its object of GET DATA 0107."""
    return AID in answer[:-2] or answer[:-2] == capacities or answer[-2:-1] == b"\x95"
