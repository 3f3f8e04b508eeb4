"""The command APDU of ISO 7816-4 clause 5.1, short and extended."""

from dataclasses import dataclass, field, replace
from typing import Self

from apdu.errors import FormatError

__all__ = ["CHAINING", "SECURE_MESSAGING", "CommandApdu"]

CHAINING = 0x10
"""Class byte bit 5: more commands of this chain follow (ISO 7816-4 clause 5.4.1)."""
SECURE_MESSAGING = 0x04
"""Class byte bit 3: secure messaging (GlobalPlatform Card Specification 2.3, 11.1.4)."""

_SHORT_DATA, _EXTENDED_DATA = 255, 65535
_SHORT_NE, _EXTENDED_NE = 256, 65536


@dataclass(frozen=True, slots=True)
class CommandApdu:
    """One command: header, data of 0 to 65,535 bytes, and Ne, the most bytes wanted in return.

    ``ne`` is None when no answer data is asked for (no Le field); 256 is what Le 00 says. ``long`` writes extended
    length fields where short ones would do: the same command, but a C-MAC is over the Lc that is sent.
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    ne: int | None = None
    long: bool = field(default=False, compare=False)

    @property
    def extended(self) -> bool:
        """Whether the command has extended length fields, because it must or was written so."""
        return self.long or len(self.data) > _SHORT_DATA or (self.ne or 0) > _SHORT_NE

    @property
    def case(self) -> int:
        """The case 1 to 4 of ISO 7816-3 clause 12.1.2."""
        return 1 + (self.ne is not None) + 2 * bool(self.data)

    @property
    def header(self) -> bytes:
        """CLA INS P1 P2."""
        return bytes((self.cla, self.ins, self.p1, self.p2))

    def with_data(self, data: bytes, cla: int | None = None) -> Self:
        """Return the same command with other data and, if given, another class byte."""
        return replace(self, data=data, cla=self.cla if cla is None else cla)

    def encode(self) -> bytes:
        """Return the bytes that go to the card; raises FormatError if a length does not fit."""
        ne = self.ne
        if len(self.data) > _EXTENDED_DATA or (ne is not None and not 1 <= ne <= _EXTENDED_NE):
            raise FormatError(f"a command with {len(self.data)} bytes of data and Ne {ne} has no encoding")
        if self.extended and (self.data or ne is not None):
            return self.header + self._extended_body()
        lc = bytes((len(self.data),)) + self.data if self.data else b""
        return self.header + lc + (b"" if ne is None else bytes((ne & 0xFF,)))

    def _extended_body(self) -> bytes:
        """Lc and Le of two bytes each, behind one zero byte (ISO 7816-4 clause 5.2)."""
        lc = b"\0" + len(self.data).to_bytes(2) + self.data if self.data else b""
        le = b"" if self.ne is None else (self.ne & 0xFFFF).to_bytes(2)
        return lc + le if lc else b"\0" + le

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse a command as a card receives it; raises FormatError (the card answers 6700)."""
        if len(raw) < 4:
            raise FormatError(f"a command has at least 4 bytes, not {len(raw)}", len(raw))
        data, ne = _body(raw[4:])
        return cls(raw[0], raw[1], raw[2], raw[3], data, ne, long=len(raw) > 6 and not raw[4])


def _body(body: bytes) -> tuple[bytes, int | None]:
    """Split what follows the header into data and Ne (ISO 7816-3 clause 12.1.3, all seven forms)."""
    if not body:
        return b"", None
    if len(body) == 1:
        return b"", body[0] or _SHORT_NE
    if body[0]:
        return _split(body, 1, body[0], 1)
    if len(body) == 3:
        return b"", int.from_bytes(body[1:]) or _EXTENDED_NE
    if len(body) < 4 or not int.from_bytes(body[1:3]):
        raise FormatError("the length fields are neither short nor extended", 4)
    return _split(body, 3, int.from_bytes(body[1:3]), 2)


def _split(body: bytes, start: int, lc: int, le_size: int) -> tuple[bytes, int | None]:
    data, le = body[start : start + lc], body[start + lc :]
    if len(data) < lc or len(le) not in (0, le_size):
        raise FormatError(f"Lc says {lc} bytes and {len(body) - start} follow", 4)
    return data, (int.from_bytes(le) or 1 << 8 * le_size) if le else None
