"""A card of the model on a platform: a runtime that picks the application, and the issuer's beside the purse.

It does what Java Card's runtime does (Runtime Environment Specification 3.0.4, 4.5 to 4.8): a part of a name selects,
a selection ends what the one before held even if the purse then declines it, MANAGE CHANNEL opens channels, and nobody
asks the purse before it is selected.
"""

from apdu import ber
from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.errors import FormatError
from apdu.identity import AID
from apdu.status import StatusWord as W
from saifu.conformance.platform import MANAGE_CHANNEL, names_channel
from tests.saifu.conformance.cards import SpoiltCard

__all__ = ["ISSUER_AID", "PlatformCard"]

ISSUER_AID = bytes.fromhex("A000000151000000")
"""That of the issuer's security domain (GlobalPlatform Card Specification 2.3, 8.1)."""
_LEAST_NAME = 5


class PlatformCard(SpoiltCard):
    """The purse is one application of two; the issuer's is selected after a reset."""

    def power_on(self) -> bytes:
        self._purse, self._channels = False, {0}
        return super().power_on()

    def transmit(self, command: bytes) -> bytes:
        try:
            parsed = CommandApdu.decode(command)
        except FormatError:
            return super().transmit(command)
        return self._by_runtime(parsed) or (super().transmit(command) if self._purse else self._of_issuer(parsed))

    def _by_runtime(self, command: CommandApdu) -> bytes | None:
        """What no application hears of; None for what the selected one gets."""
        if names_channel(command.cla):
            return W.CHANNEL_NOT_SUPPORTED.to_bytes(2)
        if command.ins == MANAGE_CHANNEL and not command.cla & 0x80:
            return self._manage(command)
        if (command.cla, command.ins, command.p1) == (0x00, Ins.SELECT, 0x04):
            return self._select(command)
        return None

    def _manage(self, command: CommandApdu) -> bytes:
        if command.p1 == 0x80:
            self._channels.discard(command.p2)
            return W.OK.to_bytes(2)
        opened = len(self._channels)
        self._channels.add(opened)
        return (b"" if command.p2 else bytes((opened,))) + W.OK.to_bytes(2)

    def _select(self, command: CommandApdu) -> bytes | None:
        """A name that begins as an application's selects it; a name of nobody goes to who is selected."""
        name = command.data
        if not name or ISSUER_AID.startswith(name[:_LEAST_NAME]):
            self._purse = False
            return ber.encode(0x6F, ber.encode(0x84, ISSUER_AID)) + W.OK.to_bytes(2)
        if AID.startswith(name):
            self._deselect()
            self._purse = True
        return None

    def _deselect(self) -> None:
        """Clear what belongs to a selection, before the purse hears of the new one."""
        if self._transmission is not None:
            self._transmission._card.forget_selection()
            self._transmission._card.selected = True
            self._transmission._held = self._transmission._chain = None

    def _of_issuer(self, command: CommandApdu) -> bytes:
        """A security domain without what GlobalPlatform gives it: enough not to be the purse."""
        known = {Ins.GET_DATA: W.DATA_NOT_FOUND, Ins.STORE_DATA: W.CONDITIONS_OF_USE, Ins.SELECT: W.NOT_FOUND}
        word = known.get(Ins(command.ins)) if command.ins in set(Ins) else None
        return (word or W.INS_NOT_SUPPORTED).to_bytes(2)
