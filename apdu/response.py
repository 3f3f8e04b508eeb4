"""The response APDU of ISO 7816-4 clause 5.1."""

from dataclasses import dataclass
from typing import Self

from apdu.errors import FormatError
from apdu.status import StatusWord

__all__ = ["ResponseApdu"]


@dataclass(frozen=True, slots=True)
class ResponseApdu:
    """Answer data and the status word."""

    data: bytes = b""
    sw: int = StatusWord.OK

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse an answer; raises FormatError when it is shorter than a status word."""
        if len(raw) < 2:
            raise FormatError(f"an answer has at least 2 bytes, not {len(raw)}", len(raw))
        return cls(bytes(raw[:-2]), int.from_bytes(raw[-2:]))

    def encode(self) -> bytes:
        """Return the bytes that the card sends."""
        return self.data + self.sw.to_bytes(2)
