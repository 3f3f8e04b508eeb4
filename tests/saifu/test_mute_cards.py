"""A card that falls silent, and a reader that somebody keeps: every command says so, hears Ctrl-C, and ends.

Real processes. Nothing here asserts on time, only that there is an end, and what is said before it.
"""

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.host.virtual.programs import Other, Running, reader_with
from tests.host.virtual.witness_card import events, fall_silent
from tests.saifu.shell import Shell

pytestmark = pytest.mark.pcsc

PATIENT, IMPATIENT = ("--patience", "3600"), ("--patience", "3")
SECONDS = 60
SILENT = {
    "card show -r 0": ("a4", "00a40400"),
    "pos sell 1 -r 0 -m 1": ("32", "80320000"),
    "remit 51 -r 0 --to 1": ("20", "00200081"),
    "atm load 1 -r 0": ("34", "80340000"),
    "atm deposit 1 -r 0": ("32", "80320000"),
    "apdu 00CA010000 -r 0": ("ca", "00ca0100"),
}
"""Command, and the INS at which Aoi's card falls silent; how that shows in what it has heard."""


@pytest.fixture
def aoi(shell: Shell) -> Path:
    return shell.folder / "aoi.card"


@pytest.fixture
def running(shell: Shell, aoi: Path) -> Iterator[Running]:
    with reader_with("vpcd", aoi, shell.folder / "shop.card") as running:
        yield running


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    return process.stderr.readline().strip()


def rest(process: "subprocess.Popen[str]") -> str:
    """What is still said on standard error until the end."""
    return process.communicate(timeout=SECONDS)[1]


@pytest.mark.parametrize("command", SILENT)
def test_a_mute_card_is_told_and_given_up(shell: Shell, running: Running, aoi: Path, command: str) -> None:
    ins, _ = SILENT[command]
    fall_silent(aoi, ins)
    with shell.start(*IMPATIENT, *command.split(), env=running.environment) as process:
        assert line(process).startswith(
            "waiting for the card in saifu virtual reader 00 00 to answer; giving up after 3 s"
        )
        said = rest(process)
    assert process.returncode == 6, said
    assert "has not answered in 3 s, and is given up; put the card in again" in said


@pytest.mark.parametrize("command", SILENT)
def test_ctrl_c_is_heard_while_a_card_is_mute(shell: Shell, running: Running, aoi: Path, command: str) -> None:
    ins, header = SILENT[command]
    fall_silent(aoi, ins)
    with shell.start(*PATIENT, *command.split(), env=running.environment) as process:
        line(process)
        assert events(aoi)[-1] == header
        process.send_signal(signal.SIGINT)
        said = rest(process)
    assert process.returncode == 130, said


def test_a_card_that_does_not_answer_to_its_reset_is_given_up(shell: Shell, running: Running, aoi: Path) -> None:
    fall_silent(aoi, "reset")
    with shell.start(*IMPATIENT, "card", "show", "-r", "0", env=running.environment) as process:
        assert re.match("waiting for (the card in )?saifu virtual reader 00 00", line(process))
        said = rest(process)
    assert process.returncode == 3, said


def test_personalization_of_a_card_that_falls_silent(shell: Shell) -> None:
    spare = shell.folder / "spare.card"
    fall_silent(spare, "e2")
    with reader_with("vpcd", spare) as running:
        command = (*IMPATIENT, "personalize", "one", "-r", "0", "--holder", "Dai")
        with shell.start(*command, env=running.environment) as process:
            assert line(process).startswith("waiting for the card in saifu virtual reader 00 00 to answer")
            said = rest(process)
    assert process.returncode == 6, said


def test_conformance_of_a_card_that_falls_silent_ends_with_a_report(shell: Shell) -> None:
    blank = shell.folder / "blank.card"
    shell.good("conform", "blank", blank)
    fall_silent(blank, "20")
    with reader_with("vpcd", blank) as running:
        command = (*IMPATIENT, "conform", "-r", "0", "--clause", "VERIFY", "--junit", "report.xml")
        with shell.start(*command, env=running.environment) as process:
            said = rest(process)
    assert process.returncode in (3, 6), said
    assert (shell.folder / "report.xml").exists()


@pytest.fixture
def keeper(running: Running) -> Iterator[Other]:
    """Another program, which keeps Aoi's card in a transaction."""
    with running.other() as other:
        assert other.does("begin") == "0"
        yield other


def test_who_keeps_a_reader_is_told_and_it_is_given_up(shell: Shell, running: Running, keeper: Other) -> None:
    with shell.start(*IMPATIENT, "card", "show", "-r", "0", env=running.environment) as process:
        told, said = line(process), rest(process)
    assert told.startswith("waiting for saifu virtual reader 00 00: another program holds it, or its card hangs")
    assert f"(process {keeper.pid})" in told
    assert process.returncode == 3
    assert "saifu virtual reader 00 00 could not be had in 3 s" in said


def test_ctrl_c_is_heard_while_another_program_keeps_the_reader(
    shell: Shell, running: Running, keeper: Other, aoi: Path
) -> None:
    before = len(events(aoi))
    with shell.start(*PATIENT, "pos", "sell", "1", "-r", "0", "-m", "1", env=running.environment) as process:
        assert f"(process {keeper.pid})" in line(process)
        process.send_signal(signal.SIGINT)
        said = rest(process)
    assert process.returncode == 130, said
    assert events(aoi)[before:] == []
    assert keeper.does("00CA010000") != "", "the one who keeps the card goes on with it"


def test_a_reader_that_is_let_go_in_time_is_taken(shell: Shell, running: Running, keeper: Other) -> None:
    with shell.start(*PATIENT, "card", "show", "-r", "0", env=running.environment) as process:
        line(process)
        assert keeper.does(f"end {Other.LEAVE}") == "0"
        said = rest(process)
    assert process.returncode == 0, said


def test_a_card_that_hung_is_used_again_when_it_was_out(shell: Shell, running: Running, aoi: Path) -> None:
    fall_silent(aoi, "a4")
    assert shell.process(*IMPATIENT, "card", "show", "-r", "0", env=running.environment).code == 6
    fall_silent(aoi)
    running.eject(1)
    running.insert(1, aoi)
    end = time.monotonic() + SECONDS
    while (ran := shell.process("card", "show", "-r", "0", env=running.environment)).code:
        assert time.monotonic() < end, ran


# --- the float, which all ATMs share ---------------------------------------------------------------------------

BOTAN = ("atm", "load", "1", "-r", "model:botan.card")


@contextmanager
def holding_the_float(shell: Shell, running: Running, aoi: Path) -> Iterator["subprocess.Popen[str]"]:
    """An ATM whose card has fallen silent after the float has paid."""
    fall_silent(aoi, "34")
    with shell.start(*PATIENT, "atm", "load", "1", "-r", "0", env=running.environment) as process:
        assert line(process).startswith("waiting for the card")
        yield process
        process.kill()


def test_an_atm_waits_for_one_that_holds_the_float(shell: Shell, running: Running, aoi: Path) -> None:
    with holding_the_float(shell, running, aoi) as first, shell.start(*PATIENT, *BOTAN) as second:
        told = line(second)
        assert told.startswith("waiting for float: ")
        assert f"is in use by another process, {first.pid} (" in told
        first.send_signal(signal.SIGINT)
        rest(first)
        said = rest(second)
    assert (first.returncode, second.returncode) == (130, 0), said


def test_an_atm_gives_up_a_float_that_another_one_holds(shell: Shell, running: Running, aoi: Path) -> None:
    with holding_the_float(shell, running, aoi), shell.start(*IMPATIENT, *BOTAN) as second:
        said = rest(second)
    assert second.returncode == 9, said
    assert "float.card is in use by another process, " in said


def test_a_card_that_is_mute_before_the_float_pays_keeps_no_atm_out(shell: Shell, running: Running, aoi: Path) -> None:
    fall_silent(aoi, "20", "30")
    with shell.start(*PATIENT, "atm", "load", "1", "-r", "0", env=running.environment) as first:
        line(first)
        assert shell.process(*BOTAN).err == ""
        first.kill()


def test_atms_at_one_center_load_at_the_same_time(shell: Shell) -> None:
    commands = [("atm", "load", "1", "-r", f"model:{name}.card") for name in ("aoi", "botan")]
    before = balances(shell)
    for _ in range(3):
        processes = [shell.start(*command) for command in commands]
        assert [(process.communicate(timeout=SECONDS)[1], process.returncode) for process in processes] == [("", 0)] * 2
    assert balances(shell) == [before[0] + 300, before[1] + 300, before[2] - 600]


def balances(shell: Shell) -> list[int]:
    """What Aoi, Botan and the float have."""
    images = ("aoi.card", "botan.card", "home/center/float.card")
    return [shell.good("card", "show", "-r", f"model:{image}", "--json").document["balance"] for image in images]
