"""The purse's exchanges in words: every row of the command table, every data object, and why a card declines."""

from dataclasses import replace

import pytest

from apdu.command import CommandApdu
from apdu.commands import COMMANDS, DATA_OBJECTS, Command, Ins
from apdu.identity import AID, CardId
from apdu.messages import Outcome, Resolution, Signed, TerminateOrder, UnlockOrder
from apdu.objects import Request
from apdu.payload import Tag, pack
from apdu.trace.inspector import Inspector
from apdu.trace.meaning_answers import SAID
from apdu.trace.meaning_commands import SENT
from apdu.trace.meaning_words import amount_text
from apdu.trace.model import Exchange, Item
from apdu.trace.reading import Reading, summary
from host.model import ModelSlot, memory_card
from host.session import PurseSession, pin_block
from tests.apdu.trace.taped import Tape, Taped, exchange, pay, readings, unexpected
from tests.issuer import CHIP, FAR, NOW, PIN, PUK, Issuer

ISSUER = Issuer()
FLOAT, PERSON = "00001-0000000001-6", "00001-0000000002-4"
NEW_PIN = pin_block("2468")


def send(card: Taped, ins: Ins, objects: dict[Tag, bytes], cla: int = 0x80) -> bytes:
    data = pack(objects)
    return card.transmit(CommandApdu(cla, ins, 0, 0, data, 256).encode())


class Business:
    """A float and a person, selected, whose exchanges are taped; parameters are read, so amounts are in euro."""

    def __init__(self, initial: int = 10_000, person: ModelSlot | None = None) -> None:
        self.tape = Tape()
        self.left = self.tape.put(ISSUER.purse(1, initial=initial), "left")
        self.right = self.tape.put(person or ISSUER.purse(2), "right")
        self.source, self.person = self.left.session(), self.right.session()
        self.source.get_parameters()
        self.person.get_parameters()

    @property
    def last(self) -> Reading:
        found: list[Item] = self.tape.items
        return readings(found)[len(found) - 1]

    @property
    def said(self) -> str:
        return summary(self.last)


@pytest.fixture
def business() -> Business:
    return Business()


# --- commands and answers -------------------------------------------------------------------------------------


def test_there_are_words_for_every_command_of_the_table() -> None:
    assert SENT.keys() == {row.ins for row in COMMANDS}
    answering = {row.ins for row in COMMANDS if row.gives} | {Ins.SELECT, Ins.GET_DATA, Ins.READ_RECORD}
    assert answering <= SAID.keys()


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: str(row.name))
def test_every_command_has_its_name_its_step_and_its_words(row: Command) -> None:
    data = {Ins.SELECT: AID, Ins.INITIALIZE_UPDATE: bytes(8)}.get(row.ins, b"")
    p1 = 0x04 if row.ins == Ins.SELECT else 0x00
    command = CommandApdu(row.cla, row.ins, p1, 0, data).encode()
    for answer in (b"\x69\x85", None):
        reading = Inspector().read(Exchange(command, answer))
        assert reading.name == row.name
        assert reading.step == row.clause.replace("design: ", "")
        assert reading.what


def test_a_payment_is_told_with_amounts_cards_and_counters(business: Business) -> None:
    pay(business.source, business.person, 1_250)
    told = [summary(reading) for reading in readings(business.tape.items)][-4:]
    assert told == [
        f"right  REQUEST  12.50 EUR from {FLOAT}  → 9000: request 1 of {PERSON}",
        f"left  PAY  request 1 of {PERSON}, 12.50 EUR  → 9000: value with counter 1 of {FLOAT}",
        f"right  RECEIVE  value with counter 1 of {FLOAT}, 12.50 EUR for request 1"
        f"  → 9000: receipt for counter 1 of {FLOAT}",
        f"left  SETTLE  receipt for counter 1, of {PERSON}  → 9000: settled",
    ]
    assert [each.step for each in readings(business.tape.items)][-3] == "payer, step 2; patent S107, S310"


def test_select_tells_card_state_balance_and_what_is_unsettled(business: Business) -> None:
    business.source.pay(business.person.request(500, business.source.card, NOW), NOW)
    business.left.session()
    assert business.said == f"left  SELECT  the purse  → 9000: card {FLOAT}, active, 95.00 EUR, 1 unsettled, edition 0"


def test_amounts_are_minor_units_until_a_currency_is_known() -> None:
    tape = Tape()
    tape.put(ISSUER.purse(2), "right").session().request(1_250, ISSUER.id(1), NOW)
    assert "0 minor units" in summary(readings(tape.items)[1])
    assert "12.50 EUR" in summary(readings(tape.items)[2])


def test_a_refusal_and_a_resolution_bring_the_money_back(business: Business) -> None:
    value = business.source.pay(business.person.request(500, business.source.card, NOW), NOW)
    business.person.request(700, business.source.card, NOW)
    business.source.settle(business.person.receive(value, NOW))
    assert business.said == f"left  SETTLE  refusal for counter 1, of {PERSON}  → 9000: 5.00 EUR back"
    business.source.pay(business.person.request(300, business.source.card, NOW), NOW)
    resolution = Signed.make(Resolution(2, ISSUER.id(1), 2, Outcome.NEVER_RECEIVED), ISSUER.orders)
    send(business.left, Ins.SETTLE, {Tag.RESOLUTION: resolution.raw})
    assert business.said == "left  SETTLE  resolution for counter 2: never received  → 9000: 3.00 EUR back"
    assert unexpected(business.tape.items) == []


def test_a_value_is_given_again(business: Business) -> None:
    business.source.pay(business.person.request(500, business.source.card, NOW), NOW)
    business.source.give_again(1)
    told = f"value with counter 1 of {FLOAT}, 5.00 EUR for request 1 of {PERSON}"
    assert business.said == f"left  GIVE AGAIN  value with counter 1  → 9000: {told}"


def test_pin_commands_tell_tries_and_never_digits(business: Business) -> None:
    card = business.right
    told = []
    for command in (
        CommandApdu(0, Ins.VERIFY, 0, 0x81),
        CommandApdu(0, Ins.VERIFY, 0, 0x81, NEW_PIN),
        CommandApdu(0, Ins.VERIFY, 0, 0x81, PIN),
        CommandApdu(0, Ins.VERIFY, 0, 0x81),
        CommandApdu(0, Ins.CHANGE_REFERENCE_DATA, 0, 0x81, PIN + NEW_PIN),
        CommandApdu(0, Ins.RESET_RETRY_COUNTER, 0, 0x81, PUK + PIN),
    ):
        card.transmit(command.encode())
        told.append(business.said)
    assert told == [
        "right  VERIFY  is the PIN verified?  → 63C3: 3 tries left",
        "right  VERIFY  PIN  → 63C2: 2 tries left",
        "right  VERIFY  PIN  → 9000: verified",
        "right  VERIFY  is the PIN verified?  → 9000: the PIN is verified",
        "right  CHANGE REFERENCE DATA  old PIN, new PIN  → 9000: new PIN, verified",
        "right  RESET RETRY COUNTER  resetting code, new PIN  → 9000: new PIN, with all its tries",
    ]


def test_history_credit_date_and_attestation_are_told(business: Business) -> None:
    pay(business.source, business.person, 1_250)
    person, told = business.person, []
    person.read_record(0)
    told.append(business.said)
    person.put_credit(ISSUER.credit(2, 2, seen=1))
    told.append(business.said)
    person.put_date(ISSUER.edition(7, 5).head)
    told.append(business.said)
    person.attest(bytes(16))
    told.append(business.said)
    when = "2027-01-15 08:00 UTC"
    assert told[0].endswith(
        f"the newest record  → 9000: record 1, received 12.50 EUR from {FLOAT}, counter 1, request 1, "
        f"balance 12.50 EUR, {when}"
    )
    assert told[1].endswith(
        "PUT CREDIT  serial 2, until 2027-05-11, 1000 payments, 10000.00 EUR, records seen to 1  → 9000: stored"
    )
    assert told[2].endswith(f"PUT DATE  edition 7 of {when}, 1 card listed  → 9000: kept")
    assert told[3].endswith(
        f"9000: card {PERSON}, active, 12.50 EUR, counter 0, request 1, record 1, edition 7, {when}"
    )
    assert unexpected(business.tape.items) == []


def test_lock_out_unlock_and_the_end_of_a_card_are_told(business: Business) -> None:
    edition, person, told = ISSUER.edition(7, 2, 3), business.person, []
    person.lock_out(edition.head, edition.tree.prove(2))
    told.append(business.said)
    person.select()
    told.append(business.said)
    person.unlock(Signed.make(UnlockOrder(2, ISSUER.id(2), 8), ISSUER.orders))
    told.append(business.said)
    person.terminate(Signed.make(TerminateOrder(2, ISSUER.id(2), FAR), ISSUER.orders), NOW)
    told.append(business.said)
    assert "LOCK OUT  edition 7 of " in told[0]
    assert told[0].endswith("2 cards listed, proof with 0 forks  → 9000: locked out")
    assert f"6283: card {PERSON}, locked out, 0.00 EUR, edition 7" in told[1]
    assert told[2] == f"right  UNLOCK  {PERSON}, believes edition 8 and later  → 9000: active again"
    assert told[3] == f"right  TERMINATE  {PERSON}, until 2027-05-11 01:46 UTC  → 9000: terminated for ever"
    assert unexpected(business.tape.items) == []


OBJECTS = {
    "status": f"card {PERSON}, active, 12.50 EUR, edition 7",
    "parameters": f"{PERSON}, person, holds to 1000.00 EUR, moves to 500.00 EUR, "
    "PIN above 50.00 EUR or 200.00 EUR in all",
    "counters": "0 payments, 2 requests, the last is open, 1 record, 0 seen, 2027-01-15 08:00 UTC, "
    "0.00 EUR without PIN",
    "certificate": f"{PERSON}, person, until 2027-05-11",
    "credit": "serial 1, until 2027-05-11, 1000 payments, 10000.00 EUR, records seen to 0; used 0 payments, 0.00 EUR",
    "head": "edition 7 of 2027-01-15 08:00 UTC, 1 card listed",
    "unsettled transfers": "none",
    "capacities": "version 2, 64 records, 4 unsettled transfers, 1024 bytes a command",
    "reference data": "tries left: PIN 3, verified, resetting code 10",
}


def test_every_data_object_is_told(business: Business) -> None:
    pay(business.source, business.person, 1_250)
    business.person.request(500, business.source.card, NOW)
    business.person.put_date(ISSUER.edition(7, 5).head)
    business.person.verify(PIN)
    told = {}
    for row in DATA_OBJECTS:
        business.right.transmit(CommandApdu(0, Ins.GET_DATA, row.number >> 8, row.number & 0xFF, b"", 256).encode())
        told[business.last.what] = business.last.outcome.removeprefix("9000: ")
    assert told == OBJECTS
    business.source.pay(business.person.request(500, business.source.card, NOW), NOW)
    business.source.get_unsettled()
    assert business.last.outcome == f"9000: counter 2, 5.00 EUR for {PERSON}"


# --- why ------------------------------------------------------------------------------------------------------


def declined(business: Business) -> str:
    """The last outcome, without the text that all outcomes of its word share."""
    outcome = business.last.outcome
    return f"{outcome[:4]} {outcome[outcome.rindex('(') :]}"


def requested(business: Business, amount: int, currency: int = 978) -> dict[Tag, bytes]:
    """What PAY takes, for a request that was not made."""
    certificate = business.person.request(1, business.source.card, NOW).certificate
    return {Tag.CERTIFICATE: certificate.raw, Tag.REQUEST: Request(9, bytes(8), amount, currency).encode()}


def paid_in(business: Business, amount: int) -> None:
    pay(business.source, business.person, amount)


def test_too_little_money_is_told_with_what_is_there() -> None:
    business = Business(initial=3_000)
    send(business.left, Ins.PAY, requested(business, 4_000))
    assert declined(business) == "9504 (40.00 EUR wanted, 30.00 EUR there)"


def test_a_pin_that_is_wanted_is_told_with_the_limit() -> None:
    business = Business(person=ISSUER.purse(2, pin_above=100))
    paid_in(business, 500)
    other = business.source.request(300, ISSUER.id(2), NOW)
    send(business.right, Ins.PAY, {Tag.CERTIFICATE: other.certificate.raw, Tag.REQUEST: other.request.encode()})
    assert declined(business) == "6982 (the PIN is wanted for 3.00 EUR: it is above 1.00 EUR)"


def test_limits_of_the_purse_are_told() -> None:
    business = Business(person=ISSUER.purse(2, balance_max=1_000, transfer_max=900))
    send(business.right, Ins.REQUEST, {Tag.AMOUNT: (950).to_bytes(4), Tag.CARD_ID: ISSUER.id(1)})
    assert declined(business) == "9506 (9.50 EUR, 9.00 EUR at most)"
    paid_in(business, 800)
    send(business.right, Ins.REQUEST, {Tag.AMOUNT: (300).to_bytes(4), Tag.CARD_ID: ISSUER.id(1)})
    assert declined(business) == "9505 (3.00 EUR wanted, 8.00 EUR there, 10.00 EUR at most)"


def test_another_currency_another_card_and_a_late_date_are_told(business: Business) -> None:
    send(business.left, Ins.PAY, requested(business, 100, 392))
    assert declined(business) == "9510 (100 JPY)"
    send(business.right, Ins.REQUEST, {Tag.AMOUNT: (5).to_bytes(4), Tag.CARD_ID: ISSUER.id(2)})
    assert declined(business) == f"950C ({PERSON} is this card itself)"
    assert "the other party is not another card of this issuer" in business.last.outcome
    send(business.right, Ins.REQUEST, {Tag.AMOUNT: (5).to_bytes(4), Tag.CARD_ID: CardId.of(2, 1)})
    assert declined(business) == f"950C ({CardId.of(2, 1).text} is another issuer's, this is {PERSON})"
    send(business.left, Ins.PAY, {**requested(business, 100), Tag.DATE: (FAR + 86400).to_bytes(4)})
    assert declined(business) == "950A (the other's is good until 2027-05-11 01:46 UTC, it is 2027-05-12 01:46 UTC)"
    send(business.right, Ins.REQUEST, {
        Tag.AMOUNT: (5).to_bytes(4), Tag.CARD_ID: ISSUER.id(1), Tag.DATE: (FAR + 86400).to_bytes(4),
    })  # fmt: skip
    assert declined(business) == "9502 (on 2027-05-12 01:46 UTC)"


def test_what_is_older_is_told_beside_what_the_card_has(business: Business) -> None:
    business.person.put_date(ISSUER.edition(7, 5).head)
    send(business.right, Ins.PUT_DATE, {Tag.HEAD: ISSUER.edition(6, 5).head.raw})
    assert declined(business) == "950D (edition 6, the card has seen 7)"
    business.person.put_credit(ISSUER.credit(2, 3))
    send(business.right, Ins.PUT_CREDIT, {Tag.CREDIT: ISSUER.credit(2, 2).raw})
    assert declined(business) == "950D (serial 2, the card has 3)"


def test_what_is_not_there_and_what_the_state_forbids_is_told(business: Business) -> None:
    send(business.left, Ins.GIVE_AGAIN, {Tag.COUNTER: (5).to_bytes(4)})
    assert declined(business) == "6A88 (no unsettled transfer with counter 5)"
    business.right.transmit(CommandApdu(0x80, Ins.GENERATE_KEY_PAIR, 0x80, 0).encode())
    assert declined(business) == "6985 (the card is active)"
    card = business.tape.put(business.right.slot, "again")
    send(card, Ins.REQUEST, {Tag.AMOUNT: (5).to_bytes(4), Tag.CARD_ID: ISSUER.id(1)})
    assert declined(business) == "6985 (nothing is selected)"


def test_data_that_do_not_parse_are_told_as_such(business: Business) -> None:
    business.left.transmit(bytes.fromhex("80320000028501"))
    assert business.last.what.startswith("2 bytes that do not parse: ")
    assert business.last.outcome.startswith("6A80 wrong data")
    assert business.last.unexpected == ()
    business.left.transmit(bytes.fromhex("803200000185"))
    assert business.last.what.startswith("1 byte that does not parse: ")


def test_a_block_without_groups_says_so() -> None:
    told = readings([Exchange(bytes.fromhex(command), b"\x6a\x80") for command in ("80E2080000", "80E2680000")])
    assert [each.what for each in told] == ["block 0: no group", "block 0: no group, encrypted"]


def test_a_blank_card_is_told(business: Business) -> None:
    PurseSession(business.tape.put(ModelSlot("blank", memory_card(CHIP)), "blank"))
    assert business.last.outcome.startswith("9000: card without an ID, blank, 0.00 EUR")


def answered_with(business: Business, word: str) -> str:
    """What is told of the last command if the card had declined it with this word."""
    at = len(business.tape.items) - 1
    changed = replace(exchange(business.tape.items, at), response=bytes.fromhex(word))
    return readings([*business.tape.items[:at], changed])[at].outcome


def test_what_the_credit_leaves_is_told_and_not_the_balance(business: Business) -> None:
    business.source.put_credit(ISSUER.credit(1, 2, count=2, amount=1_000))
    pay(business.source, business.person, 600)
    send(business.left, Ins.PAY, requested(business, 500))
    assert declined(business) == "9503 (5.00 EUR wanted, 4.00 EUR left)"
    pay(business.source, business.person, 100)
    send(business.left, Ins.PAY, requested(business, 100))
    assert declined(business) == "9503 (no payment is left)"
    business.source.get_credit()
    send(business.left, Ins.PAY, requested(business, 100))
    assert declined(business) == "9503 (no payment is left)"


def test_of_a_credit_that_is_not_known_nothing_is_told(business: Business) -> None:
    send(business.left, Ins.PAY, requested(business, 500))
    assert answered_with(business, "9503").endswith("is used up: renew it")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("84E28800081122334455667788", "something is missing"),
        ("848233001000112233445566778899AABBCCDDEEFF", "no INITIALIZE UPDATE came before"),
        ("80E2080000", ""),
    ],
)
def test_why_conditions_are_not_satisfied_depends_on_the_command(command: str, why: str) -> None:
    tape = Tape()
    PurseSession(tape.put(ModelSlot("blank", memory_card(CHIP)), "blank"))
    item = Exchange(bytes.fromhex(command), b"\x69\x85", "blank")
    reason = f" ({why})" if why else ""
    assert readings([*tape.items, item])[len(tape.items)].outcome == f"6985 conditions of use not satisfied{reason}"


def test_history_and_balance_that_disagree_and_an_empty_get_response_are_told(business: Business) -> None:
    for card, ins in ((business.right, Ins.REQUEST), (business.left, Ins.PAY)):
        objects = {Tag.AMOUNT: (5).to_bytes(4), Tag.CARD_ID: ISSUER.id(1)}
        send(card, ins, objects if ins == Ins.REQUEST else requested(business, 100))
        assert answered_with(business, "6985").endswith("(history, chain and balance disagree)")
    business.left.transmit(bytes.fromhex("00C0000000"))
    assert business.last.outcome == "6985 conditions of use not satisfied (nothing waits)"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("80468200", "P1 82, neither make nor read"),
        ("80468100", "read the public key"),
        ("00B2FFFF00", "record 255 of file 31, which no purse has"),
        ("00B2010400", "record 1 of the current file"),
        ("00B2020C00", "the record 1 before the newest"),
        ("8482FF001000112233445566778899AABBCCDDEEFF", "level FF: no such level"),
        ("80500000080011223344556677", "any key version, host challenge 0011223344556677"),
    ],
)
def test_what_a_header_cannot_mean_is_not_told(command: str, told: str) -> None:
    header = bytes.fromhex("00A40400") + bytes((len(AID),)) + AID
    items = [Exchange(header, b"\x90\x00"), Exchange(bytes.fromhex(command), b"\x6a\x86")]
    assert readings(items)[1].what == told


def test_dates_of_one_minute_have_seconds(business: Business) -> None:
    send(business.left, Ins.PAY, {**requested(business, 100), Tag.DATE: (FAR + 1).to_bytes(4)})
    assert declined(business) == (
        "950A (the other's is good until 2027-05-11 01:46:40 UTC, it is 2027-05-11 01:46:41 UTC)"
    )


def test_a_currency_without_a_name_is_told_by_its_number() -> None:
    assert [amount_text(1, 0), amount_text(2, 7)] == ["1 minor unit of currency 000", "2 minor units of currency 007"]
