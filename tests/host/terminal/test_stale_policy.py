"""The policy for an old list: what it lets through, and how it is kept."""

from pathlib import Path

import pytest

from apdu.errors import InputError, RefusedError
from apdu.money import Money, currency
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.stale_policy import StaleAction, StalePolicy
from host.terminal.trust import Trust
from tests.issuer import Issuer

EUR = currency("EUR")
POLICIES = [StalePolicy(), StalePolicy(StaleAction.CAP, 10_00), StalePolicy(StaleAction.REFUSE)]


def lets_through(policy: StalePolicy, amount: int) -> bool:
    try:
        policy.judge("edition 1 is old", Money(amount, EUR))
    except RefusedError:
        return False
    return True


@pytest.mark.parametrize(("policy", "through"), [
    (POLICIES[0], [True, True, True, True]),
    (POLICIES[1], [True, True, True, False]),
    (POLICIES[2], [True, False, False, False]),
])  # fmt: skip
def test_what_goes_through_with_an_old_list(policy: StalePolicy, through: list[bool]) -> None:
    assert [lets_through(policy, amount) for amount in (0, 1, 10_00, 10_01)] == through


def test_the_refusal_says_why_and_what_still_goes() -> None:
    with pytest.raises(RefusedError, match=r"edition 1 is old; until .* moves 10\.00 EUR at most"):
        POLICIES[1].judge("edition 1 is old", Money(11_00, EUR))
    with pytest.raises(RefusedError, match="edition 1 is old; this terminal moves no money"):
        POLICIES[2].judge("edition 1 is old", Money(1, EUR))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_is_kept(tmp_path: Path, policy: StalePolicy) -> None:
    store = BlacklistStore.import_trust(tmp_path, Trust(1, EUR, Issuer().keys).encode())
    assert store.policy == StalePolicy()
    store.policy = policy
    assert BlacklistStore(tmp_path).policy == policy


@pytest.mark.parametrize("text", [
    "", "{}", "[]", "null", '{"stale": "warn"}', '{"stale": "sometimes", "cap": 0}', '{"stale": "cap", "cap": -1}',
    '{"stale": "cap", "cap": 4294967296}', '{"stale": "cap", "cap": 1.5}', '{"stale": "cap", "cap": true}', "[" * 9999,
])  # fmt: skip
def test_a_damaged_policy_is_told(text: str) -> None:
    with pytest.raises(InputError, match="saifu terminal policy"):
        StalePolicy.decode(text)
