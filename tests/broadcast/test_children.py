"""What a child process gets to know: all but saifu's secrets, as /proc shows it to everybody of the same user."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from broadcast import children
from broadcast.bearers.pager import PagerReceiver, PagerTransmitter
from broadcast.bearers.sound import SoundReceiver, SoundTransmitter
from broadcast.packets import Packet

SECRETS = {"SAIFU_PIN": "86420975", "SAIFU_NEW_PIN": "97531864", "SAIFU_PASSPHRASE": "open sesame, please"}
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SAIFU_HOME", "/desk")
    monkeypatch.setenv("LANG", "C")


def told(pid: int) -> dict[str, str]:
    """The environment that a process was started with."""
    rows = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(row.decode().split("=", 1) for row in rows if row)


@contextmanager
def child(**more: str) -> Iterator["subprocess.Popen[bytes]"]:
    line = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with children.start(line, more, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@needs_proc
def test_a_child_is_told_no_secret_and_all_else() -> None:
    with child(PYTHONPATH="/here", LANG="C.UTF-8") as process:
        passed = told(process.pid)
    assert not {*SECRETS} & {*passed}
    assert not any(secret in value for secret in SECRETS.values() for value in passed.values())
    assert (passed["SAIFU_HOME"], passed["LANG"], passed["PYTHONPATH"]) == ("/desk", "C.UTF-8", "/here")
    assert "PATH" in passed


def test_a_program_that_is_run_to_its_end_is_told_no_secret() -> None:
    line = [sys.executable, "-c", "import os; print(sorted(name for name in os.environ if name.startswith('SAIFU_')))"]
    done = children.run(line, stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode().strip() in ("['SAIFU_DURABLE', 'SAIFU_HOME']", "['SAIFU_HOME']")


def test_a_variable_that_is_thought_of_tomorrow_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAIFU_WHATEVER", "secret")
    assert "SAIFU_WHATEVER" not in children.environment()


def told_by_a_receiver(receive: type[SoundReceiver | PagerReceiver], recording: Path) -> dict[str, str]:
    """The environment of a program that hears a recording; it may have heard all of it before it is looked at."""
    while True:
        with receive(recording) as receiver, suppress(ProcessLookupError):
            return told(receiver._process.pid)


@needs_proc
@pytest.mark.air
def test_the_programs_of_the_air_are_told_no_secret(tmp_path: Path) -> None:
    with SoundTransmitter(tmp_path / "air.wav") as transmitter:
        transmitter.send([bytes(transmitter.symbol_size + Packet.FRAME)])
    with PagerTransmitter(tmp_path / "pages.wav") as paging:
        paging.send([bytes(paging.symbol_size + Packet.FRAME)])
    for receive, file in ((SoundReceiver, "air.wav"), (PagerReceiver, "pages.wav")):
        assert not {*SECRETS} & {*told_by_a_receiver(receive, tmp_path / file)}
