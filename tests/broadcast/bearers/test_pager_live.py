"""The pager live: named pipes and the standard input, and multimon-ng when it fails or talks too much."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from apdu.errors import BearerError
from broadcast.bearers.pager import GROUP_ADDRESS, PagerReceiver
from tests.broadcast.bearers.pages import raw, record, some_packets

pytestmark = pytest.mark.air

# --- live --------------------------------------------------------------------------------------------------


@contextmanager
def writing(pipe: Path, write: Callable[[int], None]) -> Iterator[None]:
    """Let a thread open the pipe and write to it."""

    def run() -> None:
        descriptor = os.open(pipe, os.O_WRONLY)
        try:
            write(descriptor)
        finally:
            os.close(descriptor)

    thread = Thread(target=run)
    thread.start()
    yield
    thread.join()


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "radio")
    return tmp_path / "radio"


def test_a_pipe_is_heard_to_its_end_however_it_is_cut(pipe: Path) -> None:
    packets, sound = some_packets(3), raw(some_packets(3))

    def write(descriptor: int) -> None:
        for start in range(0, len(sound), 4999):
            assert os.write(descriptor, sound[start : start + 4999])

    with PagerReceiver(pipe) as receiver, writing(pipe, write):
        assert list(receiver.packets()) == packets
        assert list(receiver.packets()) == []


def test_a_live_pipe_gives_packets_before_it_ends_and_none_is_lost_between_calls(pipe: Path) -> None:
    packets = some_packets(4)
    reader, more = os.pipe()

    def write(descriptor: int) -> None:
        sound = memoryview(raw(packets))
        while sound:
            sound = sound[os.write(descriptor, sound) :]
        assert os.read(reader, 1)

    with PagerReceiver(pipe) as receiver:
        assert list(receiver.packets(0)) == []
        with writing(pipe, write):
            assert [next(receiver.packets()) for _ in packets] == packets
            assert list(receiver.packets(0.01)) == []
            os.write(more, b".")
        assert list(receiver.packets()) == []
    os.close(reader)
    os.close(more)


def children() -> set[str]:
    lists = Path("/proc/self/task").glob("*/children")
    return {child for one in lists for child in one.read_text().split()}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs a /proc that lists threads")
def test_closing_ends_multimon_ng_in_the_midst_of_everything(pipe: Path, tmp_path: Path) -> None:
    before = children()
    recording = record(tmp_path / "air.wav", some_packets(300))
    for source in (pipe, recording):
        receiver = PagerReceiver(source)
        assert len(children() - before) == 1
        receiver.close()
        receiver.close()
        assert children() == before
        assert list(receiver.packets()) == []


def test_the_standard_input_brings_raw_samples() -> None:
    listen = (
        "from broadcast.bearers.pager import PagerReceiver\n"
        "with PagerReceiver(None) as receiver:\n"
        "    print(*(packet.hex() for packet in receiver.packets()))"
    )
    packets = some_packets(2)
    done = subprocess.run([sys.executable, "-c", listen], input=raw(packets), capture_output=True, check=True)
    assert done.stdout.decode().split() == [packet.hex() for packet in packets]


# --- multimon-ng itself ------------------------------------------------------------------------------------


def put_program(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put another program where multimon-ng is looked for first."""
    program = folder / "multimon-ng"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_failure_of_multimon_ng_is_told_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = record(tmp_path / "air.wav", some_packets(100))
    put_program(tmp_path, 'echo "invalid mode" >&2; exit 3', monkeypatch)
    with PagerReceiver(recording) as receiver, pytest.raises(BearerError, match="invalid mode"):
        list(receiver.packets())
    put_program(tmp_path, "exit 4", monkeypatch)
    with PagerReceiver(recording) as receiver, pytest.raises(BearerError, match="exit code 4"):
        list(receiver.packets())


def test_lines_without_end_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = record(tmp_path / "air.wav", some_packets(1))
    line = f"POCSAG1200: Address: {GROUP_ADDRESS}  Function: 3  Alpha:   S>AAAA"
    put_program(tmp_path, f"head -c 3000000 /dev/zero; echo; echo '{line}'; cat > /dev/null", monkeypatch)
    with PagerReceiver(recording) as receiver:
        assert list(receiver.packets()) == [bytes(3)]
        assert len(receiver._rest) <= 8192
        assert sum(map(len, receiver._words)) <= 5 * (8192 + 16_384)
