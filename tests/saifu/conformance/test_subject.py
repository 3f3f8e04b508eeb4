"""Which cards can be tested, and how a card that was tested before is met again."""

import pytest

from apdu.errors import MisbehaviourError, RefusedError
from apdu.identity import LifeCycle, Role
from apdu.protocol import Protocol
from host.model import ModelSlot
from saifu.conformance.issuer import PIN, STATIC, Issuer
from saifu.conformance.stand import Stand
from saifu.conformance.subject import Subject
from tests.saifu.conformance.cards import ISSUER, active, blank_card, stand_of, subject_of

protocols = pytest.mark.parametrize("protocol", Protocol)


def test_a_card_of_another_issuer_is_left_alone() -> None:
    slot = Issuer(7).purse(2)
    with pytest.raises(RefusedError, match="personalized by somebody else"):
        Subject(slot, ISSUER, STATIC)


def test_a_card_that_only_claims_the_test_issuers_number_is_left_alone() -> None:
    slot = Issuer(0xFFFF, seed=1).purse(2, Role.PERSON)
    with pytest.raises(RefusedError, match="personalized by somebody else"):
        Subject(slot, ISSUER, STATIC)


def test_a_terminated_card_is_refused() -> None:
    card, stand = active()
    stand.terminate()
    with pytest.raises(RefusedError, match="terminated"):
        subject_of(card)


@protocols
@pytest.mark.parametrize("history", [8, 64])
def test_a_card_that_did_business_is_met_again(protocol: Protocol, history: int) -> None:
    card, stand = active(protocol, history)
    for _ in range(5):
        stand.take(100)
    waiting = stand.paid(stand.asked_by(stand.other(), 250))
    again = Stand(subject_of(card))
    again.audit()
    again.card.session().give_again(waiting.value.body.counter)
    again.ready(700)
    again.verify(PIN)
    again.audit()


def test_a_locked_card_is_met_again_and_unlocked() -> None:
    card, stand = active()
    stand.lock_out()
    again = Stand(subject_of(card))
    assert again.card.state is LifeCycle.LOCKED_OUT
    again.ready(700)
    again.audit()


def test_a_card_in_the_middle_of_personalization_is_begun_anew() -> None:
    card = blank_card()
    stand_of(card).begun()
    again = Stand(subject_of(card))
    assert again.card.state is LifeCycle.PERSONALIZATION
    again.personalize()
    again.audit()


def test_a_wrong_pin_on_the_card_is_put_right_by_the_resetting_code() -> None:
    card, stand = active()
    stand.card.session().change_reference_data(PIN, b"5555\xff\xff\xff\xff")
    again = Stand(subject_of(card))
    again.card.fresh()
    again.verify(PIN)


def test_the_protocol_is_the_slots() -> None:
    assert subject_of(blank_card(Protocol.T0)).twin.protocol is Protocol.T0
    assert Subject(ModelSlot("slot", blank_card()), ISSUER, STATIC).twin.protocol is Protocol.T1


@pytest.mark.parametrize("capacities", ["0100070404", "0100100904", "01FFFF0404", "0100100004"])
def test_capacities_that_no_purse_has_are_told_and_nothing_is_built_on_them(capacities: str) -> None:
    card = blank_card()
    said = bytes.fromhex("9506" + capacities.ljust(12, "0") + "9000")
    card.spoil = lambda command, answer: said if command[:4] == b"\x00\xca\x01\x07" else answer
    with pytest.raises(MisbehaviourError, match="GET DATA 0107"):
        subject_of(card)


def test_more_unsettled_transfers_than_places_are_told() -> None:
    card, stand = active(unsettled=1)
    stand.paid(stand.asked_by(stand.other(), 100))
    entry = bytes.fromhex("00000063FFFF0000000700000001")

    def spoil(command: bytes, answer: bytes) -> bytes:
        """GET DATA 0106 with an entry more."""
        if command[:4] != b"\x00\xca\x01\x06" or len(answer) < 4:
            return answer
        return bytes((answer[0], answer[1] + len(entry))) + answer[2:-2] + entry + answer[-2:]

    card.spoil = spoil
    with pytest.raises(MisbehaviourError, match="GET DATA 0106"):
        stand.card.meet()
