"""PurseSession: a method for each command, on real cards of either protocol; and what it makes of bad answers."""

import pytest

from apdu import ber
from apdu.errors import FormatError, MisbehaviourError, RefusedError
from apdu.identity import LifeCycle, Role
from apdu.messages import Receipt, Signed, TerminateOrder, UnlockOrder
from apdu.objects import Kind, PurseStatus
from apdu.payload import Tag, pack
from apdu.status import StatusError, StatusWord
from applet_model.backing import MemoryBacking
from applet_model.card import Protocol, SmartCard
from host.model import ModelSlot, memory_card
from host.session import PurseSession, pin_block
from tests.applet_model.purses import ISSUER, personalized
from tests.host.script import Script, pieces
from tests.issuer import CHIP, EUR, FAR, NOW, ORDERS, PIN, PUK

NEW_PIN = pin_block("778899")


@pytest.fixture(params=list(Protocol), ids=lambda protocol: protocol.name)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    wanted = request.param
    assert isinstance(wanted, Protocol)
    return wanted


def purse(protocol: Protocol, serial: int = 1, initial: int = 0, role: Role = Role.PERSON) -> PurseSession:
    card = SmartCard(MemoryBacking(personalized(serial, role, initial)), protocol=protocol)
    return PurseSession(ModelSlot(f"card {serial}", card).connect())


# --- every command -----------------------------------------------------------------------------------------


def test_select_tells_card_and_status(protocol: Protocol) -> None:
    session = purse(protocol, 1, initial=700)
    assert session.card == ISSUER.id(1)
    assert session.selected.status == PurseStatus(LifeCycle.ACTIVE, 0, 700, 0)


def test_data_objects(protocol: Protocol) -> None:
    session = purse(protocol)
    assert session.get_parameters() == ISSUER.parameters(1)
    assert session.get_certificate().verify(ISSUER.keys[0].point).subject == ISSUER.id(1)
    assert session.get_credit()[0] == ISSUER.credit(1, 1)
    assert (session.get_credit()[1].count, session.get_head(), session.get_unsettled()) == (0, None, [])
    assert (session.get_capacities().history, session.get_capacities().unsettled) == (64, 4)
    assert (session.get_counters().record, session.get_counters().requests) == (0, 0)
    assert (session.get_reference_data().pin_tries, session.get_reference_data().verified) == (3, 0)


def test_a_payment_and_its_history(protocol: Protocol) -> None:
    payer, payee = purse(protocol, 1, initial=1000), purse(protocol, 2)
    requested = payee.request(300, payer.card, NOW)
    assert (requested.request.amount, requested.request.currency) == (300, EUR)
    paid = payer.pay(requested, NOW)
    assert [(entry.payee, entry.amount) for entry in payer.get_unsettled()] == [(payee.card, 300)]
    assert payer.give_again(1) == paid
    answer = payee.receive(paid, NOW)
    assert isinstance(answer.body, Receipt)
    payer.settle(answer)
    assert payer.get_unsettled() == []
    assert [(record.kind, record.amount) for record in payer.history(10)] == [(Kind.PAID, 300)]
    assert payee.read_record(0).kind is Kind.RECEIVED
    with pytest.raises(StatusError) as missing:
        payee.read_record(1)
    assert missing.value.sw == StatusWord.RECORD_NOT_FOUND


def test_the_history_is_read_newest_first_and_no_longer_than_asked(protocol: Protocol) -> None:
    payer, payee = purse(protocol, 1, initial=1000), purse(protocol, 2)
    for amount in (1, 2, 3):
        payer.settle(payee.receive(payer.pay(payee.request(amount, payer.card, NOW), NOW), NOW))
    assert [record.amount for record in payer.history(2)] == [3, 2]


def test_pin_and_resetting_code(protocol: Protocol) -> None:
    session = purse(protocol)
    session.verify(PIN)
    assert session.get_reference_data().verified
    session.change_reference_data(PIN, NEW_PIN)
    with pytest.raises(StatusError) as wrong:
        session.verify(PIN)
    assert wrong.value.sw == 0x63C2
    session.reset_retry_counter(PUK, PIN)
    session.verify(PIN)


def test_credit_and_attestation(protocol: Protocol) -> None:
    session = purse(protocol)
    session.put_credit(ISSUER.credit(1, 2))
    assert session.get_credit()[0].body.serial == 2
    attested = session.attest(bytes(range(16)))
    state = attested.attestation.verify(attested.certificate.body.point)
    assert (state.card, state.challenge, state.credit) == (session.card, bytes(range(16)), 2)


def test_date_lock_out_unlock_terminate(protocol: Protocol) -> None:
    session, edition = purse(protocol), ISSUER.edition(4, 1, 70_000, time=NOW + 7)
    session.put_date(edition.head)
    assert (session.get_head(), session.get_counters().date) == (edition.head, NOW + 7)
    session.lock_out(edition.head, edition.tree.prove(1))
    assert session.select().status.state is LifeCycle.LOCKED_OUT
    session.unlock(Signed.make(UnlockOrder(ORDERS, session.card, 5), ISSUER.orders))
    assert session.select().status.state is LifeCycle.ACTIVE
    session.terminate(Signed.make(TerminateOrder(ORDERS, session.card, FAR), ISSUER.orders), NOW)
    assert session.select().status.state is LifeCycle.TERMINATED


def test_an_error_names_the_command_and_says_what_it_means(protocol: Protocol) -> None:
    payer, payee = purse(protocol, 1), purse(protocol, 2)
    with pytest.raises(StatusError, match=r"^PAY: too little money \(9504\)$") as declined:
        payer.pay(payee.request(1, payer.card, NOW), NOW)
    assert (declined.value.command, declined.value.word) == ("PAY", StatusWord.INSUFFICIENT_MONEY)


def test_a_blank_card_has_no_id() -> None:
    session = PurseSession(ModelSlot("slot", memory_card(CHIP)).connect())
    assert session.selected.status.state is LifeCycle.BLANK
    with pytest.raises(RefusedError, match="personalize it first"):
        assert session.card


def test_nothing_is_remembered_that_the_card_knows() -> None:
    payer, payee = purse(Protocol.T1, 1, initial=1000), purse(Protocol.T1, 2)
    payer.pay(payee.request(300, payer.card, NOW), NOW)
    assert payer.selected.status.balance == 1000
    assert payer.select().status.balance == 700
    assert payer.selected.status.unsettled == 1


@pytest.mark.parametrize("digits", ["", "123", "123456789", "12x4", "\uff11\uff12\uff13\uff14"])
def test_a_pin_that_is_none_is_not_repeated(digits: str) -> None:
    with pytest.raises(FormatError) as told:
        pin_block(digits)
    assert str(told.value) == "a PIN has 4 to 8 digits"


def test_a_pin_block_is_filled_up() -> None:
    assert pin_block("1234") == b"1234\xff\xff\xff\xff"
    assert pin_block("12345678") == b"12345678"


# --- answers that no honest card gives -----------------------------------------------------------------------

STATUS = PurseStatus(LifeCycle.ACTIVE, 0, 700, 0).encode()
OBJECTS = pack({Tag.CARD_ID: ISSUER.id(1), Tag.STATUS: STATUS})
FCI = ber.encode(0x6F, ber.encode(0x84, b"\xf0SAIFU") + ber.encode(0xA5, OBJECTS))
OK = b"\x90\x00"


def test_the_fci_of_this_file_is_a_good_one() -> None:
    assert PurseSession(Script(FCI + OK)).card == ISSUER.id(1)


def in_fci(objects: bytes) -> bytes:
    return ber.encode(0x6F, ber.encode(0xA5, objects))


HOSTILE_FCI = {
    "nothing": b"",
    "one byte": b"\x6f",
    "indefinite length": b"\x6f\x80" + FCI[2:] + b"\0\0",
    "length of 4 GiB": b"\x6f\x84\xff\xff\xff\xff" + FCI[2:],
    "length beyond the end": b"\x6f\x7f" + FCI[2:],
    "cut in a length": b"\x6f\x82\x01",
    "cut in a tag": b"\x7f",
    "a tag of 50 bytes": b"\x7f" + b"\xff" * 49 + b"\x01\x00",
    "10,000 templates in each other": b"\x6f\x80" * 10_000,
    "60,000 empty objects": b"\x6f\x00" * 30_000,
    "two FCIs": FCI + FCI,
    "two proprietary templates": ber.encode(0x6F, 2 * ber.encode(0xA5, OBJECTS)),
    "no proprietary template": ber.encode(0x6F, ber.encode(0x84, b"\xf0SAIFU")),
    "a byte too many": FCI + b"\x00",
    "two statuses": in_fci(OBJECTS + pack({Tag.STATUS: STATUS})),
    "two card IDs": in_fci(OBJECTS + pack({Tag.CARD_ID: ISSUER.id(2)})),
    "no status": in_fci(pack({Tag.CARD_ID: ISSUER.id(1)})),
    "no card ID on an active card": in_fci(pack({Tag.STATUS: STATUS})),
    "an unknown object": in_fci(OBJECTS + b"\xbf\x01\x00"),
    "a life cycle that is none": in_fci(pack({Tag.CARD_ID: ISSUER.id(1), Tag.STATUS: b"\x77" + STATUS[1:]})),
    "a short card ID": in_fci(pack({Tag.CARD_ID: b"\0" * 5, Tag.STATUS: STATUS})),
    "a long status": in_fci(pack({Tag.CARD_ID: ISSUER.id(1), Tag.STATUS: STATUS + b"\0"})),
    "an object cut off": in_fci(OBJECTS[:-1]),
}


@pytest.mark.parametrize("name", HOSTILE_FCI)
def test_a_hostile_fci_is_told_to_be_one(name: str) -> None:
    card = Script(*pieces(HOSTILE_FCI[name]))
    with pytest.raises(MisbehaviourError):
        PurseSession(card)
    assert len(card.sent) <= 262


@pytest.mark.parametrize("sw", [0x6A82, 0x6999, 0x6F00, 0x0000, 0xFFFF])
def test_select_that_is_declined_is_told_with_its_word(sw: int) -> None:
    with pytest.raises(StatusError) as declined:
        PurseSession(Script(FCI + sw.to_bytes(2)))
    assert declined.value.sw == sw


def test_another_id_at_the_next_select_is_another_card() -> None:
    session = PurseSession(Script(FCI + OK, FCI.replace(ISSUER.id(1), ISSUER.id(2)) + OK))
    with pytest.raises(MisbehaviourError, match=f"card {ISSUER.id(1)} calls itself {ISSUER.id(2)} now"):
        session.select()
    assert session.card == ISSUER.id(1)


def test_more_unsettled_transfers_than_any_card_may_keep() -> None:
    entry = (1).to_bytes(4) + ISSUER.id(2) + (5).to_bytes(4)
    for number, allowed in ((8, True), (9, False), (4000, False)):
        session = PurseSession(Script(FCI + OK, *pieces(pack({Tag.UNSETTLED: entry * number}))))
        if allowed:
            assert len(session.get_unsettled()) == number
            continue
        with pytest.raises(MisbehaviourError, match="more than 8"):
            session.get_unsettled()


def test_a_history_longer_than_any_card_may_keep() -> None:
    capacities = b"\x01" + (1025).to_bytes(2) + b"\x04" + (1024).to_bytes(2)
    with pytest.raises(MisbehaviourError, match="a history of 1025 records"):
        PurseSession(Script(FCI + OK, pack({Tag.CAPACITIES: capacities}) + OK)).get_capacities()


@pytest.mark.parametrize("answer", [b"", b"\x88\x00", b"\x88\x01x", b"\x00\x00", b"\xff" * 200])
def test_an_answer_of_the_wrong_kind_to_every_command(answer: bytes) -> None:
    session = PurseSession(Script(FCI + OK, answer + OK))
    honest, other = purse(Protocol.T1, 3, initial=1000), purse(Protocol.T1, 2)
    requested = other.request(5, honest.card, NOW)
    paid = honest.pay(requested, NOW)
    commands = (
        session.get_parameters, session.get_counters, session.get_certificate, session.get_credit,
        session.get_capacities, session.get_reference_data, session.get_unsettled, session.get_head,
        lambda: session.read_record(0), lambda: session.request(5, other.card, NOW),
        lambda: session.pay(requested, NOW), lambda: session.give_again(1), lambda: session.receive(paid, NOW),
        lambda: session.attest(bytes(16)),
    )  # fmt: skip
    for command in commands:
        with pytest.raises(MisbehaviourError):
            command()


def test_a_receipt_and_a_refusal_at_once_are_neither() -> None:
    payer, payee = purse(Protocol.T1, 3, initial=1000), purse(Protocol.T1, 2)
    paid = payer.pay(payee.request(5, payer.card, NOW), NOW)
    receipt = payee.receive(paid, NOW).raw
    both = pack({Tag.RECEIPT: receipt, Tag.REFUSAL: receipt})
    session = PurseSession(Script(FCI + OK, both + OK))
    with pytest.raises(MisbehaviourError, match="neither a receipt nor a refusal"):
        session.receive(paid, NOW)
