"""Lines and bars of a command that runs for long, as a terminal shows them and as a file keeps them."""

import os
import sys
from pathlib import Path

import pexpect
import pytest

from host.progress_screen import Bar, ProgressScreen

ROOT = Path(__file__).parents[2]
BARS = [Bar("one", "full list 7", 3, 8), Bar("other", "step 6 to 7", 1, 2)]
PROGRAM = """
import sys, time
from host.progress_screen import ProgressScreen
from tests.host.test_progress_screen import BARS
with ProgressScreen(quiet="quiet" in sys.argv) as screen:
    screen.show(BARS)
    screen.tell("edition 6 is in force")
    sys.stdin.readline()
    screen.show(BARS[:1])
    sys.stdin.readline()
print("the end")
"""


posix_only = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX terminal")


def watched(*arguments: str) -> "pexpect.spawn[str]":
    """The program above on a terminal of 100 columns, with somebody who presses Enter to go on."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    return pexpect.spawn(
        sys.executable, ["-c", PROGRAM, *arguments], encoding="utf-8", timeout=60, dimensions=(24, 100), env=environment
    )


@posix_only
def test_a_terminal_shows_a_line_above_a_bar_for_each_thing_until_the_end() -> None:
    child = watched()
    child.expect("edition 6 is in force")
    child.expect("full list 7.* 38%.*step 6 to 7.* 50%")
    child.sendline()
    child.expect("\r\n.*full list 7.* 38%")
    child.sendline()
    child.expect("the end")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@posix_only
def test_quiet_shows_nothing_at_all() -> None:
    child = watched("quiet")
    child.sendline()
    child.sendline()
    child.expect(pexpect.EOF)
    child.close()
    assert isinstance(child.before, str)
    assert child.before.split() == ["the", "end"]
    assert "\x1b" not in child.before


def test_a_file_gets_the_lines_as_they_are_and_no_bars(capsys: pytest.CaptureFixture[str]) -> None:
    """Long ones too, in one line, with brackets and numbers as they are."""
    lines = ["refused: [bold]not so[/bold] 12:30 https://127.0.0.1:8443", "a long line " * 40]
    with ProgressScreen(quiet=False) as screen:
        screen.show(BARS)
        for line in lines:
            screen.tell(line)
        screen.show([])
    assert capsys.readouterr() == ("", "".join(line + "\n" for line in lines))
    assert screen.told == lines


def test_what_is_not_shown_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressScreen(quiet=True) as screen:
        screen.show(BARS)
        screen.tell("edition 6 is in force")
    assert capsys.readouterr() == ("", "")
    assert screen.told == ["edition 6 is in force"]
