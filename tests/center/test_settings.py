"""Settings of a center, and how long what it signs is valid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import StoreError
from apdu.identity import Role
from apdu.money import CURRENCIES
from center.settings import CreditTerms, Settings

NUMBERS = st.integers(min_value=0, max_value=0xFFFFFFFF)
TERMS = st.builds(CreditTerms, NUMBERS, NUMBERS, NUMBERS)


@given(
    st.builds(
        Settings,
        st.integers(min_value=1, max_value=0xFFFF),
        st.sampled_from([unit.code for unit in CURRENCIES]),
        NUMBERS,
        NUMBERS,
        st.fixed_dictionaries(dict.fromkeys(Role, TERMS)),
    )
)
def test_settings_are_read_as_they_were_written(settings: Settings) -> None:
    assert Settings.decode(settings.encode()) == settings


def test_every_role_has_terms() -> None:
    assert set(Settings(1, "EUR").terms) == set(Role)


def test_two_centers_do_not_share_their_terms() -> None:
    one, other = Settings(1, "EUR"), Settings(2, "EUR")
    one.terms[Role.PERSON] = CreditTerms(1, 1, 1)
    assert other.terms[Role.PERSON] != one.terms[Role.PERSON]


@given(TERMS, NUMBERS)
def test_an_expiry_always_fits_into_four_bytes(terms: CreditTerms, now: int) -> None:
    assert terms.expiry(now) == min(now + terms.days * 86400, 0xFFFFFFFF)


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "{}", '{"issuer": 1}', '{"issuer": 1, "terms": {"KING": {}}}'])
def test_settings_that_are_none_are_told(text: str) -> None:
    with pytest.raises(StoreError, match="settings"):
        Settings.decode(text)
