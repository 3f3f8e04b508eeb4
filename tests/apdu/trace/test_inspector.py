"""Inspection of whole traces: transport is undone, good traces are silent, and nothing makes it fail or grow."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.identity import AID, Role
from apdu.protocol import Protocol
from apdu.trace import own
from apdu.trace.inspector import MOST_SLOTS, Inspector, inspect
from apdu.trace.meaning_memory import MOST_ANSWERED, MOST_CARDS, MOST_NONCES, MOST_VALUES
from apdu.trace.model import Exchange, Item, Remark, Reset
from apdu.trace.reading import Opened, summary
from host.model import ModelSlot, memory_card
from host.recording import RecordingSlot, TraceFile
from host.scp03 import StaticKeys
from host.secure_listener import SecureListener
from host.session import PurseSession
from host.terminal.transfer import resume, transfer
from saifu.example_purses import CHIP as EXAMPLE_KEYS
from saifu.example_purses import scenes
from tests.apdu.trace.taped import Tape, lines, pay, readings, unexpected
from tests.issuer import CHIP, NOW, Issuer

ISSUER = Issuer()
ATR = b"\x3b\x00"
SELECT = CommandApdu(0x00, Ins.SELECT, 0x04, 0x0C, AID).encode()
FETCH = bytes.fromhex("00C0000000")


def scene(name: str) -> list[Item]:
    return [Exchange(each.command, each.answer, each.card) for each in scenes()[name]]


@pytest.mark.parametrize("name", scenes())
def test_nothing_stands_out_in_the_examples(name: str) -> None:
    assert unexpected(scene(name)) == []


@pytest.mark.parametrize("name", sorted(scenes().keys() - {"pin", "refusal"}))
def test_nothing_stands_out_in_the_examples_after_a_reset(name: str) -> None:
    assert unexpected([Reset(ATR, "payer"), Reset(ATR, "payee"), *scene(name)]) == []


def test_nothing_stands_out_in_examples_one_after_the_other_though_they_leave_some_business_out() -> None:
    assert unexpected(item for name in scenes() if name != "refusal" for item in scene(name)) == []


def test_nothing_stands_out_in_a_recorded_day_with_a_transfer_that_is_resumed(tmp_path: Path) -> None:
    trace = TraceFile(tmp_path / "trace", "test")
    left, right = (RecordingSlot(slot, trace) for slot in (ISSUER.purse(1, initial=10_000), ISSUER.purse(2)))
    for _ in range(3):
        transfer(PurseSession(left.connect()), PurseSession(right.connect()), 300, NOW, lambda _: b"")
    paying, paid = PurseSession(left.connect()), PurseSession(right.connect())
    paying.pay(paid.request(500, paying.card, NOW), NOW)
    paying, paid = PurseSession(left.connect()), PurseSession(right.connect())
    assert resume(paying, paid, NOW)
    paid.attest(bytes(16))
    paid.read_record(0)
    paid.get_counters()
    trace.close()
    with (tmp_path / "trace").open("rb") as raw:
        items = list(own.decode(raw))
    assert len(items) > 40
    assert unexpected(items) == []
    assert "record 4, received 5.00 EUR" in lines(items)


def test_a_personalization_is_told_and_with_keys_its_content_too() -> None:
    closed = lines(scene("personalization"))
    assert "STORE DATA  block 5 (last block), 120 bytes secured" in closed
    listener = SecureListener(lambda _: EXAMPLE_KEYS)
    opened = [summary(reading) for reading in inspect(scene("personalization"), listener)]
    assert [line for line in opened if "!!" in line] == []
    assert "payer  STORE DATA*  block 5: credit (last block)  → 9000: the purse is active" in opened
    assert any("GENERATE KEY PAIR*  make a new pair  → 9000: public key " in line for line in opened)


def test_what_a_listener_finds_wrong_stands_out() -> None:
    class Suspicious:
        def hear(self, exchange: Exchange) -> Opened | None:
            return Opened(exchange, ("the MAC does not verify",)) if exchange.command[1] == Ins.PAY else None

        def reset(self, slot: str) -> None:
            del slot

    found = [text for reading in inspect(scene("payment"), Suspicious()) for text in reading.unexpected]
    assert found == ["the MAC does not verify"]


def test_what_a_listener_could_not_open_is_told_as_secured_bytes_with_its_faults() -> None:
    class Deaf:
        def hear(self, exchange: Exchange) -> Opened | None:
            return Opened(None, ("the MAC is wrong",)) if exchange.command[1] == Ins.STORE_DATA else None

        def reset(self, slot: str) -> None:
            del slot

    stored = CommandApdu(0x84, Ins.STORE_DATA, 0x88, 5, bytes(40)).encode()
    for level in (0x01, 0x33):
        opened = CommandApdu(0x84, Ins.EXTERNAL_AUTHENTICATE, level, 0, bytes(16)).encode()
        items = [Exchange(SELECT, b"\x90\x00"), Exchange(opened, b"\x90\x00"), Exchange(stored, b"\x69\x88")]
        told = list(inspect(items, Deaf()))[2]
        assert (told.plain, told.what) == (None, "block 5 (last block), 40 bytes secured")
        assert told.unexpected == ("the MAC is wrong",)


class Listening:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[Exchange] = []
        self.resets: list[str] = []

    def hear(self, exchange: Exchange) -> Opened | None:
        self.heard.append(exchange)
        return None

    def reset(self, slot: str) -> None:
        self.resets.append(slot)


# --- transport ------------------------------------------------------------------------------------------------


def test_pieces_of_an_answer_are_joined_for_words_and_for_the_listener() -> None:
    listening = Listening()
    attest, piece = list(inspect(scene("renewal"), listening))[1:3]
    assert (attest.name, attest.outcome, attest.step) == ("ATTEST", "6146: 70 bytes wait", "renewal; patent [0033]")
    assert piece.name == "GET RESPONSE"
    assert piece.what.startswith("of ATTEST  challenge ")
    assert piece.outcome.startswith("9000: card 00001-0000000002-4, active")
    whole = next(each for each in listening.heard if each.command[1] == Ins.ATTEST)
    assert whole.response is not None
    assert len(whole.response) == 328
    assert all(each.response is not None and each.response[-2] != 0x61 for each in listening.heard)


def test_a_chain_is_told_at_its_last_part() -> None:
    first, second = [reading for reading in readings(scene("lock out")) if reading.name == "LOCK OUT"]
    assert (first.what, first.outcome) == ("part 1, 255 bytes; more follows", "9000")
    assert second.what.startswith("edition 7 of ")
    assert second.outcome == "9000: locked out"


def t0_purse(serial: int, initial: int = 0) -> ModelSlot:
    card = memory_card(CHIP, 64, 4, protocol=Protocol.T0)
    ISSUER.personalize(card, ISSUER.parameters(serial, Role.FLOAT if initial else Role.PERSON, initial))
    return ModelSlot("T=0", card)


def test_a_command_with_a_wrong_le_is_repeated_and_counts_once() -> None:
    tape = Tape()
    taped = tape.put(t0_purse(2), "payee")
    taped.transmit(bytes.fromhex("00CA010700"))
    taped.session()
    wrong, right = (taped.transmit(bytes.fromhex(text)) for text in ("00CA010700", "00CA010708"))
    assert wrong == b"\x6c\x08"
    assert right[-2:] == b"\x90\x00"
    listening = Listening()
    found = list(inspect(tape.items, listening))
    assert [each.outcome for each in found][-2:] == [
        "6C08: wrong Le: exactly 8 bytes",
        "9000: version 2, 64 records, 4 unsettled transfers, 1024 bytes a command",
    ]
    assert [each.unexpected for each in found if each.unexpected] == []
    assert len([each for each in listening.heard if each.command[:4] == bytes.fromhex("00CA0107")]) == 2


def test_t0_payments_read_as_t1_payments() -> None:
    tape = Tape()
    pay(tape.put(t0_purse(1, 10_000), "a").session(), tape.put(t0_purse(2), "b").session(), 700)
    assert unexpected(tape.items) == []
    told = lines(tape.items)
    assert "a  GET RESPONSE  of PAY  request 1 of 00001-0000000002-4, 7.00 EUR  → 9000: value with counter 1 of" in told


def test_a_reset_is_told_to_the_listener_and_ends_what_is_half_said() -> None:
    listening, inspector = Listening(), Inspector()
    list(inspect([Reset(ATR, "a")], listening))
    assert listening.resets == ["a"]
    for item in scene("renewal")[:2]:
        inspector.read(item)
    assert inspector.end() == ["payer: the answer of ATTEST was not fetched to its end"]
    assert inspector.read(Reset(ATR, "payer")).unexpected == ("the answer of ATTEST was not fetched to its end",)
    assert inspector.end() == []


def test_remarks_and_resets_are_numbered_readings() -> None:
    found = readings([Remark("something"), Reset(ATR, "a")])
    assert [(each.number, summary(each)) for each in found] == [(1, "# something"), (2, "a  reset  3B00")]


def test_the_end_is_told_by_remarks_that_stand_out() -> None:
    found = readings(scene("payment")[:4])
    assert found[-1].number == len(found)
    assert isinstance(found[-1].item, Remark)
    assert found[-1].item.text in found[-1].unexpected
    assert summary(found[-1]).count(found[-1].item.text) == 1


# --- other cards ----------------------------------------------------------------------------------------------


CPLC = "9F7F card production life cycle data (CPLC)"
VISA = "Visa credit or debit, A0000000031010"
OTHERS = [
    ("00A4040007A000000003101000", "6F009000", "SELECT", "ISO 7816-4", VISA, "9000: 2 bytes"),
    ("00A4020002EF01", "9000", "SELECT", "ISO 7816-4", "file EF01", "9000"),
    ("00B0000010", "00" * 16 + "9000", "READ BINARY", "ISO 7816-4", "offset 0 of the current file", "9000: 16 bytes"),
    ("B0140000", "6D00", "CLA B0 INS 14", "", "P1 P2 0000", "6D00 "),
    ("8088000004DEADBEEF00", "6700", "", "", "P1 P2 0000, 4 bytes", "6700 "),
    ("0020008004313233", "6700", "VERIFY", "ISO 7816-4", "8 bytes whose length fields do not fit", "6700 "),
    ("00", "6700", "", "", "00", "6700 "),
    ("00CA9F7F00", "9F7F2A" + "00" * 42 + "9000", "GET DATA", "ISO 7816-4", CPLC, "9000: 45 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "answer", "name", "standard", "what", "outcome"), OTHERS)
def test_other_cards_are_named_and_nothing_of_them_is_unexpected(
    command: str, answer: str, name: str, standard: str, what: str, outcome: str
) -> None:
    reading = Inspector().read(Exchange(bytes.fromhex(command), bytes.fromhex(answer)))
    assert not name or (reading.name, reading.standard) == (name, standard)
    assert reading.what == what
    assert reading.outcome.startswith(outcome)
    assert reading.unexpected == ()


def test_another_application_hides_the_purse_until_it_is_selected_again() -> None:
    visa = Exchange(bytes.fromhex("00A4040007A000000003101000"), bytes.fromhex("9000"), "payer")
    status = Exchange(bytes.fromhex("00CA010000"), bytes.fromhex("01029000"), "payer")
    select = scene("payment")[0]
    found = readings([select, visa, status, select, status])
    assert found[2].what == "object 0100"
    assert found[2].unexpected == ()
    assert found[4].what == "status"
    assert found[4].unexpected


# --- whatever comes -------------------------------------------------------------------------------------------

REAL = [item for name in scenes() for item in scene(name) if isinstance(item, Exchange)]
SLOTS = st.sampled_from(["", "payer", "payee"])
RAW = st.binary(max_size=40)
PURSE_COMMANDS = st.builds(
    lambda cla, ins, p1, p2, data: CommandApdu(cla, ins, p1, p2, data, 256).encode(),
    st.sampled_from([0x00, 0x80, 0x84, 0x90]),
    st.sampled_from([int(ins) for ins in Ins]),
    st.integers(0, 255),
    st.integers(0, 255),
    RAW,
)


@st.composite
def mutated(draw: st.DrawFn) -> Exchange:
    """A real exchange in which bytes of the command or of the answer are others, or missing."""
    item = draw(st.sampled_from(REAL))
    part = draw(st.sampled_from(["command", "response"]))
    raw = bytearray(item.command if part == "command" else item.response or b"")
    for _ in range(draw(st.integers(0, 3))):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    cut = bytes(raw[: draw(st.sampled_from([len(raw), len(raw) - 1, len(raw) // 2, 0, 1, 5]))])
    slot = draw(SLOTS)
    return replace(item, command=cut, slot=slot) if part == "command" else replace(item, response=cut, slot=slot)


ITEMS = st.one_of(
    mutated(),
    st.sampled_from(REAL),
    st.builds(Exchange, RAW, st.none() | RAW, SLOTS),
    st.builds(Exchange, PURSE_COMMANDS, RAW | st.just(b"\x90\x00") | st.just(b"\x61\x10"), SLOTS),
    st.builds(Reset, RAW, SLOTS),
    st.builds(Remark, st.text(max_size=5), SLOTS),
)


@given(st.lists(ITEMS, max_size=12), st.booleans())
def test_no_item_makes_it_fail(items: list[Item], with_keys: bool) -> None:
    listener = SecureListener(lambda _: StaticKeys(bytes(16), bytes(16), bytes(16))) if with_keys else None
    found = list(inspect(items, listener))
    assert [each.number for each in found] == list(range(1, len(found) + 1))
    assert all(isinstance(summary(each), str) for each in found)


def many(count: int) -> Iterator[Item]:
    """Payments of ever other cards in ever other slots, none of them answered; chains and answers without end."""
    payment = [item for item in scene("payment") if isinstance(item, Exchange)]
    long_part = CommandApdu(0x90, Ins.LOCK_OUT, 0, 0, bytes(255)).encode()
    for number in range(count):
        slot, fresh = f"slot {number % 1000}", number.to_bytes(4)
        for item in payment[:4]:
            answer = (item.response or b"").replace(bytes.fromhex("000100000002"), b"\0\1" + fresh)
            nonce = answer.replace(bytes.fromhex("AE2FE0BAAE49F23F"), bytes(4) + fresh)
            yield replace(item, response=nonce, slot=slot)
        yield Exchange(long_part, b"\x90\x00", "chain")
        yield Exchange(bytes.fromhex("00C0000000"), bytes(256) + b"\x61\x00", "chain")


def test_memory_stays_within_its_bounds() -> None:
    inspector = Inspector()
    for item in many(MOST_VALUES + 300):
        inspector.read(item)
    ledger, places = inspector._ledger, inspector._places
    assert len(places) <= MOST_SLOTS
    assert len(ledger.purses) <= MOST_CARDS
    assert len(ledger.open) <= MOST_VALUES
    assert len(ledger.answered) <= MOST_ANSWERED
    assert len(ledger.nonces) <= MOST_NONCES
    assert inspector.end()[-1] == "300 older values had no answer either when they were forgotten"


def test_memory_does_not_grow_once_it_is_full() -> None:
    inspector, items = Inspector(), many(3000)
    for item in islice(items, 6 * 1500):
        inspector.read(item)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for item in islice(items, 6 * 200):
        inspector.read(Exchange(item.command, item.response, "same") if isinstance(item, Exchange) else item)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 1_500_000


# --- texts of bounded length ------------------------------------------------------------------------------------


def test_a_long_name_is_cut_in_every_piece_of_its_answer_and_nobody_announces_for_ever() -> None:
    named = CommandApdu(0x00, Ins.SELECT, 0x04, 0, bytes(60_000), 256).encode()
    items = [Exchange(named, b"\x61\x10"), *[Exchange(FETCH, b"\x61\x10")] * 600]
    told = [summary(reading) for reading in inspect(items)]
    assert told[0] == f"SELECT  application {'00' * 16}… (60000 bytes)  → 6110: 16 bytes wait"
    assert told[1] == f"GET RESPONSE  of {told[0]}"
    assert max(map(len, told)) < 200
    assert sum("16 bytes wait" in line for line in told) < 600


def test_the_command_is_not_worded_anew_for_each_piece() -> None:
    inspector = Inspector()
    kept = []
    for item in (Exchange(SELECT, b"\x61\x10"), Exchange(FETCH, b"\x61\x10")):
        inspector.read(item)
        waiting = inspector._places[""].waiting
        assert waiting is not None
        kept.append(waiting.told)
    assert kept[0][2] is kept[1][2]


def test_of_many_groups_eight_are_named() -> None:
    block = CommandApdu(0x84, Ins.STORE_DATA, 0x08, 0, b"\x01\x02\x00" * 20_000 + bytes(8)).encode()
    opened = CommandApdu(0x84, Ins.EXTERNAL_AUTHENTICATE, 0x01, 0, bytes(16)).encode()
    told = readings([Exchange(SELECT, b"\x90\x00"), Exchange(opened, b"\x90\x00"), Exchange(block, b"\x90\x00")])[2]
    assert told.what == f"block 0: {', '.join(['center key'] * 8)} and 19992 more"


@given(st.binary(max_size=2000), st.sampled_from([b"\x90\x00", b"\x61\x00", b"\x6a\x80"]))
def test_no_line_is_longer_than_a_few_hundred_characters(data: bytes, answer: bytes) -> None:
    for ins in (Ins.SELECT, Ins.STORE_DATA, Ins.GET_DATA, Ins.PAY, 0xF0):
        command = CommandApdu(0x00 if ins == Ins.SELECT else 0x80, ins, 4, 0, data, 65536).encode()
        for reading in inspect([Exchange(SELECT, b"\x90\x00"), Exchange(command, data + answer)]):
            assert max(map(len, (reading.what, reading.outcome, *reading.unexpected))) <= 500


def test_a_whole_page_that_waits_may_be_more() -> None:
    assert readings([Exchange(SELECT, b"\x61\x00")])[0].outcome == "6100: 256 bytes or more wait"
