"""``saifu trace diff`` as a user types it."""

from pathlib import Path

import pytest

from apdu.protocol import Protocol
from saifu.conformance.issuer import STATIC
from tests.saifu.conformance.desk import Desk, active_desk, blank, life
from tests.saifu.shell import Shell


@pytest.fixture(scope="module")
def active(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return active_desk(tmp_path_factory.mktemp("active"))


@pytest.fixture
def shell(active: Desk, tmp_path: Path) -> Shell:
    (tmp_path / "t.jsonl").write_bytes(active.path.read_bytes())
    (tmp_path / "before.card").write_bytes(active.before)
    (tmp_path / "after.card").write_bytes(active.image)
    keys = tmp_path / "keys.toml"
    keys.touch(0o600)
    keys.write_text("".join(f'{name} = "{getattr(STATIC, name).hex()}"\n' for name in ("enc", "mac", "dek")))
    return Shell(tmp_path)


def test_the_model_agrees(shell: Shell) -> None:
    before = shell.files()
    ran = shell.good("trace", "diff", "t.jsonl", "--model", "before.card")
    assert ran.out.startswith("the card answers as the model does")
    document = shell.good("trace", "diff", "t.jsonl", "--model", "before.card", "--json").document
    assert (document["equal"], document["first"], document["protocol"]) == (True, None, "T=1")
    assert shell.files() == before


def test_the_model_does_not_agree(shell: Shell) -> None:
    ran = shell.run("trace", "diff", "t.jsonl", "--model", "after.card")
    assert (ran.code, ran.err) == (1, "")
    lines = [line.strip() for line in ran.out.splitlines()]
    assert lines[0] == "the card deviates from the model first here:"
    assert lines[1].split()[:2] == ["2", "card"]
    assert any(line.startswith("answer: 81 status, ") for line in lines)
    document = shell.run("trace", "diff", "t.jsonl", "--model", "after.card", "--json").document
    assert document["first"]["place"]["number"] == 2
    assert document["first"]["fields"][0].keys() == {"part", "field", "model", "card"}


def test_from_a_blank_card(shell: Shell) -> None:
    Desk(shell.folder, blank(), Protocol.T0).record(life)
    name = "trace T=0.jsonl"
    assert "at T=0" in shell.good("trace", "diff", name, "--blank-keys", "keys.toml").out
    assert shell.run("trace", "diff", name, "--blank-keys", "keys.toml", "--protocol", "T=1").code == 1
    (shell.folder / "keys.toml").write_text(
        "".join(f'{each} = "{bytes(16).hex()}"\n' for each in ("enc", "mac", "dek"))
    )
    ran = shell.run("trace", "diff", name, "--blank-keys", "keys.toml")
    assert ran.code == 1
    assert "INITIALIZE UPDATE" in ran.out


def test_two_traces(shell: Shell) -> None:
    assert shell.run("trace", "diff", "t.jsonl", "t.jsonl").code == 0
    lines = (shell.folder / "t.jsonl").read_text().splitlines()
    (shell.folder / "u.jsonl").write_text("\n".join(lines[:-4]))
    ran = shell.run("trace", "diff", "t.jsonl", "u.jsonl")
    assert (ran.code, ran.err) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("t.jsonl",), "--model"),
        (("t.jsonl", "t.jsonl", "--model", "before.card"), "one thing"),
        (("t.jsonl", "--model", "before.card", "--blank-keys", "keys.toml"), "one thing"),
        (("t.jsonl", "t.jsonl", "--slot", "card"), "--slot"),
        (("t.jsonl", "--model", "before.card", "--strict"), "--strict"),
        (("t.jsonl", "--model", "nowhere.card"), "nowhere.card"),
        (("nowhere.jsonl", "--model", "before.card"), "nowhere.jsonl"),
        (("t.jsonl", "--model", "before.card", "--slot", "elsewhere"), "elsewhere"),
        (("t.jsonl", "--blank-keys", "keys.toml"), "active"),
    ],
)
def test_bad_input(shell: Shell, arguments: tuple[str, ...], word: str) -> None:
    ran = shell.run("trace", "diff", *arguments)
    assert (ran.code, word in ran.fault) == (2, True), ran


def test_no_image_is_no_image(shell: Shell) -> None:
    ran = shell.run("trace", "diff", "t.jsonl", "--model", "t.jsonl")
    assert (ran.code, "t.jsonl: " in ran.fault) == (9, True), ran
