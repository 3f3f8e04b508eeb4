"""The forms that are written: what goes in comes out again, and other programs can read it."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apdu.errors import FormatError
from apdu.trace.detection import FORMS, Form, form_named, form_of
from apdu.trace.model import Exchange, Item, Remark, Reset
from tests.apdu.trace.forms.samples import ATR, SESSION

WRITTEN = tuple(form for form in FORMS[1:] if form.write is not None)
every_written = pytest.mark.parametrize("form", WRITTEN, ids=lambda form: form.name)
times = st.none() | st.integers(1, 1 << 51).map(lambda ticks: ticks / 1e6)
slots = st.sampled_from(["", "A", "vpcd 00 01", "読取機"])
texts = st.text(max_size=30).map(lambda text: re.sub(r"\W+", " ", text).strip()).filter(bool)
milliseconds = st.none() | st.integers(0, 10**9).map(lambda ticks: ticks / 1e6)


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    command = draw(st.binary(min_size=4, max_size=300))
    response = draw(st.none() | st.binary(min_size=2, max_size=300))
    spans = []
    for part, raw in (("command", command), ("response", response or b"")):
        if raw and draw(st.booleans()):
            start = draw(st.integers(0, len(raw) - 1))
            spans.append((part, start, draw(st.integers(start + 1, len(raw)))))
    return Exchange(command, response, draw(slots), draw(times), draw(milliseconds), tuple(spans))


items = st.lists(
    exchanges() | st.builds(Reset, st.binary(max_size=33), slots, times) | st.builds(Remark, texts, slots, times)
)


def written(form: Form, entries: list[Item]) -> bytes:
    assert form.write is not None
    return b"".join(form.write(entries))


@every_written
@settings(max_examples=80)
@given(entries=items)
@example(entries=SESSION)
def test_what_is_written_is_read_again(form: Form, entries: list[Item]) -> None:
    raw = written(form, entries)
    assert list(form.read([raw])) == entries


@every_written
def test_what_is_written_is_recognized(form: Form) -> None:
    assert form_of(written(form, SESSION)) is form


@every_written
@pytest.mark.parametrize("text", ["two\nlines", "x" * 70_000, "# Sent", "ATR: 3B", "\ud800\0end", "", " "])
def test_a_remark_cannot_be_taken_for_an_entry(form: Form, text: str) -> None:
    entry = Exchange(b"\0\xa4\0\0", b"\x90\0", text)
    found = list(form.read([written(form, [Remark(text), replace(entry, slot=""), entry])]))
    assert next(item for item in found if isinstance(item, Exchange)) == replace(entry, slot="")
    assert [item.command for item in found if isinstance(item, Exchange)] == [entry.command] * 2
    assert len([item for item in found if isinstance(item, Remark)]) <= 1
    assert not [item for item in found if isinstance(item, Reset)]


@every_written
def test_what_has_no_place_in_a_form_breaks_nothing(form: Form) -> None:
    odd: list[Item] = [
        Exchange(b"", b"\x90\0"),
        Exchange(b"\0\xa4\4\0", b"\x90"),
        Exchange(b"\0\xa4\4\0", b""),
        Exchange(bytes(65544), bytes(65538), time=-1.0),
        Exchange(b"\0\xa4\4\0", b"\x90\0", time=1e300),
    ]
    found = [item for item in form.read([written(form, odd)]) if isinstance(item, Exchange)]
    assert {item.command for item in found} <= {item.command for item in odd if isinstance(item, Exchange)}
    assert found[-1].response == b"\x90\0"


@every_written
@pytest.mark.parametrize(("command", "answer"), [("00A40400", "90"), ("00A40400", ""), ("00", "6700"), ("", "6E00")])
def test_an_answer_that_has_no_place_in_a_form_is_in_a_remark(form: Form, command: str, answer: str) -> None:
    odd = Exchange(bytes.fromhex(command), bytes.fromhex(answer), "A", 7.0)
    found = list(form.read([written(form, [odd])]))
    said = " ".join(item.text for item in found if isinstance(item, Remark))
    assert found == [odd] or f"the answer was {answer or 'empty'}" in said


def test_a_long_answer_that_has_no_place_is_cut() -> None:
    form = form_named("gsmtap")
    command, remark = form.read([written(form, [Exchange(b"\0", bytes(100))])])
    assert command == Exchange(b"\0", None)
    assert remark == Remark(f"the answer was {bytes(64).hex()}…")


def test_a_cardpeek_file_is_as_cardpeek_writes_it() -> None:
    raw = written(form_named("cardpeek"), [Reset(ATR), Exchange(b"\0\xca\1\0\0", b"\1\2\x90\0")])
    assert raw.decode() == f"# cardpeek trace file\n# version 0\nR:{ATR.hex().upper()}\nC:00CA010000:9000:0102\n# end\n"


def test_an_apdu4j_dump_is_as_apdu4j_writes_it() -> None:
    raw = written(form_named("apdu4j"), [Reset(ATR), Exchange(b"\0\xca\1\0\0", b"\1\2\x90\0", seconds=0.04)])
    expected = ["# ATR: " + ATR.hex().upper(), "# PROTOCOL: T=1", "#", "# Sent", "00CA010000", "# Received in 40ms"]
    assert raw.decode().splitlines() == [*expected, "01029000"]


@pytest.mark.parametrize(("atr", "protocol"), [("3B00", "T=0"), ("3B8001", "T=1"), ("3B9000", "T=0"), ("3B", "T=0")])
def test_the_protocol_is_the_first_that_the_atr_offers(atr: str, protocol: str) -> None:
    assert f"# PROTOCOL: {protocol}" in written(form_named("apdu4j"), [Reset(bytes.fromhex(atr))]).decode()


def test_a_name_that_is_no_form_is_refused_with_the_names() -> None:
    with pytest.raises(FormatError, match="saifu, gsmtap, cardpeek"):
        form_named("pcap")


@pytest.fixture
def tshark(tmp_path: Path) -> Callable[..., list[str]]:
    """Runs tshark over the session, and gives its lines."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    capture = tmp_path / "session.pcapng"
    capture.write_bytes(written(form_named("gsmtap"), SESSION))

    def run(*options: str) -> list[str]:
        line = ["tshark", "-r", str(capture), *options]
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()

    return run


def test_tshark_names_the_commands_and_status_words(tshark: Callable[..., list[str]]) -> None:
    said = tshark()
    assert len(said) == len(SESSION)
    assert "GSM SIM" in said[1]
    assert "SELECT Application f05341494655" in said[1]
    assert "READ RECORD RecordNr=1 : Wrong parameters" in said[3]
    assert "GSMTAP" in said[-1]
    assert "the card was taken out" in said[-1]
    assert not any("alformed" in line for line in said)


def test_tshark_finds_sound_checksums_times_slots_and_comments(tshark: Callable[..., list[str]]) -> None:
    fields = ("frame.time_epoch", "frame.interface_name", "frame.comment", "ip.checksum.status", "gsm_sim.apdu.sw")
    options = [option for field in fields for option in ("-e", field)]
    rows = [line.split("\t") for line in tshark("-o", "ip.check_checksum:TRUE", "-T", "fields", *options)]
    assert [row[1] for row in rows] == [item.slot for item in SESSION]
    assert {row[3] for row in rows} == {"1"}
    assert float(rows[1][0]) == SESSION[1].time
    assert rows[1][2] == "command of 12 bytes, answered in 0.000247 s"
    assert rows[8][2] == "command of 13 bytes, blanked: command 5-13"
    assert rows[6][4] == "0x63c2"
