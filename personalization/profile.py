"""Profiles: what a kind of card is given, as TOML."""

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Self

from apdu.errors import FormatError, InputError
from apdu.identity import CardId, Role
from apdu.money import Currency, Money
from apdu.objects import NO_PIN_SUM, Parameters
from host.model import HISTORY_RANGE, UNSETTLED_RANGE

__all__ = ["PROFILES", "Profile"]

PROFILES = ("person", "merchant")
"""Profiles that come with saifu; any other is a file of the user's."""

_FIELDS = {"role", "balance_max", "transfer_max", "pin_above", "pin_sum", "pin_tries", "puk_tries", "capacities"}
_CAPACITIES = {"history", "unsettled"}
_TRIES = range(1, 16)
_NO_BOUND = "none"


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile, checked; amounts in minor units."""

    name: str
    role: Role
    balance_max: int
    transfer_max: int
    pin_above: int
    pin_sum: int
    pin_tries: int
    puk_tries: int
    history: int
    unsettled: int

    @classmethod
    def load(cls, name: str, unit: Currency) -> Self:
        """Load a profile that comes with saifu, by name, or a file, by path; raises InputError."""
        try:
            if name in PROFILES:
                text = (resources.files("personalization") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
            else:
                text = Path(name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "this is no text in UTF-8"
            raise InputError(f"profile {name}: {reason}; name a TOML file, or one of {' or '.join(PROFILES)}") from None
        return cls.parse(name, text, unit)

    @classmethod
    def parse(cls, name: str, text: str, unit: Currency) -> Self:
        """Read a profile's text; raises InputError that names the field."""
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"profile {name}: {error}") from None
        _check_names(name, content, _FIELDS, "")
        capacities = content["capacities"]
        if not isinstance(capacities, dict):
            raise InputError(f"profile {name}: capacities is a table with {', '.join(sorted(_CAPACITIES))}")
        _check_names(name, capacities, _CAPACITIES, "capacities.")
        profile = cls(
            name=name,
            role=_role(name, content["role"]),
            balance_max=_amount(name, "balance_max", content["balance_max"], unit),
            transfer_max=_amount(name, "transfer_max", content["transfer_max"], unit),
            pin_above=_amount(name, "pin_above", content["pin_above"], unit),
            pin_sum=_pin_sum(name, content["pin_sum"], unit),
            pin_tries=_number(name, "pin_tries", content["pin_tries"], _TRIES),
            puk_tries=_number(name, "puk_tries", content["puk_tries"], _TRIES),
            history=_number(name, "capacities.history", capacities["history"], HISTORY_RANGE),
            unsettled=_number(name, "capacities.unsettled", capacities["unsettled"], UNSETTLED_RANGE),
        )
        if not 0 < profile.transfer_max <= profile.balance_max:
            raise InputError(f"profile {name}: transfer_max must be more than 0 and at most balance_max")
        if profile.pin_sum < profile.pin_above:
            raise InputError(f"profile {name}: pin_sum must be at least pin_above, or nothing reaches pin_above")
        return profile

    def parameters(self, card: CardId, unit: Currency) -> Parameters:
        """What DGI 0101 says for a card of this profile."""
        return Parameters(
            card,
            self.role,
            unit.number,
            self.balance_max,
            self.transfer_max,
            self.pin_above,
            self.pin_sum,
            self.pin_tries,
            self.puk_tries,
            initial=0,
        )


def _check_names(name: str, content: dict[str, Any], wanted: set[str], where: str) -> None:
    if unknown := sorted(content.keys() - wanted):
        raise InputError(f"profile {name}: {where}{unknown[0]} is unknown; known are {', '.join(sorted(wanted))}")
    if missing := sorted(wanted - content.keys()):
        raise InputError(f"profile {name}: {where}{missing[0]} is missing")


def _role(name: str, value: object) -> Role:
    roles = {"person": Role.PERSON, "merchant": Role.MERCHANT}
    if isinstance(value, str) and value in roles:
        return roles[value]
    raise InputError(f"profile {name}: role is person or merchant, not {value!r} (the float is the center's)")


def _amount(name: str, field: str, value: object, unit: Currency) -> int:
    if not isinstance(value, str):
        raise InputError(f'profile {name}: {field} is an amount in quotes, as "50.00", not {value!r}')
    try:
        return Money.parse(value, unit).amount
    except FormatError as error:
        raise InputError(f"profile {name}: {field}: {error}") from None


def _pin_sum(name: str, value: object, unit: Currency) -> int:
    """An amount, or the word for no bound; the largest amount of 4 bytes would be the latter by accident."""
    if value == _NO_BOUND:
        return NO_PIN_SUM
    amount = _amount(name, "pin_sum", value, unit)
    if amount == NO_PIN_SUM:
        raise InputError(f'profile {name}: pin_sum: take less, or "{_NO_BOUND}" for no bound')
    return amount


def _number(name: str, field: str, value: object, allowed: range) -> int:
    if type(value) is not int or value not in allowed:
        raise InputError(f"profile {name}: {field} is a number from {allowed[0]} to {allowed[-1]}, not {value!r}")
    return value
