"""What a center is set up with: issuer number, currency, validity, and credit terms for each role."""

import json
from dataclasses import asdict, dataclass, field
from typing import Self

from apdu.errors import StoreError
from apdu.identity import Role
from apdu.money import Currency, currency

__all__ = ["CreditTerms", "Settings"]

_DAY = 86400
_UNLIMITED = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class CreditTerms:
    """Credit of one renewal: validity in days, number of payments, amount in minor units."""

    days: int
    count: int
    amount: int

    def expiry(self, now: int) -> int:
        """When credit issued at ``now`` (Unix seconds) ends."""
        return min(now + self.days * _DAY, _UNLIMITED)


_TERMS = {
    Role.PERSON: CreditTerms(30, 200, 500_000),
    Role.MERCHANT: CreditTerms(30, 10_000, _UNLIMITED),
    Role.FLOAT: CreditTerms(3650, _UNLIMITED, _UNLIMITED),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a center.

    Certificates run for ``certificate_days``; the next edition is due after ``edition_hours``; the last ``deltas``
    steps from edition to edition are on the air beside the full list.
    """

    issuer: int
    currency_code: str
    certificate_days: int = 1826
    edition_hours: int = 24
    terms: dict[Role, CreditTerms] = field(default_factory=lambda: dict(_TERMS))
    deltas: int = 4

    @property
    def unit(self) -> Currency:
        """The currency."""
        return currency(self.currency_code)

    def encode(self) -> str:
        """Return the settings as JSON."""
        content = asdict(self) | {"terms": {role.name: asdict(terms) for role, terms in self.terms.items()}}
        return json.dumps(content)

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what ``encode`` wrote; raises StoreError when it is something else."""
        try:
            content = json.loads(text)
            terms = {Role[role]: CreditTerms(**fields) for role, fields in content.pop("terms").items()}
            return cls(**content, terms=terms)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StoreError("the settings of the center are damaged: take the copy that you keep") from None
