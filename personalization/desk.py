"""The desk of an issuer: its master keys, and the line for certificates. Every command loads it: it imports little."""

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import typer

from apdu.errors import InputError
from host.channel_keys import KEYSTORE, read_channel_keys
from host.console import Desk
from host.secrets_input import PASSPHRASE_VARIABLE, read_secret
from host.secure_connection import KeysFor
from personalization.card_keys import CardKeys, TransportKeys, derived, keys_of, public_transport_keys
from personalization.issuer_line import IssuerLine
from personalization.keystore import Keystore

__all__ = ["PUBLIC", "USUAL_KEY", "IssuerDesk", "issuer_desk"]

USUAL_KEY = "cards"
"""The master key that a ceremony makes, and cards get their keys from, unless another is named."""
PUBLIC = "public"
"""What stands for the transport keys that everybody knows."""


class IssuerDesk(Desk):
    """A desk from which the center can be asked for certificates."""

    @property
    def keystore_file(self) -> Path:
        """The file of master keys."""
        return self.home / "keystore.json"

    def keystore(self, passphrase_file: Path | None) -> Keystore:
        """The master keys; asks for their passphrase. Raises InputError where there are none."""
        file = self.keystore_file
        if not file.exists():
            raise InputError(f"{file}: there is no key store yet; make one with: saifu personalize ceremony")
        passphrase = read_secret("passphrase of the key store", PASSPHRASE_VARIABLE, passphrase_file)
        return Keystore.read(file, passphrase)

    def card_keys(self, name: str) -> KeysFor:
        """How a card gets its keys from a master key in the key store; asks for its passphrase.

        Of the issuer's own cards also as they came from their maker, if with the keys that everybody knows.
        """
        master = self.keystore(None).key(name or USUAL_KEY)
        return keys_of(master) if master.is_makers else CardKeys(master).keys_for

    def keys_to_put(self, name: str, transport: str, passphrase_file: Path | None) -> CardKeys:
        """The master key of that name, and the keys with which cards come: see ``transport_keys``."""
        store = self.keystore(passphrase_file)
        return CardKeys(store.key(name), self.transport_keys(transport, lambda: store))

    def transport_keys(self, text: str, store: Callable[[], Keystore]) -> TransportKeys:
        """By what a user types: ``public``, ``keystore:NAME`` with a card maker's master key, or a file of keys.

        Raises InputError, as read_channel_keys does, and for a master key that is no maker's.
        """
        if text == PUBLIC:
            return public_transport_keys
        kind, _, name = text.partition(":")
        if kind != KEYSTORE:
            keys = read_channel_keys(Path(text))
            return lambda _: keys
        master = store().key(name)
        if not master.is_makers:
            raise InputError(f"key {name} has version {master.version}: a card maker's master key has 255")
        return derived(master)

    @abstractmethod
    def issuer_line(self, passphrase_file: Path | None) -> AbstractContextManager[IssuerLine]:
        """The line to the center."""


def issuer_desk(context: typer.Context) -> IssuerDesk:
    """The desk that the front door has set up."""
    found = context.find_object(IssuerDesk)  # type: ignore[type-abstract]  # any desk with a center will do
    if found is None:
        raise InputError("this command is part of saifu: run it as saifu …")
    return found
