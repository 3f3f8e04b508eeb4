"""Renewal, fig. 7: only for cards that are not listed, and only for a history that goes on as it must."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from apdu.errors import RefusedError
from apdu.identity import Role
from apdu.messages import Attestation, Signed, TerminateOrder
from apdu.objects import HistoryRecord, Kind
from apdu.signature import private_key
from apdu.status import StatusError, StatusWord
from center.editions import report_found, report_stolen
from center.keys import ORDERS_KEY
from center.models import RecordRow
from host.session import Attested
from host.terminal.renewal import shown
from tests.center.bank import Bank, Purse


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "center")


@pytest.fixture
def aoi(bank: Bank) -> Purse:
    """A card with 1000, four records that the center has not seen, and money both ways."""
    bag, aoi = bank.purse(initial=10_000), bank.purse()
    bank.pay(bag, aoi, 900)
    bank.pay(aoi, bag, 200)
    bank.pay(bag, aoi, 400)
    bank.pay(aoi, bag, 100)
    return aoi


def refuse(bank: Bank, attested: Attested, records: list[HistoryRecord], why: str) -> None:
    """The center refuses, and signs no credit."""
    card = attested.attestation.body.card
    with bank.center.session() as session:
        before = bank.center.row(session, card).credit_serial
    with pytest.raises(RefusedError, match=why):
        bank.line.renew(attested, records)
    with bank.center.session() as session:
        assert bank.center.row(session, card).credit_serial == before


def stored(bank: Bank, purse: Purse) -> int:
    """How many records of a card the center has."""
    with bank.center.session() as session:
        return session.query(RecordRow).filter_by(serial=purse.id.serial).count()


def test_credit_serial_grows_and_limits_begin_anew(bank: Bank, aoi: Purse) -> None:
    assert aoi.session().get_credit()[1].count == 2
    assert [bank.renew(aoi) for _ in range(3)] == [2, 3, 4]
    credit, used = aoi.session().get_credit()
    terms = bank.center.settings.terms[Role.PERSON]
    assert (credit.body.serial, credit.body.seen, used.count, used.amount) == (4, 4, 0, 0)
    assert (credit.body.count, credit.body.amount) == (terms.count, terms.amount)
    assert (credit.body.issued, credit.body.expiry) == (bank.time, bank.time + terms.days * 86400)


def test_a_card_that_attests_newer_credit_than_was_shown_gets_a_newer_one_still(bank: Bank, aoi: Purse) -> None:
    """A card takes no credit of a number that it has had; what it signs counts, not what a terminal shows of it."""
    early = shown(aoi.session())
    assert [bank.renew(aoi) for _ in range(3)] == [2, 3, 4]
    with bank.center.session() as session:
        bank.center.row(session, aoi.id).credit_serial = 1
    attested = aoi.session().attest(bank.line.begin_renewal(early).challenge)
    renewal = bank.line.renew(attested, [])
    assert renewal.credit.body.serial == 5
    aoi.session().put_credit(renewal.credit)


def test_the_history_goes_up_once(bank: Bank, aoi: Purse) -> None:
    bank.renew(aoi)
    assert stored(bank, aoi) == 4
    assert bank.begin(aoi).seen == 4
    bank.renew(aoi)
    assert stored(bank, aoi) == 4


def test_a_full_history_has_room_again(bank: Bank) -> None:
    bag, aoi = bank.purse(initial=10_000, history=200), bank.purse(history=16)

    def fill() -> None:
        for _ in range(20):
            bank.pay(bag, aoi, 1)

    with pytest.raises(StatusError) as full:
        fill()
    assert full.value.sw == StatusWord.HISTORY_FULL
    bank.renew(aoi)
    bank.pay(bag, aoi, 1)


def test_listed_cards_get_no_challenge(bank: Bank, aoi: Purse) -> None:
    report_stolen(bank.center, aoi.id)
    with pytest.raises(RefusedError, match="is listed"):
        bank.begin(aoi)
    report_found(bank.center, aoi.id)
    assert bank.renew(aoi) == 2


def test_a_card_that_is_listed_after_the_challenge_gets_nothing(bank: Bank, aoi: Purse) -> None:
    attested, records = bank.attest(aoi)
    report_stolen(bank.center, aoi.id)
    refuse(bank, attested, records, "is listed")


def test_a_locked_card_gets_nothing_though_it_is_off_the_list(bank: Bank, aoi: Purse) -> None:
    report_stolen(bank.center, aoi.id)
    bank.lock(aoi)
    report_found(bank.center, aoi.id)
    with pytest.raises((RefusedError, StatusError), match="locked out"):
        bank.renew(aoi)


def test_a_terminated_card_gets_nothing(bank: Bank, aoi: Purse) -> None:
    order = bank.center.keys.sign(TerminateOrder(ORDERS_KEY, aoi.id, bank.time))
    aoi.session().terminate(order, bank.time)
    with pytest.raises(StatusError):
        bank.renew(aoi)


def test_a_card_of_another_center_is_not_known(bank: Bank, tmp_path: Path) -> None:
    other = Bank(tmp_path / "other")
    stranger = [other.purse() for _ in range(3)][-1]
    with pytest.raises(RefusedError, match="not in this center's registry"):
        bank.begin(stranger)


def test_a_card_of_another_center_with_a_number_of_ours_is_seen(bank: Bank, aoi: Purse, tmp_path: Path) -> None:
    other = Bank(tmp_path / "other")
    other.purse()
    twin = other.purse()
    assert twin.id == aoi.id
    refuse(bank, *bank.attest(twin), "a certificate that it was not given")


# --- the challenge -----------------------------------------------------------------------------------------


def test_an_answer_counts_once(bank: Bank, aoi: Purse) -> None:
    attested, records = bank.attest(aoi)
    bank.line.renew(attested, records)
    refuse(bank, attested, [], "does not answer the challenge")


def test_an_answer_to_an_older_challenge_is_refused(bank: Bank, aoi: Purse) -> None:
    attested, records = bank.attest(aoi)
    assert bank.begin(aoi).challenge != attested.attestation.body.challenge
    refuse(bank, attested, records, "does not answer the challenge")


def test_a_challenge_of_the_terminals_own_is_refused(bank: Bank, aoi: Purse) -> None:
    bank.begin(aoi)
    refuse(bank, aoi.session().attest(bytes(16)), bank.attest(aoi)[1], "does not answer the challenge")


def test_without_a_challenge_nothing_is_renewed(bank: Bank, aoi: Purse) -> None:
    refuse(bank, aoi.session().attest(bytes(16)), [], "does not answer the challenge")


def test_a_failed_answer_uses_the_challenge_up(bank: Bank, aoi: Purse) -> None:
    botan = bank.purse()
    attested, records = bank.attest(aoi)
    crossed = Attested(botan.session().get_certificate(), attested.attestation)
    refuse(bank, crossed, records, "certificate")
    refuse(bank, attested, records, "does not answer the challenge")


def test_another_cards_attestation_is_refused(bank: Bank, aoi: Purse) -> None:
    botan = bank.purse()
    challenge = bank.begin(aoi).challenge
    refuse(bank, botan.session().attest(challenge), [], "does not answer the challenge")


def test_a_forged_attestation_is_refused(bank: Bank, aoi: Purse) -> None:
    attested, records = bank.attest(aoi)
    state = attested.attestation.body
    forged = Signed[Attestation].make(replace(state, balance=state.balance + 1), private_key(bytes(40)))
    refuse(bank, replace(attested, attestation=forged), records, "not signed by it")


def test_an_attestation_in_which_one_bit_is_changed_is_refused(bank: Bank, aoi: Purse) -> None:
    signed = bank.attest(aoi)[0].attestation.raw
    for at in (30, 60, len(signed) - 1):
        attested, records = bank.attest(aoi)
        raw = bytearray(attested.attestation.raw)
        raw[at] ^= 1
        changed = Signed.decode(Attestation, bytes(raw))
        refuse(bank, replace(attested, attestation=changed), records, "not signed by it")


# --- the records -------------------------------------------------------------------------------------------

Lie = Callable[[list[HistoryRecord]], list[HistoryRecord]]

LIES: dict[str, tuple[Lie, str]] = {
    "none at all": (lambda _: [], "a clone"),
    "without the first": (lambda records: records[1:], "record 1 is missing"),
    "without one in the middle": (lambda records: records[:1] + records[2:], "record 2 is missing"),
    "without the last": (lambda records: records[:-1], "a clone"),
    "two exchanged": (lambda records: [records[1], records[0], *records[2:]], "record 1 is missing"),
    "one twice": (lambda records: [records[0], *records], "record 2 is missing"),
    "one more": (lambda records: [*records, replace(records[-1], number=5, amount=0)], "a clone"),
    "another amount": (lambda records: [*records[:-1], replace(records[-1], amount=99)], "balance in record 4"),
    "another balance": (lambda records: [replace(records[0], balance=1), *records[1:]], "balance in record 1"),
    "another payee": (lambda records: [*records[:-1], replace(records[-1], counter=9)], "a clone"),
    "another date": (lambda records: [replace(records[0], date=1), *records[1:]], "a clone"),
    "paid turned into received": (
        lambda records: [records[0], replace(records[1], kind=Kind.RECEIVED, balance=1100), *records[2:]],
        "balance in record 3",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_records_that_are_not_the_cards_are_refused(bank: Bank, aoi: Purse, lie: str) -> None:
    attested, records = bank.attest(aoi)
    change, why = LIES[lie]
    refuse(bank, attested, change(records), why)
    assert stored(bank, aoi) == 0
    assert bank.renew(aoi) == 2


def test_a_clone_that_comes_second_is_refused(bank: Bank, aoi: Purse) -> None:
    clone, shop, other = aoi.clone(), bank.purse(Role.MERCHANT), bank.purse(Role.MERCHANT)
    bank.pay(aoi, shop, 10)
    bank.pay(clone, other, 20)
    bank.renew(aoi)
    with pytest.raises(RefusedError, match="does not go on from what the center has"):
        bank.renew(clone)


def test_the_original_is_refused_when_the_clone_was_first(bank: Bank, aoi: Purse) -> None:
    bank.renew(aoi)
    clone, shop, other = aoi.clone(), bank.purse(Role.MERCHANT), bank.purse(Role.MERCHANT)
    bank.pay(clone, shop, 10)
    bank.pay(aoi, other, 20)
    bank.pay(aoi, other, 30)
    bank.renew(clone)
    with pytest.raises(RefusedError, match=r"does not go on|balance in record"):
        bank.renew(aoi)


# --- a renewal that was cut --------------------------------------------------------------------------------


def test_a_renewal_that_was_cut_works_the_next_time(bank: Bank, aoi: Purse) -> None:
    lost = [bank.hand_in(aoi).credit.body.serial for _ in range(2)]
    assert aoi.session().get_credit()[0].body.serial == 1
    assert [*lost, bank.renew(aoi)] == [2, 3, 4]


def test_a_cut_renewal_then_more_payments(bank: Bank, aoi: Purse) -> None:
    shop = bank.purse(Role.MERCHANT)
    bank.hand_in(aoi)
    bank.pay(aoi, shop, 10)
    assert bank.renew(aoi) == 3
    assert stored(bank, aoi) == 5


def test_credit_that_comes_late_is_the_cards_but_an_older_one_is_not(bank: Bank, aoi: Purse) -> None:
    late, later = bank.hand_in(aoi).credit, bank.hand_in(aoi).credit
    aoi.session().put_credit(later)
    with pytest.raises(StatusError, match="950D"):
        aoi.session().put_credit(late)


def test_credit_for_another_card_is_not_taken(bank: Bank, aoi: Purse) -> None:
    botan = bank.purse()
    with pytest.raises(StatusError, match="950C"):
        botan.session().put_credit(bank.hand_in(aoi).credit)
