"""What a terminal believes in: the issuer's number, its currency, and the center's public keys."""

import json
from dataclasses import dataclass
from typing import Self

from apdu.errors import AuthenticityError, FormatError, InputError
from apdu.identity import CardId
from apdu.messages import Certificate, Signed
from apdu.money import Currency, currency
from apdu.objects import CenterKey, KeyUse

__all__ = ["TRUST_FORMAT", "Trust"]

TRUST_FORMAT = "saifu trust 1"


@dataclass(frozen=True, slots=True)
class Trust:
    """The center's public side; it holds no secret, so a stolen terminal makes no money."""

    issuer: int
    unit: Currency
    keys: tuple[CenterKey, ...]

    def certified(self, certificate: Signed[Certificate]) -> Certificate:
        """Check a card's certificate; raises AuthenticityError."""
        for key in self.keys:
            if (key.use, key.number) == (KeyUse.CERTIFICATION, certificate.body.key):
                if certificate.body.subject.issuer != self.issuer:
                    raise AuthenticityError("the card is another issuer's")
                return certificate.verify(key.point)
        raise AuthenticityError(f"the certificate is signed with key {certificate.body.key}, not known here")

    def encode(self) -> str:
        """Return the trust file's text (JSON)."""
        keys = [{"number": key.number, "use": key.use.name.lower(), "point": key.point.hex()} for key in self.keys]
        content = {"format": TRUST_FORMAT, "issuer": self.issuer, "currency": self.unit.code, "keys": keys}
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def decode(cls, text: str) -> Self:
        """Parse a trust file; raises InputError."""
        try:
            content = json.loads(text)
            if content["format"] != TRUST_FORMAT:
                raise ValueError(content["format"])
            keys = tuple(
                CenterKey(key["number"], KeyUse[key["use"].upper()], bytes.fromhex(key["point"]))
                for key in content["keys"]
            )
            if any(CenterKey.decode(key.encode()) != key for key in keys):
                raise ValueError("a public key of another size")
            return cls(CardId.of(int(content["issuer"]), 0).issuer, currency(content["currency"]), keys)
        except FormatError as error:
            raise InputError(f"this is not a trust file of a center for this version of saifu: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise InputError("this is not a trust file of a center (saifu center init writes one)") from None
