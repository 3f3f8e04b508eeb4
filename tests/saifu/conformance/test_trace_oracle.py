"""A recorded card against the model: silent when it is right, exact when it is not, and no PIN is needed."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apdu.commands import Ins
from apdu.errors import InputError, OutcomeUnknownError, StoreError
from apdu.protocol import Protocol
from apdu.status import StatusError
from apdu.trace.detail import answer_detail, leaves
from apdu.trace.model import Exchange
from applet_model.backing import MemoryBacking
from applet_model.memory import Cut
from applet_model.memory_map import MemoryMap
from host.recording import RecordingSlot
from host.replay import Recorded, Recording, Session, load
from host.session import PurseSession, pin_block
from saifu.conformance.issuer import CHIP, PIN, PUK, STATIC
from saifu.conformance.trace_oracle import Followed, Guess, TraceOracle
from saifu.conformance.trace_start import blank_start, image_keys, protocol_of
from tests.saifu.conformance.cards import ISSUER
from tests.saifu.conformance.desk import Desk, active_desk, blank, life

protocols = pytest.mark.parametrize("protocol", Protocol)
WRONG = pin_block("9999")


def codes(slot: RecordingSlot) -> None:
    """All that can be done with PIN and resetting code, right and wrong."""
    purse = PurseSession(slot.connect())
    for act in (
        lambda: purse.verify(WRONG),
        lambda: purse.verify(PIN),
        lambda: purse.change_reference_data(WRONG, PIN),
        lambda: purse.change_reference_data(PIN, b"12345678"),
        lambda: purse.change_reference_data(b"12345678", b"no digit"),
        lambda: purse.verify(b"12345678"),
        *[lambda: purse.verify(WRONG)] * 4,
        lambda: purse.reset_retry_counter(WRONG, PIN),
        lambda: purse.reset_retry_counter(PUK, b"no digit"),
        lambda: purse.reset_retry_counter(PUK, PIN),
        lambda: purse.verify(PIN),
        purse.get_reference_data,
    ):
        with suppress(StatusError):
            act()


@pytest.fixture(scope="module")
def active(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return active_desk(tmp_path_factory.mktemp("active"))


def follow(recording: Recording, image: bytes) -> Followed:
    return TraceOracle(recording, image, image_keys(image), protocol_of(recording)).run()


def changed(recording: Recording, change: Callable[[Recorded], Exchange]) -> Recording:
    sessions = (
        Session(each.atr, tuple(said._replace(exchange=change(said)) for said in each.exchanges))
        for each in recording.sessions
    )
    return recording._replace(sessions=tuple(sessions))


def said(recording: Recording) -> list[Recorded]:
    return [each for session in recording.sessions for each in session.exchanges]


# --- silent ------------------------------------------------------------------------------------------------


@protocols
def test_a_life_from_a_blank_card_on(tmp_path: Path, protocol: Protocol) -> None:
    desk = Desk(tmp_path, blank(), protocol)
    recording = desk.record(life)
    assert protocol_of(recording) is protocol
    for image in (desk.before, blank_start(recording, STATIC)):
        followed = follow(recording, image)
        assert (followed.number, followed.compared) == (0, len(said(recording))), followed


def test_a_blank_card_is_as_its_trace_tells(tmp_path: Path) -> None:
    chip = replace(CHIP, diversification=b"other-chip", version=0x30)
    recording = Desk(tmp_path, blank(33, 7, chip)).record(life)
    start = blank_start(recording, STATIC)
    assert start != blank()
    assert follow(recording, start).number == 0


def test_a_card_that_was_used_before(active: Desk) -> None:
    assert follow(load(str(active.path)), active.before).number == 0


def test_codes_need_not_be_in_the_trace(active: Desk, tmp_path: Path) -> None:
    desk = Desk(tmp_path, active.image)
    recording = desk.record(codes)
    assert PIN.hex().upper() not in desk.path.read_text()
    words = [(each.exchange.response or b"").hex() for each in said(recording) if each.exchange.redacted]
    assert {"9000", "63c2", "63c1", "6983", "6a80"} <= set(words)
    assert follow(recording, desk.before).number == 0


@pytest.mark.parametrize("write", [0, 10_000])
def test_a_command_without_an_answer_was_executed_or_not(active: Desk, tmp_path: Path, write: int) -> None:
    desk = Desk(tmp_path, active.image)
    other = PurseSession(ISSUER.purse(77))

    def torn(slot: RecordingSlot) -> None:
        purse = PurseSession(slot.connect())
        requested = other.request(100, purse.card, 1_800_000_000)
        desk.model.tear(write, Cut.BEFORE)
        with suppress(OutcomeUnknownError):
            purse.pay(requested, 1_800_000_000)
        desk.model.tear(0, None)
        PurseSession(slot.connect()).get_unsettled()
        PurseSession(slot.connect()).get_counters()

    recording = changed(
        desk.record(torn),
        lambda each: replace(each.exchange, response=None) if each.exchange.command[1] == Ins.PAY else each.exchange,
    )
    followed = follow(recording, desk.before)
    assert followed.number == 0
    (number,) = followed.unanswered
    assert followed.guess(number) is (Guess.EXECUTED if write else Guess.NOT_EXECUTED)


# --- exact -------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(0, 999), st.integers(0, 399), st.integers(1, 255))
def test_one_byte_of_an_answer_is_found_where_it_is(active: Desk, place: int, at: int, bits: int) -> None:
    recording = load(str(active.path))
    wanted = said(recording)[place % len(said(recording))]
    answer = wanted.exchange.response or b""
    at %= len(answer)
    other = answer[:at] + bytes((answer[at] ^ bits,)) + answer[at + 1 :]
    spoilt = changed(
        recording, lambda each: replace(each.exchange, response=other) if each == wanted else each.exchange
    )
    followed = follow(spoilt, active.before)
    tree = answer_detail(wanted.exchange.command, answer)
    leaf = next(each for each in leaves(tree) if each.start <= at < each.end)
    if leaf.label == "nonce" and wanted.exchange.command[1] == Ins.REQUEST:
        assert followed.number > wanted.number  # the card may choose it, and then has to mean it
        return
    piece = answer[-2:-1] == b"\x61"
    assert followed.number in (wanted.number, wanted.number + piece)
    assert followed.compared == sum(each.number < followed.number for each in said(recording))
    if followed.number == wanted.number and wanted.exchange.command[1] != Ins.GET_RESPONSE:
        assert leaf.label in {each.field.split(", ")[-1] for each in followed.fields} | {"value", "tag and length"}


def test_a_choice_that_is_not_in_order_has_no_model(active: Desk) -> None:
    recording = load(str(active.path))

    def spoil(each: Recorded) -> Exchange:
        answer = each.exchange.response or b""
        if each.exchange.command[1] != Ins.PAY:
            return each.exchange
        return replace(each.exchange, response=answer[:-3] + bytes((answer[-3] ^ 1,)) + answer[-2:])

    followed = follow(changed(recording, spoil), active.before)
    assert followed.deviation is not None
    assert "signature" in followed.deviation.why
    assert {(each.field, each.old.words) for each in followed.fields if each.old} == {
        ("87 value, signature r", "of the card's own choice, within its rules"),
        ("87 value, signature s", "of the card's own choice, within its rules"),
    }


def test_a_pin_that_is_accepted_when_it_is_blocked(active: Desk, tmp_path: Path) -> None:
    desk = Desk(tmp_path, active.image)
    recording = desk.record(codes)
    blocked = next(each for each in said(recording) if each.exchange.response == b"\x69\x83")
    last = next(each for each in said(recording) if each.number > blocked.number)
    followed = follow(
        changed(recording, lambda each: replace(each.exchange, response=b"\x90\0") if each == last else each.exchange),
        desk.before,
    )
    assert followed.number == last.number


def test_another_card_is_told_as_such(active: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path, blank())
    ISSUER.personalize(other.card, ISSUER.parameters(9))
    followed = follow(load(str(active.path)), other.image)
    assert "not the card of the image" in followed.hint
    assert "card id" in followed.fields[0].field


def test_another_time_is_told_as_such(active: Desk) -> None:
    followed = follow(load(str(active.path)), active.image)
    assert followed.hint.startswith("the first SELECT deviates")


def test_a_trace_that_begins_in_the_middle(active: Desk) -> None:
    recording = load(str(active.path))
    first = recording.sessions[0]
    cut = recording._replace(sessions=(Session(b"", first.exchanges[1:]), *recording.sessions[1:]))
    assert "may not begin where the card was powered on" in follow(cut, active.before).hint


# --- what cannot be followed -------------------------------------------------------------------------------


def test_an_active_card_is_not_blank(active: Desk) -> None:
    with pytest.raises(InputError, match="active when the trace begins"):
        blank_start(load(str(active.path)), STATIC)


def left_out(each: Recorded) -> Exchange:
    """STORE DATA as another program's trace may have it."""
    command = each.exchange.command
    if command[1] != Ins.STORE_DATA:
        return each.exchange
    return replace(each.exchange, command=command[:5] + bytes(15) + command[20:], redacted=(("command", 5, 20),))


def test_a_secret_under_a_mac_cannot_be_guessed(tmp_path: Path) -> None:
    recording = Desk(tmp_path, blank()).record(life)
    with pytest.raises(InputError, match="left out"):
        follow(changed(recording, left_out), blank())


def test_a_secret_that_the_card_never_looked_at_is_no_matter(tmp_path: Path) -> None:
    def declined(slot: RecordingSlot) -> None:
        connection = slot.connect()
        connection.transmit(bytes.fromhex("80E2880013") + bytes(range(0x13)))
        PurseSession(connection).get_capacities()

    recording = changed(Desk(tmp_path, blank()).record(declined), left_out)
    assert follow(recording, blank()).number == 0


@pytest.mark.parametrize("image", [b"", b"no image", blank()[:100]])
def test_what_is_no_image(image: bytes) -> None:
    with pytest.raises(StoreError):
        image_keys(image)


def test_a_damaged_image_is_told_as_such(active: Desk, tmp_path: Path) -> None:
    recording = Desk(tmp_path, active.before).record(codes)
    cells = MemoryMap.open(MemoryBacking(active.before))
    role = cells.parameters.offset + 6
    damaged = active.before[:role] + b"\xff" + active.before[role + 1 :]
    with pytest.raises(StoreError, match="damaged"):
        follow(recording, damaged)


HOSTILE = st.builds(
    Exchange,
    st.binary(max_size=9)
    | st.sampled_from([bytes.fromhex("0020008108") + bytes(8), bytes.fromhex("00A4040006F0534149465500")]),
    st.none() | st.binary(max_size=9) | st.sampled_from([b"\x90\0", b"\x63\xc2"]),
    redacted=st.just(()) | st.tuples(st.tuples(st.just("command"), st.integers(0, 9), st.integers(9, 20))),
)


@given(st.lists(HOSTILE, max_size=6))
def test_any_exchanges_can_be_followed(active: Desk, exchanges: list[Exchange]) -> None:
    recorded = tuple(Recorded(number, each) for number, each in enumerate(exchanges, 1))
    recording = Recording("any", (Session(b"", recorded),))
    with suppress(InputError):
        assert 0 <= follow(recording, active.before).number <= len(exchanges)
    assert blank_start(recording, STATIC)
