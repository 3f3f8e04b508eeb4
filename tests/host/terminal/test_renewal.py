"""Renewal of credit over the line, fig. 7: challenge, attested state, history, new credit, resolutions."""

from itertools import count
from pathlib import Path

import pytest

from apdu.errors import MisbehaviourError, ReaderError, RefusedError
from apdu.objects import HistoryRecord
from center.editions import report_stolen
from center.line import LocalLine
from host.session import Attested, PurseSession
from host.terminal.line import Renewal, RenewalChallenge, Shown
from host.terminal.renewal import renew
from tests.host.terminal.faults import Lost
from tests.host.terminal.town import Card, HookedSlot, Town
from tests.issuer import NOW


class Watched(LocalLine):
    """The real line, and what went over it."""

    def __init__(self, town: Town) -> None:
        super().__init__(town.center)
        self.sent: list[list[int]] = []

    def renew(self, attested: Attested, records: list[HistoryRecord]) -> Renewal:
        self.sent.append([record.number for record in records])
        return super().renew(attested, records)


def pay(payer: Card, payee: Card, amount: int) -> None:
    one, other = payer.look(), payee.look()
    one.settle(other.receive(one.pay(other.request(amount, one.card, NOW), NOW), NOW))


def test_the_credit_is_new_and_the_counts_begin_anew(town: Town) -> None:
    payer, payee = town.card(1000), town.card()
    pay(payer, payee, 100)
    town.clock.now += 60
    credit = renew(payer.look(), town.line, NOW)
    signed, used = payer.look().get_credit()
    assert signed.body == credit
    assert (credit.serial, credit.issued, credit.seen) == (2, NOW + 60, 2)
    assert (used.count, used.amount) == (0, 0)


def test_only_unseen_records_go_up_oldest_first(town: Town) -> None:
    payer, payee, line = town.card(1000), town.card(), Watched(town)
    pay(payer, payee, 100)
    pay(payer, payee, 100)
    renew(payer.look(), line, NOW)
    renew(payer.look(), line, NOW)
    pay(payer, payee, 100)
    renew(payer.look(), line, NOW)
    assert line.sent == [[1, 2, 3], [], [4]]


def test_a_stolen_card_is_not_renewed_and_is_as_it_was(town: Town) -> None:
    card = town.card(1000)
    before = card.backing.image()
    report_stolen(town.center, card.id)
    with pytest.raises(RefusedError, match="is listed"):
        renew(card.look(), town.line, NOW)
    assert card.backing.image() == before


def test_a_card_that_was_stolen_between_challenge_and_answer_is_not_renewed(town: Town) -> None:
    card = town.card(1000)

    class Late(LocalLine):
        def begin_renewal(self, shown: Shown) -> RenewalChallenge:
            begun = super().begin_renewal(shown)
            report_stolen(town.center, shown.card)
            return begun

    with pytest.raises(RefusedError, match="is listed"):
        renew(card.look(), Late(town.center), NOW)
    assert card.look().get_credit()[0].body.serial == 1


def test_another_centers_card_is_not_renewed(town: Town, tmp_path: Path) -> None:
    other = Town(tmp_path / "other")
    stranger = [other.card() for _ in range(3)][-1]
    with pytest.raises(RefusedError, match="not in this center's registry"):
        renew(stranger.look(), town.line, NOW)


def test_a_clone_is_found(town: Town) -> None:
    card, shop, other_shop = town.card(1000), town.card(), town.card()
    clone = card.copy()
    pay(card, shop, 100)
    renew(card.look(), town.line, NOW)
    pay(clone, other_shop, 300)
    with pytest.raises(RefusedError, match="a clone"):
        renew(clone.look(), town.line, NOW)


def test_a_card_that_lost_records_is_told(town: Town) -> None:
    card, line = town.card(1000), Watched(town)

    class Forgetful(PurseSession):
        def attest(self, challenge: bytes) -> Attested:
            card.put("record", 0xFFFF)
            return super().attest(challenge)

    with pytest.raises(MisbehaviourError, match="has lost 65535 records"):
        renew(Forgetful(card.slot("atm").connect()), line, NOW)
    assert line.sent == []


def test_the_center_settles_what_the_payee_has_shown_it(town: Town) -> None:
    """The payer's card is pulled out after RECEIVE; payee and payer then come to the ATM, one after the other."""
    payer, payee = town.card(1000), town.card()
    one, other = payer.look(), payee.look()
    other.receive(one.pay(other.request(100, one.card, NOW), NOW), NOW)
    renew(payer.look(), town.line, NOW)
    assert payer.unsettled == 100
    renew(payee.look(), town.line, NOW)
    renew(payer.look(), town.line, NOW)
    assert (payer.balance, payer.unsettled, payee.balance) == (900, 0, 100)


def test_the_center_gives_back_what_can_never_arrive(town: Town) -> None:
    """The payer's card is pulled out after PAY; the payee's request is closed by another one, and attested."""
    payer, payee, third = town.card(1000), town.card(), town.card(500)
    one, other = payer.look(), payee.look()
    one.pay(other.request(100, one.card, NOW), NOW)
    pay(third, payee, 50)
    renew(payer.look(), town.line, NOW)
    assert payer.unsettled == 100
    renew(payee.look(), town.line, NOW)
    renew(payer.look(), town.line, NOW)
    assert (payer.balance, payer.unsettled, payee.balance) == (1000, 0, 50)


def renewed(slot: HookedSlot, town: Town) -> bool:
    try:
        renew(PurseSession(slot.connect()), town.line, NOW)
    except ReaderError:
        return False
    return True


@pytest.mark.parametrize("answered", [False, True])
def test_a_renewal_that_was_cut_can_be_done_again(town: Town, answered: bool) -> None:
    """Every command of it is lost once, or its answer is."""
    card, shop = town.card(1000), town.card()
    for at in count():
        pay(card, shop, 10)
        lost = Lost(answered=answered, at=at)
        if renewed(HookedSlot(card.slot("atm"), lost), town):
            assert not lost.gone
            shown = ("GET DATA",) * 3
            assert at == len(("SELECT", *shown, "ATTEST", "GET RESPONSE", "GET DATA", "READ RECORD", "PUT CREDIT"))
            break
        renew(card.look(), town.line, NOW)
    assert card.look().get_counters().seen == card.look().get_counters().record
