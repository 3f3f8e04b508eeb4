"""A card connection with a secure channel in it: sessions use it as they use a bare one."""

import secrets
from collections.abc import Callable
from typing import Self

from apdu.command import CommandApdu
from apdu.errors import MisbehaviourError, ReaderError
from apdu.status import StatusError, StatusWord
from host.connection import CardConnection
from host.exchange import exchange
from host.scp03 import CHALLENGE_SIZE, HostChannel, InitializeUpdateAnswer, StaticKeys

__all__ = ["KeysFor", "SecureConnection"]

KeysFor = Callable[[InitializeUpdateAnswer], StaticKeys]
"""Finds a card's static keys by its diversification data and key version."""


class SecureConnection:
    """Wraps every command and unwraps every answer; is a CardConnection itself.

    61xx is followed below it, because a MAC is over the whole answer.
    """

    def __init__(self, connection: CardConnection, channel: HostChannel) -> None:
        """``channel`` is open; to open one, use SecureConnection.open."""
        self._connection = connection
        self._channel = channel

    @classmethod
    def open(
        cls,
        connection: CardConnection,
        keys_for: KeysFor,
        level: int,
        key_version: int = 0,
        host_challenge: bytes | None = None,
    ) -> Self:
        """Open SCP03 on the selected application; without a host challenge a random one is made.

        Raises SecureChannelError when the card does not prove its keys, and StatusError when it refuses.
        """
        channel = HostChannel(host_challenge or secrets.token_bytes(CHALLENGE_SIZE), level, key_version)
        offered = _send(connection, channel.initialize_update(), "INITIALIZE UPDATE")
        answer = InitializeUpdateAnswer.decode(offered)
        _send(connection, channel.external_authenticate(answer, keys_for(answer)), "EXTERNAL AUTHENTICATE")
        return cls(connection, channel)

    def transmit(self, command: bytes) -> bytes:
        """Send a plain command through the channel, return the plain answer with its status word.

        Raises SecureChannelError when the answer does not verify, FormatError when the command is too long
        to be wrapped, and what the connection raises. When an answer is lost the channel is closed.
        """
        wrapped = self._channel.wrap(CommandApdu.decode(command))
        try:
            answer = exchange(self._connection, wrapped)
        except (ReaderError, MisbehaviourError):
            self._channel.close()
            raise
        return self._channel.unwrap(answer).encode()

    @property
    def card(self) -> InitializeUpdateAnswer:
        """What the card told of itself before it was authenticated: key version, diversification data."""
        return self._channel.card

    def dek_encrypt(self, plain: bytes) -> bytes:
        """Encrypt a sensitive value of whole 16-byte blocks with the card's DEK; see HostChannel."""
        return self._channel.dek_encrypt(plain)

    def close(self) -> None:
        """Forget the session keys; the card's side ends with the next SELECT or reset."""
        self._channel.close()


def _send(connection: CardConnection, command: CommandApdu, name: str) -> bytes:
    """Answer data of a command that must end in 9000."""
    answer = exchange(connection, command)
    if answer.sw != StatusWord.OK:
        raise StatusError(name, answer.sw)
    return answer.data
