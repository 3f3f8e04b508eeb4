"""Every sample of another program is recognized and read, byte for byte."""

import pytest

from apdu.trace.detection import HEAD_SIZE, form_of, read
from apdu.trace.model import Exchange, Item, Remark, Reset
from tests.apdu.trace.forms.samples import ATR, CAPTURES, FOLDER, SAMPLES, Sample, exchanges, session

every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file)
T0_PAIRS = [(command[:11] if command[1] == 0xA4 else command, answer) for command, answer in session("6983")]
"""On T=0 there is no Le after the data of SELECT."""


def items_of(raw: bytes, piece: int = 0) -> list[Item]:
    return list(read([raw[at : at + piece] for at in range(0, len(raw), piece)] if piece else [raw])[1])


@every_sample
def test_a_sample_is_recognized_by_its_head(sample: Sample) -> None:
    assert form_of(sample.raw[:HEAD_SIZE]).name == sample.form


@every_sample
def test_a_sample_gives_the_session(sample: Sample) -> None:
    items = items_of(sample.raw)
    found = exchanges(items)
    assert [(item.command, item.response) for item in found] == sample.pairs
    assert {item.slot for item in found} == {sample.slot}
    assert sample.slot in {item.slot for item in items if isinstance(item, Reset)} or not sample.atrs
    assert tuple(item.atr for item in items if isinstance(item, Reset)) == sample.atrs
    assert all((item.seconds is not None) == sample.timed for item in found)
    assert all(item.seconds is None or item.seconds < 0.1 for item in found)


@every_sample
@pytest.mark.parametrize("piece", [1, 7])
def test_the_size_of_the_pieces_does_not_matter(sample: Sample, piece: int) -> None:
    assert items_of(sample.raw, piece) == items_of(sample.raw)


@every_sample
def test_ends_of_lines_and_marks_of_windows_do_not_matter(sample: Sample) -> None:
    windows = b"\xef\xbb\xbf" + sample.raw.replace(b"\n", b"\r\n")
    assert form_of(windows[:HEAD_SIZE]).name == sample.form
    assert items_of(windows) == items_of(sample.raw)


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize("piece", [0, 1, 5])
def test_a_capture_of_tshark_gives_the_session_over_ipv4_and_ipv6(name: str, piece: int) -> None:
    items = items_of((FOLDER / name).read_bytes(), piece)
    found = exchanges(items)
    assert [(item.command, item.response) for item in found[:-2]] == [*T0_PAIRS, T0_PAIRS[1]] * 2
    assert [item.atr for item in items if isinstance(item, Reset)] == [ATR, ATR]
    assert [item.text for item in items if isinstance(item, Remark)] == [
        "PPS request: FF11947A",
        "PPS response: FF11947A",
    ] * 2
    assert all(item.time is not None and 1.79e9 < item.time < 1.8e9 for item in items)


def test_commands_that_come_in_parts_are_put_together() -> None:
    read_record, verify = exchanges(items_of((FOLDER / CAPTURES[0]).read_bytes()))[-2:]
    assert (read_record.command.hex(), read_record.response) == ("00b2010400", b"\1\2\x90\0")
    assert (verify.command, verify.response) == (bytes.fromhex("0020008108313233343536FFFF"), b"\x63\xc2")


def test_pcsc_spy_knows_when_commands_were_sent() -> None:
    sample = next(sample for sample in SAMPLES if sample.form == "pcsc-spy")
    first = exchanges(items_of(sample.raw))[0]
    assert first == Exchange(*sample.pairs[0], sample.slot, 1795309766.368841, 0.000247)
