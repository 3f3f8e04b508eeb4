"""A trace that grows, is cut short and replaced, read while it happens; whoever waits does the writing here."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from apdu.errors import FormatError, InputError
from apdu.trace import own
from apdu.trace.model import Exchange, Remark
from host.trace_following import follow

HEADER = own.header("test").encode() + b"\n"
ONE, TWO = (own.encode(Remark(text)).encode() + b"\n" for text in ("one", "two"))


class Writer:
    """What happens to the file while the reader waits, a thing a pause; at the end somebody presses Ctrl-C."""

    def __init__(self, *events: Callable[[], object]) -> None:
        self._events = list(events)
        self.told: list[str] = []

    def pause(self, seconds: float) -> None:
        assert seconds > 0
        if not self._events:
            raise KeyboardInterrupt
        self._events.pop(0)()

    def follow(self, path: Path) -> list[bytes]:
        return list(follow(path, self.told.append, self.pause))


def append(path: Path, raw: bytes) -> Callable[[], object]:
    def write() -> None:
        with path.open("ab") as file:
            file.write(raw)

    return write


def replace(path: Path, raw: bytes) -> Callable[[], object]:
    def write() -> None:
        other = path.with_suffix(".new")
        other.write_bytes(raw)
        other.replace(path)

    return write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.jsonl"


def test_lines_come_as_they_are_written_and_a_part_of_one_waits(path: Path) -> None:
    path.write_bytes(HEADER)
    writer = Writer(append(path, ONE[:5]), append(path, ONE[5:] + TWO), append(path, b'{"rem'))
    assert writer.follow(path) == [HEADER, ONE, TWO]
    assert writer.told == []


def test_a_file_that_is_not_there_yet_is_waited_for(path: Path) -> None:
    writer = Writer(lambda: None, append(path, HEADER + ONE))
    assert writer.follow(path) == [HEADER, ONE]
    assert writer.told == [f"{path} is not there yet; waiting for it"]


@pytest.mark.parametrize("change", [replace, lambda path, raw: lambda: path.write_bytes(raw)])
def test_a_file_that_is_cut_short_or_replaced_is_told_and_read_from_its_beginning(
    change: Callable[[Path, bytes], Callable[[], object]], path: Path
) -> None:
    path.write_bytes(HEADER + ONE + b"half a li")
    writer = Writer(change(path, HEADER + TWO))
    assert writer.follow(path) == [HEADER, ONE, HEADER, TWO]
    assert len(writer.told) == 1
    assert "was cut short or replaced" in writer.told[0]


def test_a_file_that_is_taken_away_is_waited_for(path: Path) -> None:
    path.write_bytes(HEADER + ONE)
    writer = Writer(path.unlink, lambda: None, append(path, HEADER + TWO))
    assert writer.follow(path) == [HEADER, ONE, HEADER, TWO]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        list(follow(tmp_path, print, print))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are for POSIX systems")
def test_a_pipe_cannot_be_followed(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(InputError, match=r"for files that grow.*show it without --follow"):
        list(follow(path, print, print))


def test_a_line_without_end_is_no_trace_and_takes_no_memory(path: Path) -> None:
    path.write_bytes(HEADER + b"x" * (3 * own.LONGEST_LINE))
    lines = follow(path, print, Writer().pause)
    with pytest.raises(FormatError):
        list(own.decode(lines))


def test_a_followed_trace_is_decoded_to_what_was_written(path: Path) -> None:
    exchange = Exchange(b"\0\xa4\4\0", b"\x90\0")
    path.write_bytes(HEADER + own.encode_sent(exchange).encode() + b"\n")
    answer = own.encode_answer(exchange).encode() + b"\n"
    lines = follow(path, print, Writer(append(path, answer)).pause)
    assert list(own.decode(lines)) == [exchange]
