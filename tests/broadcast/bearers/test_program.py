"""Programs of others: named with their packages when they are missing, and quoted when they fail."""

from pathlib import Path

import pytest

from apdu.errors import BearerError
from broadcast.bearers.pager import PagerReceiver
from broadcast.bearers.program import failure, find_program
from broadcast.bearers.sound import SoundReceiver, SoundTransmitter
from tests.broadcast.bearers.pages import record, some_packets


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def test_a_program_on_the_path_is_found(empty_path: Path) -> None:
    program = empty_path / "hearer"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(BearerError, match="hearer was not found; install the package radio"):
        find_program("hearer", "radio")
    program.chmod(0o755)
    assert find_program("hearer", "radio") == str(program)


@pytest.mark.usefixtures("empty_path")
def test_missing_programs_of_sound_are_named_with_their_packages(tmp_path: Path) -> None:
    with pytest.raises(BearerError, match="aplay was not found; install the package alsa-utils"):
        SoundTransmitter()
    with pytest.raises(BearerError, match="install the package minimodem"):
        SoundReceiver(tmp_path)


@pytest.mark.usefixtures("empty_path")
def test_a_missing_multimon_ng_is_named_with_its_package(tmp_path: Path) -> None:
    recording = record(tmp_path / "air.wav", some_packets(1))
    with pytest.raises(BearerError, match="install the package multimon-ng"):
        PagerReceiver(recording)


def test_a_program_that_fails_is_quoted_or_its_code_told() -> None:
    assert str(failure("hearer", b" no card\xff\n", 3)) == "hearer failed: no card\ufffd"
    assert str(failure("hearer", b"\n", 3)) == "hearer failed: exit code 3"
    assert str(failure("hearer", b"x" * 9000 + b"end", 3)).endswith("xxend")
    assert len(str(failure("hearer", b"x" * 9000, 3))) < 600
