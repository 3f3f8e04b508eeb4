"""SELECT and GET DATA: what the card tells about itself, in every state, and that it tells the same everywhere."""

import pytest

from apdu import ber
from apdu.commands import CHAIN_CAPACITY, DATA_OBJECTS, DataObject, Ins
from apdu.identity import AID, CardId, LifeCycle
from apdu.messages import Certificate, Credit, Head, Signed
from apdu.objects import Capacities, Counters, CreditUsed, Parameters, PurseStatus, ReferenceData, UnsettledEntry
from apdu.payload import Tag, unpack
from apdu.signature import SIGNATURE_SIZE
from tests.applet_model.cards import ISSUER, SERIAL, CopiedCard, image_in, purse, session
from tests.issuer import NOW

STATES = list(LifeCycle)
NEW = (LifeCycle.BLANK, LifeCycle.PERSONALIZATION)
WORDS = {LifeCycle.LOCKED_OUT: 0x6283, LifeCycle.TERMINATED: 0x6285}
every_state = pytest.mark.parametrize("state", STATES)


def card_in(state: LifeCycle) -> CopiedCard:
    return CopiedCard(image_in(state)).selected()


def select(card: CopiedCard, name: bytes = AID, p2: int = 0x00) -> tuple[bytes, int]:
    response = card.send(0x00, Ins.SELECT, 0x04, p2, name, 256)
    return response.data, response.sw


def get_data(card: CopiedCard, number: int) -> tuple[bytes, int]:
    response = card.send(0x00, Ins.GET_DATA, number >> 8, number & 0xFF, ne=256)
    return response.data, response.sw


# --- SELECT ------------------------------------------------------------------------------------------------


@every_state
def test_fci(state: LifeCycle) -> None:
    """6F {84 name, A5 {80 card ID, 81 status}}: templates of ISO 7816-4, with the objects of GET DATA inside."""
    fci, sw = select(card_in(state))
    assert sw == WORDS.get(state, 0x9000)
    assert [tag for tag, _ in ber.decode(fci)] == [0x6F]
    assert [tag for tag, _ in ber.decode(ber.find(fci, 0x6F))] == [0x84, 0xA5]
    assert ber.find(fci, 0x6F, 0x84) == AID
    objects = ber.decode(ber.find(fci, 0x6F, 0xA5))
    assert [tag for tag, _ in objects] == ([0x81] if state in NEW else [0x80, 0x81])
    assert PurseStatus.decode(dict(objects)[Tag.STATUS]) == PurseStatus(
        state, 0, 0, 1 if state is LifeCycle.LOCKED_OUT else 0
    )
    if state not in NEW:
        assert CardId(dict(objects)[Tag.CARD_ID]) == ISSUER.id(SERIAL)


@every_state
def test_fci_proprietary_data_is_get_data_0100(state: LifeCycle) -> None:
    card = card_in(state)
    assert get_data(card, 0x0100) == (ber.find(select(card)[0], 0x6F, 0xA5), 0x9000)


@every_state
def test_without_fci(state: LifeCycle) -> None:
    assert select(card_in(state), p2=0x0C) == (b"", WORDS.get(state, 0x9000))


@every_state
def test_without_a_name_the_purse_is_meant(state: LifeCycle) -> None:
    """The first command of opensc-tool and gp, with Le and without."""
    card = CopiedCard(image_in(state))
    card.power_on()
    fci, sw = select(card, b"")
    assert (fci, sw) == select(card)
    assert get_data(card, 0x0107)[1] == 0x9000
    assert card.transmit(b"\x00\xa4\x04\x00") == bytes((0x61, len(fci)))
    assert card.transmit(b"\x00\xc0\x00\x00\x00") == fci + sw.to_bytes(2)


@pytest.mark.parametrize("name", [AID[:5], AID + b"\0", AID[:-1] + b"X", b"\xa0\0\0\0\3", AID.lower(), AID * 2])
def test_other_names_are_not_found_and_what_is_selected_stays(name: bytes) -> None:
    card = CopiedCard(image_in(LifeCycle.ACTIVE))
    card.power_on()
    assert select(card, name) == (b"", 0x6A82)
    assert get_data(card, 0x0100)[1] == 0x6985
    select(card)
    assert select(card, name) == (b"", 0x6A82)
    assert get_data(card, 0x0100)[1] == 0x9000


def test_status_follows_the_purse() -> None:
    payer, payee = session(purse(1, 1_000)), session(purse(2))
    payer.pay(payee.request(100, payer.card, NOW), NOW)
    payer.put_date(ISSUER.edition(5).head)
    assert payer.select().status == PurseStatus(LifeCycle.ACTIVE, 1, 900, 5)


# --- GET DATA ----------------------------------------------------------------------------------------------


@every_state
@pytest.mark.parametrize("row", DATA_OBJECTS, ids=lambda row: row.name)
def test_objects_are_there_in_the_states_of_the_table(state: LifeCycle, row: DataObject) -> None:
    data, sw = get_data(card_in(state), row.number)
    if state not in row.states:
        assert (data, sw) == (b"", 0x6985)
    elif row.number == 0x0105 and state is not LifeCycle.LOCKED_OUT:
        assert (data, sw) == (b"", 0x6A88)
    else:
        gives = {*row.gives} - ({Tag.CARD_ID} if state in NEW else set())
        assert (unpack(data, row.gives, row.gives) if state not in NEW else unpack(data, gives)).keys() == gives
        assert sw == 0x9000


SIZES = {
    Tag.CARD_ID: CardId.SIZE,
    Tag.STATUS: PurseStatus.SIZE,
    Tag.PARAMETERS: Parameters.SIZE,
    Tag.COUNTERS: Counters.SIZE,
    Tag.CERTIFICATE: Certificate.SIZE + SIGNATURE_SIZE,
    Tag.CREDIT: Credit.SIZE + SIGNATURE_SIZE,
    Tag.CREDIT_USED: CreditUsed.SIZE,
    Tag.HEAD: Head.SIZE + SIGNATURE_SIZE,
    Tag.UNSETTLED: 0,
    Tag.CAPACITIES: Capacities.SIZE,
    Tag.REFERENCE_DATA: ReferenceData.SIZE,
}


@pytest.mark.parametrize("row", DATA_OBJECTS, ids=lambda row: row.name)
def test_objects_have_their_sizes_and_fit_a_short_answer(row: DataObject) -> None:
    data, _ = get_data(card_in(LifeCycle.LOCKED_OUT), row.number)
    assert {tag: len(value) for tag, value in unpack(data, row.gives).items()} == {tag: SIZES[tag] for tag in row.gives}
    assert len(data) <= 256


def test_the_most_unsettled_transfers_fit_a_short_answer() -> None:
    payer, payee = session(purse(1, 1_000, unsettled=8, history=64)), session(purse(2))
    for amount in range(1, 9):
        payer.pay(payee.request(amount, payer.card, NOW), NOW)
    assert payer.get_unsettled() == [UnsettledEntry(n, payee.card, n) for n in range(1, 9)]


def test_unsettled_transfers_are_told_oldest_first() -> None:
    """The place of a settled one is used again; the order is that of the counters."""
    payer, payee = session(purse(1, 1_000, unsettled=3)), session(purse(2))
    first = payer.pay(payee.request(1, payer.card, NOW), NOW)
    payer.pay(payee.request(2, payer.card, NOW), NOW)
    payer.settle(payee.receive(first, NOW))
    payer.pay(payee.request(3, payer.card, NOW), NOW)
    assert [entry.counter for entry in payer.get_unsettled()] == [2, 3]


def test_personalized_data() -> None:
    card = session(CopiedCard(image_in(LifeCycle.ACTIVE)))
    certificate, (credit, used) = card.get_certificate(), card.get_credit()
    assert card.get_parameters() == ISSUER.parameters(SERIAL)
    assert certificate.verify(ISSUER.keys[0].point).subject == ISSUER.id(SERIAL)
    assert (credit, used) == (ISSUER.credit(SERIAL, 1), CreditUsed(0, 0))
    assert card.get_reference_data() == ReferenceData(3, 10, 0)


def test_counters_of_a_new_purse() -> None:
    counters = session(CopiedCard(image_in(LifeCycle.ACTIVE))).get_counters()
    assert (counters.payments, counters.requests, counters.open, counters.record, counters.seen) == (0,) * 5
    assert counters.date == NOW


def test_counters_follow_the_purse() -> None:
    payer, payee = session(purse(1, 1_000)), session(purse(2))
    paid = payer.pay(payee.request(100, payer.card, NOW), NOW)
    before = payee.get_counters()
    payee.receive(paid, NOW)
    after = payee.get_counters()
    assert (before.requests, before.open, before.record) == (1, 1, 0)
    assert (after.requests, after.open, after.record) == (1, 0, 1)
    assert (payer.get_counters().payments, payer.get_credit()[1]) == (1, CreditUsed(1, 100))


@pytest.mark.parametrize(("history", "unsettled"), [(8, 1), (64, 4), (1024, 8)])
def test_capacities(history: int, unsettled: int) -> None:
    card = session(purse(3, history=history, unsettled=unsettled))
    assert card.get_capacities() == Capacities(2, history, unsettled, CHAIN_CAPACITY)


def test_the_head_is_carried_as_it_came() -> None:
    card, edition = session(purse(3)), ISSUER.edition(4, 8, 9)
    assert card.get_head() is None
    card.put_date(edition.head)
    carried = card.get_head()
    assert carried == Signed.decode(Head, edition.head.raw)


@every_state
def test_reading_changes_nothing(state: LifeCycle) -> None:
    card = card_in(state)
    for row in DATA_OBJECTS:
        get_data(card, row.number)
    select(card)
    assert card.image() == image_in(state)
