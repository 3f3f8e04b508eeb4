"""The desk of an issuer: its master keys, and the line for certificates. Every command loads it: it imports little."""

from abc import abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path

import typer

from apdu.errors import InputError
from host.console import Desk
from host.secrets_input import PASSPHRASE_VARIABLE, read_secret
from host.secure_connection import KeysFor
from personalization.issuer_line import IssuerLine
from personalization.keystore import Keystore, MasterKey
from personalization.one import keys_of

__all__ = ["USUAL_KEY", "IssuerDesk", "issuer_desk"]

USUAL_KEY = "cards"
"""The master key that a ceremony makes, and cards get their keys from, unless another is named."""


class IssuerDesk(Desk):
    """A desk from which the center can be asked for certificates."""

    @property
    def keystore_file(self) -> Path:
        """The file of master keys."""
        return self.home / "keystore.json"

    def master(self, name: str, passphrase_file: Path | None) -> MasterKey:
        """A master key of the key store; asks for its passphrase. Raises InputError."""
        file = self.keystore_file
        if not file.exists():
            raise InputError(f"{file}: there is no key store yet; make one with: saifu personalize ceremony")
        passphrase = read_secret("passphrase of the key store", PASSPHRASE_VARIABLE, passphrase_file)
        return Keystore.read(file, passphrase).key(name)

    def card_keys(self, name: str) -> KeysFor:
        """How a card gets its keys from a master key in the key store; asks for its passphrase."""
        return keys_of(self.master(name or USUAL_KEY, None))

    @abstractmethod
    def issuer_line(self, passphrase_file: Path | None) -> AbstractContextManager[IssuerLine]:
        """The line to the center."""


def issuer_desk(context: typer.Context) -> IssuerDesk:
    """The desk that the front door has set up."""
    found = context.find_object(IssuerDesk)  # type: ignore[type-abstract]  # any desk with a center will do
    if found is None:
        raise InputError("this command is part of saifu: run it as saifu …")
    return found
