"""Which cards can be tested, and how a card that was tested before is met again."""

import pytest

from apdu.commands import Ins
from apdu.errors import MisbehaviourError, RefusedError
from apdu.identity import LifeCycle, Role
from apdu.protocol import Protocol
from host.issuer_session import IssuerData
from host.model import ModelSlot
from host.session import pin_block
from saifu.conformance.issuer import PIN, STATIC, Issuer
from saifu.conformance.stand import SERIAL, Stand
from saifu.conformance.subject import Subject, UnmetError
from tests.saifu.conformance.cards import ISSUER, Spoil, active, blank_card, stand_of, subject_of

protocols = pytest.mark.parametrize("protocol", Protocol)


def test_a_card_of_another_issuer_is_left_alone() -> None:
    slot = Issuer(7).purse(2)
    with pytest.raises(RefusedError, match="personalized by somebody else"):
        Subject(slot, ISSUER, STATIC)


def test_a_card_that_only_claims_the_test_issuers_number_is_left_alone() -> None:
    slot = Issuer(0xFFFF, seed=1).purse(2, Role.PERSON)
    with pytest.raises(RefusedError, match="personalized by somebody else"):
        Subject(slot, ISSUER, STATIC)


@pytest.mark.parametrize(("serial", "limit", "told"), [(77, 5000, "serial 2"), (SERIAL, 5001, "other parameters")])
def test_a_card_that_others_made_with_the_test_issuers_keys_is_left_alone(serial: int, limit: int, told: str) -> None:
    card, asked = blank_card(), set[int]()
    ISSUER.personalize(card, ISSUER.parameters(serial, pin_above=limit))

    def spoil(command: bytes, answer: bytes) -> bytes:
        asked.add(command[1])
        return answer

    card.spoil = spoil
    with pytest.raises(RefusedError, match=told):
        subject_of(card)
    assert asked == {Ins.SELECT, Ins.GET_DATA}


def test_a_card_with_another_resetting_code_is_refused_and_told_what_that_costs() -> None:
    card = blank_card()
    data = IssuerData(ISSUER.parameters(SERIAL), ISSUER.keys, PIN, pin_block("87654321"))
    stand = stand_of(card)
    stand.secure().personalize(data, stand.certify)
    with pytest.raises(RefusedError, match="resetting code of test cards") as caught:
        subject_of(card)
    assert "cost it a try" in str(caught.value)
    assert "8765" not in str(caught.value)


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


# --- cards that cannot be met ------------------------------------------------------------------------------


def said(ins: Ins, answer: str) -> Spoil:
    return lambda command, right: bytes.fromhex(answer) if command[1] == ins else right


UNMET: list[tuple[str, Spoil]] = [
    ("SELECT", said(Ins.SELECT, "6D00")),
    ("SELECT", said(Ins.SELECT, "6F00 9000")),
    ("SELECT", said(Ins.SELECT, "00" * 300 + "9000")),
    ("GET DATA", said(Ins.GET_DATA, "6982")),
    ("GET DATA", said(Ins.GET_DATA, "9501 9000")),
    ("INITIALIZE UPDATE", said(Ins.INITIALIZE_UPDATE, "6D00")),
    ("INITIALIZE UPDATE", said(Ins.INITIALIZE_UPDATE, "00" * 28 + "9000")),
]


@pytest.mark.parametrize(("clause", "spoil"), UNMET)
def test_what_no_card_says_of_itself_is_told_with_its_clause(clause: str, spoil: Spoil) -> None:
    card = blank_card()
    card.spoil = spoil
    with pytest.raises(UnmetError) as caught:
        subject_of(card)
    assert caught.value.clause == clause


def test_a_personalized_card_that_declines_what_it_must_tell_is_told_too() -> None:
    card, _ = active()
    card.spoil = said(Ins.READ_RECORD, "6D00")
    with pytest.raises(UnmetError):
        subject_of(card)


def test_a_card_that_answers_nothing_in_the_clear_behind_initialize_update_is_met() -> None:
    """A case says that this is wrong; it needs a card that was met."""
    card = blank_card()
    begun: list[bytes] = []

    def spoil(command: bytes, answer: bytes) -> bytes:
        if command[1] == Ins.INITIALIZE_UPDATE:
            begun.append(command)
        return b"\x69\x82" if begun and command[1] == Ins.GET_DATA else answer

    card.spoil = spoil
    assert subject_of(card).state is LifeCycle.BLANK
