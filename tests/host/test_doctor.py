"""The doctor says what is there, what is not, and how to get it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from host import doctor as doctor_module
from host.doctor import Finding, diagnose
from host.doctor_cli import doctor
from host.virtual.daemon import PrivatePcscd
from host.virtual.parts import SOCKET_VARIABLE

ROOT = Path(__file__).parents[2]

app = typer.Typer()
app.command()(doctor)


@pytest.fixture(autouse=True)
def _own_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """libpcsclite keeps the first socket that it hears of: the one that this process's own daemon would have."""
    monkeypatch.setenv(SOCKET_VARIABLE, str(PrivatePcscd().socket_path))


def findings() -> dict[str, Finding]:
    return {finding.part: finding for finding in diagnose()}


@pytest.mark.pcsc
def test_what_is_there_is_found() -> None:
    found = findings()
    for part in ("pyscard", "pcscd", "vpcd"):
        assert found[part].present
        assert Path(found[part].detail).exists()


@pytest.mark.parametrize(
    ("system", "apt", "remedy"),
    [
        ("linux", "/usr/bin/apt-get", "sudo apt-get install opensc"),
        ("linux", None, "what your system's package manager calls opensc"),
        ("darwin", None, "brew install opensc"),
        ("win32", None, "get opensc from its makers"),
    ],
)
def test_what_is_missing_comes_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch, system: str, apt: str | None, remedy: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(doctor_module, "find_program", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: apt)
    found = findings()
    assert not found["opensc-tool"].present
    assert remedy in found["opensc-tool"].remedy
    assert ("pcscd" in found) == (system == "linux")


def test_everything_that_is_missing_has_a_remedy() -> None:
    assert [finding for finding in diagnose() if not finding.present and not finding.remedy] == []


def test_a_machine_with_nothing_is_no_failure() -> None:
    program = "import sys; sys.modules['smartcard'] = None\nfrom tests.host.test_doctor import app; app()"
    line = [sys.executable, "-c", program]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--  pyscard" in done.stdout
    assert "Cards in files (--reader model:FILE) and the demo need none of these." in done.stdout


def test_json_says_the_same() -> None:
    result = CliRunner().invoke(app, ["--json"])
    assert result.exit_code == 0
    document = json.loads(result.output)
    assert {entry["part"] for entry in document["findings"]} == findings().keys()
    assert "need none" in document["note"]
