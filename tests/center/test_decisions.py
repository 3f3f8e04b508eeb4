"""Transfers that no receipt will ever end: made-up requests, cards that are gone, places of the float."""

from pathlib import Path

import pytest

from apdu.errors import RefusedError
from apdu.messages import Outcome
from apdu.objects import Request
from center.resolution import decide
from host.session import PurseSession, Requested
from tests.center.bank import Bank, Purse
from tests.issuer import EUR, NOW

MADE_UP = Request(0xFFFFFFFF, b"\x5a" * 8, 500, EUR)


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "center")


def rich(bank: Bank) -> Purse:
    """A card with money."""
    return bank.purse(initial=10_000)


def pay_made_up(payer: Purse, payee: Purse) -> None:
    """What a rogue terminal does: a request that the payee never made, with its true certificate."""
    payer.session().pay(Requested(payee.session().get_certificate(), MADE_UP), NOW)


def test_a_made_up_request_is_paid_back_when_the_payee_has_attested_after_it(bank: Bank) -> None:
    victim, payee = rich(bank), bank.purse()
    pay_made_up(victim, payee)
    bank.renew(victim)
    bank.renew(payee)
    bank.renew(victim)
    assert (victim.balance, victim.session().get_unsettled()) == (10_000, [])


def test_an_attestation_from_before_the_payment_proves_nothing(bank: Bank) -> None:
    """The payee may have opened that request since then."""
    payer, payee = rich(bank), bank.purse()
    bank.renew(payee)
    bank.time += 10
    asked = payee.session().request(500, payer.id, NOW)
    payer.session().pay(asked, NOW)
    bank.renew(payer)
    bank.renew(payer)
    assert payer.balance == 9_500


def test_a_challenge_from_before_the_payment_proves_nothing_either(bank: Bank) -> None:
    """The payee's attestation is signed before the payment, and handed in after it."""
    payer, payee = rich(bank), bank.purse()
    begun = bank.begin(payee)
    session = payee.session()
    attested = session.attest(begun.challenge)
    bank.time += 10
    payer.session().pay(payee.session().request(500, payer.id, NOW), NOW)
    bank.renew(payer)
    bank.time += 10
    bank.line.renew(attested, [])
    bank.renew(payer)
    assert payer.balance == 9_500


def stuck(bank: Bank) -> tuple[Purse, Purse]:
    """A payment to a card that is terminated."""
    victim, gone = rich(bank), bank.purse()
    pay_made_up(victim, gone)
    gone.session().terminate(bank.terminate_order(gone), bank.time)
    return victim, gone


@pytest.mark.parametrize(("outcome", "balance"), [(Outcome.NEVER_RECEIVED, 10_000), (Outcome.RECEIVED, 9_500)])
def test_an_operator_decides_about_a_card_that_is_gone(bank: Bank, outcome: Outcome, balance: int) -> None:
    victim, _ = stuck(bank)
    with pytest.raises(RefusedError, match="has shown no payment 1"):
        decide(bank.center, victim.id, 1, outcome, "the card is destroyed")
    bank.renew(victim)
    assert len(victim.session().get_unsettled()) == 1
    decide(bank.center, victim.id, 1, outcome, "the card is destroyed")
    decide(bank.center, victim.id, 1, outcome, "said twice is no harm")
    with pytest.raises(RefusedError, match="decided already, and otherwise"):
        decide(bank.center, victim.id, 1, Outcome(3 - outcome), "another opinion")
    bank.renew(victim)
    assert (victim.balance, victim.session().get_unsettled()) == (balance, [])


def test_the_payees_own_word_goes_before_a_decision(bank: Bank) -> None:
    payer, payee = rich(bank), bank.purse()
    paying, paid = payer.session(), payee.session()
    paid.receive(paying.pay(paid.request(500, paying.card, NOW), NOW), NOW)
    bank.renew(payer)
    decide(bank.center, payer.id, 1, Outcome.NEVER_RECEIVED, "a mistake")
    bank.renew(payee)
    bank.renew(payer)
    assert (payer.balance, payee.balance) == (9_500, 500)


def test_cards_taken_away_in_mid_load_do_not_end_loading(bank: Bank) -> None:
    """Each keeps a place of the float, until the float needs it."""
    bank.open_float(100_000)
    for _ in range(20):
        thief = bank.purse()
        slot = bank.line.float_slot()
        PurseSession(slot.connect()).pay(thief.session().request(10, bank.center.card_id(1), NOW), NOW)
        slot.eject()
    slot = bank.line.float_slot()
    waiting = PurseSession(slot.connect()).get_unsettled()
    slot.eject()
    assert [entry.counter for entry in waiting] == [15, 16, 17, 18, 19, 20], "the oldest were given up"
