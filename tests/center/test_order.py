"""What came before what is told by the center's order, whatever its clock says meanwhile."""

import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apdu.errors import RefusedError
from apdu.identity import LifeCycle
from center import renewal
from center.clock import AHEAD, BEHIND, ClockError
from center.editions import is_listed, publish, report_stolen, unpublished
from center.history import take_over_records
from center.models import RecordRow, ReportRow
from host.session import Paid
from tests.center.bank import Bank, Purse
from tests.issuer import NOW

DAY = 86400


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "center")


# --- order -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [-400 * DAY, -3600, -1, 1, 3600, 400 * DAY])
def test_a_clock_that_is_set_makes_no_money(bank: Bank, jump: int) -> None:
    """The payee attests, then opens a real request; its value is on the way when the payer comes to the center."""
    payer, payee = bank.purse(initial=10_000), bank.purse()
    bank.time += jump
    bank.center.confirm_clock()
    bank.renew(payee)
    bank.time -= jump
    bank.center.confirm_clock()
    paid = payer.session().pay(payee.session().request(500, payer.id, NOW), NOW)
    bank.renew(payer)
    assert payer.balance == 9_500, "the payee can still receive it"
    payee.session().receive(paid, NOW)
    assert payer.balance + payee.balance == 10_000


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["payer", "payee", "open", "pay", "deliver", "back", "on"]), max_size=14))
def test_no_clock_and_no_order_of_visits_makes_money(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder) / "center")
        payer, payee = bank.purse(initial=10_000), bank.purse()
        asked, paid = [payee.session().request(500, payer.id, NOW)], list[Paid]()
        for step in steps:
            if step in ("back", "on"):
                bank.time += -5000 if step == "back" else 5000
                bank.center.confirm_clock()
            elif step == "open":
                asked.append(payee.session().request(500, payer.id, NOW))
            elif step == "pay" and len(paid) < 4:
                paid.append(payer.session().pay(asked[-1], NOW))
            elif step == "deliver":
                for value in paid:
                    payee.session().receive(value, NOW)
            elif step in ("payer", "payee"):
                bank.renew(payer if step == "payer" else payee)
            assert payer.balance + payee.balance <= 10_000
        for value in paid:
            payee.session().receive(value, NOW)
        assert payer.balance + payee.balance <= 10_000
        bank.center.close()


def test_records_and_reports_have_the_order_of_their_transaction(bank: Bank) -> None:
    payer, payee = bank.purse(initial=1000), bank.purse()
    bank.pay(payer, payee, 100)
    bank.renew(payee)
    report_stolen(bank.center, payee.id)
    bank.renew(payer)
    with bank.center.session() as session:
        received, paid = (
            session.query(RecordRow).filter_by(serial=purse.id.serial).one().order for purse in (payee, payer)
        )
        assert received < session.query(ReportRow).one().order < paid


# --- one transaction ---------------------------------------------------------------------------------------


def test_a_report_comes_before_a_renewal_or_after_it(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report comes in while a renewal is judged: it waits, and so the credit was signed before it."""
    card = bank.purse(initial=5000)
    attested, records = bank.attest(card)
    reporting = threading.Thread(target=report_stolen, args=(bank.center, card.id))

    def between(*arguments: object) -> None:
        reporting.start()
        reporting.join(0.2)
        assert reporting.is_alive(), "it waits for the transaction"
        take_over_records(*arguments)  # type: ignore[arg-type]  # whatever it was called with

    monkeypatch.setattr(renewal, "take_over_records", between)
    bank.line.renew(attested, records)
    reporting.join()
    monkeypatch.undo()
    assert is_listed(bank.center, card.id)
    with bank.center.session() as session:
        assert session.query(ReportRow).one().order > bank.center.row(session, card.id).attested
    with pytest.raises(RefusedError, match="is listed"):
        bank.renew(card)


def test_a_card_of_another_issuer_uses_nobodys_challenge_up(bank: Bank, tmp_path: Path) -> None:
    card, stranger = bank.purse(), Bank(tmp_path / "other", issuer=2)
    attested, records = bank.attest(card)
    foreign = stranger.purse()
    assert foreign.id.serial == card.id.serial
    with pytest.raises(RefusedError, match="not in this center's registry"):
        bank.line.renew(*stranger.attest(foreign))
    assert bank.line.renew(attested, records).credit.body.card == card.id


# --- the end of a card -------------------------------------------------------------------------------------


def test_only_a_card_that_has_just_shown_to_be_empty_is_ended(bank: Bank) -> None:
    payer, payee = bank.purse(initial=5000), bank.purse()
    bank.pay(payer, payee, 1500)
    bank.renew(payee)
    with pytest.raises(RefusedError, match="is not empty"):
        bank.terminate_order(payee)
    bank.pay(payee, payer, 1500)
    payee.session().terminate(bank.terminate_order(payee), bank.time)
    assert payee.session().selected.status.state is LifeCycle.TERMINATED


def test_a_card_that_waits_for_a_receipt_is_not_ended(bank: Bank) -> None:
    payer, payee = bank.purse(initial=500), bank.purse()
    payer.session().pay(payee.session().request(500, payer.id, NOW), NOW)
    with pytest.raises(RefusedError, match="is not empty"):
        bank.terminate_order(payer)


def test_an_old_state_ends_no_card(bank: Bank) -> None:
    """What was attested once, for a renewal, is not good for an order as well."""
    card = bank.purse()
    attested, records = bank.attest(card)
    bank.line.renew(attested, records)
    with pytest.raises(RefusedError, match="does not answer the challenge"):
        bank.line.terminate_order(attested, [])


# --- the clock ---------------------------------------------------------------------------------------------


def signs(bank: Bank, card: Purse) -> list[bool]:
    """Whether the center signs credit and a head now."""
    done = []
    for act in (lambda: bank.renew(card), lambda: publish(bank.center)):
        try:
            act()
            done.append(True)
        except ClockError:
            done.append(False)
    return done


@pytest.mark.parametrize(
    ("jump", "expected"), [(-BEHIND, True), (-BEHIND - 1, False), (AHEAD, True), (AHEAD + 1, False)]
)
def test_a_clock_that_is_far_off_signs_nothing(bank: Bank, jump: int, *, expected: bool) -> None:
    card = bank.purse()
    publish(bank.center)
    bank.time += jump
    assert signs(bank, card) == [expected, expected]


def test_what_is_signed_never_goes_back_by_itself(bank: Bank) -> None:
    first = publish(bank.center).head.body.time
    bank.time -= BEHIND
    assert publish(bank.center).head.body.time == first


def test_an_operator_says_that_the_clock_is_right(bank: Bank) -> None:
    card = bank.purse()
    bank.time += AHEAD + 1
    with pytest.raises(ClockError, match="saifu center clock --right"):
        bank.renew(card)
    bank.center.confirm_clock()
    assert signs(bank, card) == [True, True]


def test_cards_work_again_after_a_clock_was_ahead_once(bank: Bank) -> None:
    """An operator has even confirmed it; a card was renewed meanwhile, and another has met an edition of that time."""
    renewed, met, other = bank.purse(), bank.purse(), bank.purse(initial=1000)
    bank.time += 400 * DAY
    bank.center.confirm_clock()
    bank.renew(renewed)
    ahead = publish(bank.center)
    bank.time -= 400 * DAY
    assert signs(bank, other) == [False, False]
    bank.center.confirm_clock()
    assert unpublished(bank.center), "the edition is of a time that has not come"
    met.session().put_date(ahead.head)
    for card in (renewed, met):
        bank.renew(card)
        bank.renew(other)
        bank.pay(other, card, 10)
        assert card.balance == 10


def test_a_card_that_lies_about_its_date_gets_no_longer_credit(bank: Bank) -> None:
    card = bank.purse()
    with bank.center.ordered() as session:
        row = bank.center.row(session, card.id)
        honest = bank.center.issue_credit(session, row, 0, 0).body.expiry
        assert bank.center.issue_credit(session, row, 0, 0xFFFFFFFF).body.expiry == honest
