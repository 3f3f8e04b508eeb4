"""Secrets from a file, a variable or a real terminal's prompt."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pexpect
import pytest

from apdu.errors import InputError
from host.secrets_input import read_digits, read_secret

posix_only = pytest.mark.skipif(os.name != "posix", reason="modes of files and pseudo-terminals are POSIX")

VARIABLE = "SAIFU_TEST_SECRET"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with a secret, readable by its owner alone."""
    path = tmp_path / "secret"
    path.write_bytes(b"from file\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> str:
    """An environment variable with a secret."""
    monkeypatch.setenv(VARIABLE, "from variable ä")
    return VARIABLE


def test_file_comes_before_the_variable(file: Path, variable: str) -> None:
    assert read_secret("Passphrase", variable, file) == b"from file"


def test_variable(variable: str) -> None:
    assert read_secret("Passphrase", variable, None) == "from variable ä".encode()


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"a\r\n", b"a"), (b"a\n\n", b"a\n"), (b" a ", b" a "), (b"\xff\x00", b"\xff\x00")],
)
def test_one_line_end_is_left_out_and_nothing_else(file: Path, content: bytes, secret: bytes) -> None:
    file.write_bytes(content)
    assert read_secret("Passphrase", None, file) == secret


def test_empty_secrets_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_bytes(b"\n")
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(InputError, match="secret is empty"):
        read_secret("Passphrase", None, file)
    with pytest.raises(InputError, match=f"{VARIABLE} is empty"):
        read_secret("Passphrase", VARIABLE, None)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none cannot be read"):
        read_secret("Passphrase", None, tmp_path / "none")


@posix_only
@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o400, False), (0o644, True), (0o640, True), (0o604, True)]
)
def test_file_that_others_can_read_is_warned_about_and_used(
    file: Path, mode: int, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    file.chmod(mode)
    assert read_secret("Passphrase", None, file) == b"from file"
    said = capsys.readouterr()
    assert said.out == ""
    assert (f"chmod 600 {file}" in said.err) == warned
    assert "from file" not in said.err


@pytest.mark.parametrize("digits", ["1234", "00000000"])
def test_digits(digits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, digits)
    assert read_digits("PIN", VARIABLE, None, range(4, 9)) == digits


@pytest.mark.parametrize("value", ["123", "123456789", "12a4", "١٢٣٤", "12 4", "+123"])
def test_what_is_no_pin_is_refused_and_not_shown(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(InputError, match="4 to 8 digits") as refusal:
        read_digits("PIN", VARIABLE, None, range(4, 9))
    assert value not in str(refusal.value)


# --- the prompt, on a terminal of its own ------------------------------------------------------------------

ASK = """
import sys
from apdu.errors import InputError
from host.secrets_input import read_secret
try:
    print("got", read_secret("Passphrase", sys.argv[2] or None, None, confirm=sys.argv[1] == "twice").hex())
except InputError as error:
    print("refused:", error)
"""


def asked(*answers: str, twice: bool = False) -> str:
    """Everything that the terminal shows while the answers are typed."""
    arguments = ["-c", ASK, "twice" if twice else "once", ""]
    child = pexpect.spawn(sys.executable, arguments, cwd=str(ROOT), encoding="utf-8")
    child.logfile_read = shown = StringIO()
    for answer in answers:
        child.expect(": ")
        child.waitnoecho()
        child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    return shown.getvalue()


@posix_only
def test_prompt_shows_nothing_that_is_typed() -> None:
    shown = asked("sécret")
    assert f"got {'sécret'.encode().hex()}" in shown
    assert "sécret" not in shown


@posix_only
def test_prompt_asks_twice_for_a_new_secret() -> None:
    assert f"got {b'secret'.hex()}" in asked("secret", "secret", twice=True)
    assert "refused: Passphrase: the two entries are not the same" in asked("secret", "secrets", twice=True)


@posix_only
def test_prompt_refuses_an_empty_secret() -> None:
    assert "refused: Passphrase: what was typed is empty" in asked("")


@posix_only
def test_without_a_terminal_nobody_is_asked() -> None:
    command = [sys.executable, "-c", ASK, "once", "SAIFU_NOT_SET"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        input="secret\n",
        capture_output=True,
        text=True,
        start_new_session=True,
        check=True,
    )
    assert done.stdout == "refused: Passphrase: there is no terminal to ask on; set SAIFU_NOT_SET or give a file\n"
    assert done.stderr == ""
