"""The card's end of T=0 (ISO 7816-3:2006 clauses 10 and 12.2): TPDUs in, answers out, commands for the card.

A TPDU is a header of five bytes, CLA INS P1 P2 P3, and data in one direction only: P3 bytes to the card, or up
to P3 bytes (00: 256) from it. The procedure bytes that go to and fro within a TPDU are the reader's business;
what is left of them for the driver is the status word: 61xx (more is to be fetched with GET RESPONSE) and 6Cxx
(send it again with P3 = xx).

A card that works by these rules itself, as the card model does at T=0, is not changed in what it says. For a
card that answers whole APDUs, T0Card does what the runtime of a Java Card does.
"""

from dataclasses import dataclass

from host.virtual.ccid import Execute

__all__ = ["Execute", "T0Card"]

_GET_RESPONSE = b"\xc0\0\0"
"""INS P1 P2; any class will do."""
_MOST = 256


@dataclass(frozen=True, slots=True)
class _Held:
    """An answer that waits: for GET RESPONSE, or after 6Cxx for the same header with the right P3."""

    data: bytes
    status: bytes
    header: bytes = b""


class T0Card:
    """The protocol from a reset to the next.

    ``receive`` takes a TPDU and says what is next: an answer, nothing (empty) for what is no TPDU, or a command
    to execute, whose response ``answer`` makes into an answer.
    """

    def __init__(self) -> None:
        """Begin with nothing held."""
        self._held: _Held | None = None
        self._asked = b""

    def receive(self, tpdu: bytes) -> bytes | Execute:
        """Take a TPDU as a driver hands it over: a header of 4 or 5 bytes, or one of 5 and P3 bytes of data.

        On the wire a header always has a P3, so case 1 and case 2 with 256 bytes are the same to the card.
        """
        if len(tpdu) == 4:
            tpdu += b"\0"
        if len(tpdu) < 5 or (len(tpdu) > 5 and len(tpdu) != 5 + tpdu[4]):
            return b""
        held, self._held = self._held, None
        self._asked = tpdu
        if held is None or len(tpdu) > 5:
            return Execute(tpdu)
        fetches = tpdu[:4] == held.header if held.header else tpdu[1:4] == _GET_RESPONSE
        return self._outgoing(held.data, held.status) if fetches else Execute(tpdu)

    def answer(self, response: bytes) -> bytes:
        """Return what goes over the wire for a response APDU; the rest of it is held."""
        data, status = response[:-2], response[-2:]
        if not data:
            return status
        if len(self._asked) > 5:  # data went to the card, so none can come back (case 4)
            return self._hold(data, status)
        return self._outgoing(data, status)

    def _outgoing(self, data: bytes, status: bytes) -> bytes:
        """Exactly as many bytes as P3 says; another number is told by 6Cxx, a rest by 61xx."""
        wanted = self._asked[4] or _MOST
        too_few = len(data) > wanted and len(data) <= _MOST and self._asked[1:4] != _GET_RESPONSE
        if len(data) < wanted or too_few:
            self._held = _Held(data, status, self._asked[:4])
            return bytes((0x6C, len(data) & 0xFF))
        piece, rest = data[:wanted], data[wanted:]
        return piece + (self._hold(rest, status) if rest else status)

    def _hold(self, data: bytes, status: bytes) -> bytes:
        self._held = _Held(data, status)
        return bytes((0x61, min(len(data), _MOST) & 0xFF))
