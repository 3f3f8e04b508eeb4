"""Profiles: those that come along, and what is said of one that is wrong."""

from pathlib import Path

import pytest

from apdu.errors import InputError
from apdu.identity import CardId, Role
from apdu.money import CURRENCIES, Currency, currency
from apdu.objects import NO_PIN_SUM
from personalization.profile import PROFILES, Profile

EUR = currency("EUR")
GOOD = """\
role = "person"
balance_max = "1000"
transfer_max = "500.50"
pin_above = "50"
pin_sum = "150"
pin_tries = 3
puk_tries = 10
[capacities]
history = 200
unsettled = 4
"""


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("unit", CURRENCIES, ids=lambda unit: unit.code)
def test_profiles_that_come_along_are_good_in_every_currency(name: str, unit: Currency) -> None:
    assert Profile.load(name, unit).role.name.lower() == name


def test_a_profile_becomes_parameters(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD, "utf-8")
    profile = Profile.load(str(tmp_path / "mine.toml"), EUR)
    parameters = profile.parameters(CardId.of(1, 2), EUR)
    assert (parameters.card, parameters.role, parameters.currency) == (CardId.of(1, 2), Role.PERSON, 978)
    assert (parameters.balance_max, parameters.transfer_max, parameters.pin_above) == (100_000, 50_050, 5_000)
    assert parameters.pin_sum == 15_000
    assert (parameters.pin_tries, parameters.puk_tries, parameters.initial) == (3, 10, 0)
    assert (profile.history, profile.unsettled) == (200, 4)


def test_a_pin_sum_may_be_none() -> None:
    profile = Profile.parse("mine", GOOD.replace('pin_sum = "150"', 'pin_sum = "none"'), EUR)
    assert profile.parameters(CardId.of(1, 2), EUR).pin_sum == NO_PIN_SUM
    assert Profile.load("merchant", EUR).pin_sum == NO_PIN_SUM


@pytest.mark.parametrize(
    ("line", "instead", "why"),
    [
        ('role = "person"', 'role = "float"', "role is person or merchant, not 'float'"),
        ('role = "person"', "role = 1", "role is person or merchant"),
        ('role = "person"', "", "role is missing"),
        ('role = "person"', "roll = 1\nrole = 'person'", "roll is unknown; known are"),
        ('balance_max = "1000"', "balance_max = 1000", "balance_max is an amount in quotes"),
        ('balance_max = "1000"', 'balance_max = "1000.001"', "balance_max: .* at most 2 decimals"),
        ('balance_max = "1000"', 'balance_max = "-1"', "balance_max: "),
        ('balance_max = "1000"', 'balance_max = "99999999999"', "balance_max: "),
        ('balance_max = "1000"', 'balance_max = "500"', "transfer_max must be more than 0 and at most balance_max"),
        ('transfer_max = "500.50"', 'transfer_max = "0"', "transfer_max must be more than 0"),
        ('pin_sum = "150"', "", "pin_sum is missing"),
        ('pin_sum = "150"', 'pin_sum = "49.99"', "pin_sum must be at least pin_above"),
        ('pin_sum = "150"', "pin_sum = 150", "pin_sum is an amount in quotes"),
        ('pin_sum = "150"', 'pin_sum = "no"', "pin_sum: "),
        ('pin_sum = "150"', 'pin_sum = "42949672.95"', 'pin_sum: take less, or "none" for no bound'),
        ("pin_tries = 3", "pin_tries = 0", "pin_tries is a number from 1 to 15, not 0"),
        ("pin_tries = 3", "pin_tries = 16", "pin_tries is a number from 1 to 15, not 16"),
        ("pin_tries = 3", "pin_tries = true", "pin_tries is a number"),
        ("puk_tries = 10", 'puk_tries = "10"', "puk_tries is a number"),
        ("history = 200", "history = 7", "capacities.history is a number from 8 to 1024, not 7"),
        ("history = 200", "history = 1025", "capacities.history"),
        ("unsettled = 4", "unsettled = 9", "capacities.unsettled is a number from 1 to 8, not 9"),
        ("unsettled = 4", "", "capacities.unsettled is missing"),
        ("unsettled = 4", "unsettled = 4\ncards = 1", "capacities.cards is unknown"),
        ("[capacities]\nhistory = 200\nunsettled = 4", "capacities = 1", "capacities is a table"),
        ("pin_tries = 3", "pin_tries = ", "line 6"),
    ],
)
def test_what_is_wrong_is_named(line: str, instead: str, why: str) -> None:
    assert line in GOOD
    with pytest.raises(InputError, match=f"profile mine: .*{why}"):
        Profile.parse("mine", GOOD.replace(line, instead), EUR)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"# \xff")
    for name in ("persons", str(tmp_path), str(tmp_path / "latin"), str(tmp_path / "none.toml"), "a\0b"):
        with pytest.raises(InputError, match=r"name a TOML file, or one of person or merchant"):
            Profile.load(name, EUR)
