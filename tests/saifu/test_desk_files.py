"""The files of a desk: nothing that others can write, names that forge nothing, and what the documents say of modes."""

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.saifu.shell import ROOT, Shell

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX")

CARD = "00001-0000000002-4"
FORGED = {
    "escape": "Eve\x1b[2J\x1b]0;owned\x07",
    "new line": "gone\n00001-0000000003-2  listed",
    "override": "Eve\u202ecod.exe",
    "tab": "a\tb",
    "empty": " ",
    "too long": "x" * 101,
    "no text": "\udcff",
}


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def rows() -> dict[str, list[int]]:
    """What docs/reference/files.md says: patterns of paths below the desk, with the modes that are right for them."""
    text = (ROOT / "docs/reference/files.md").read_text("utf-8")
    table = [line.split("|")[1:4] for line in text.splitlines() if line.startswith("| `")]
    said = dict[str, list[int]]()
    for names, _, modes in table:
        for name in re.findall("`([^`]+)`", names):
            path = name.replace("HOME", "home").replace("edition-N", "edition-*").replace("LIST", "*")
            if name.startswith(("HOME", "LIST")):
                said[path] = [int(mode, 8) for mode in re.findall(r"\d+", modes)]
    return said


@pytest.mark.usefixtures("no_umask")
def test_under_umask_0_a_desk_has_the_modes_of_its_document(empty: Shell) -> None:
    (empty.folder / "orders.csv").write_text("holder\n=1+1\n")
    (empty.folder / "orders.csv").chmod(0o600)
    for line in (
        "center init",
        "personalize ceremony",
        "personalize batch orders.csv --letters letters.csv --report report.json --out cards",
        "center publish",
        "center cipher-keys --out group.json",
        "--trace trace.jsonl card show -r model:cards/line-2.card",
        "terminal import home/center/trust.json home/center/edition-1 group.json",
        "terminal policy warn",
        "pos sales",
    ):
        empty.good(*line.split())
    modes = {str(path.relative_to(empty.folder)): path.stat().st_mode & 0o777 for path in empty.folder.rglob("*")}
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o022} == {}
    said = rows() | {"letters.csv": [0o600], "group.json": [0o600], "trace.jsonl": [0o600], "cards/*.card": [0o600]}
    held = {name: mode for name, mode in modes.items() if name.endswith(".lock")}
    assert set(held.values()) == {0o600}
    matched = set[str]()
    for name, mode in modes.items():
        wanted = [pattern for pattern in said if fnmatch(name, pattern) and pattern.count("/") == name.count("/")]
        assert all(mode in said[pattern] for pattern in wanted), (name, oct(mode))
        matched.update(wanted)
    assert said.keys() - matched <= {
        "home/terminal/newest-head",
        "home/terminal/listening/NAME.json",
        "home/center/center.sqlite.before-N",
    }


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("words", [
    ["personalize", "one", "-r", "model:spare.card", "--holder"],
    ["center", "report-stolen", CARD, "--reason"],
    ["center", "report-found", CARD, "--reason"],
    ["center", "decide", CARD, "1", "received", "--reason"],
])  # fmt: skip
def test_a_text_that_would_forge_lines_is_refused_at_every_door(shell: Shell, words: list[str], name: str) -> None:
    before = shell.good("center", "cards").out
    if "report-found" in words:
        shell.good("center", "report-stolen", CARD)
        before = shell.good("center", "cards").out
    ran = shell.run(*words, FORGED[name])
    if "decide" in words and ran.code == 5:
        assert "has shown no payment" in ran.fault
        return
    assert ran.code == 2
    assert re.search(r"characters are wanted|of 1 to 100 characters|character \d+ is U\+", ran.fault)
    assert shell.good("center", "cards").out == before


def test_a_text_is_kept_as_it_is(shell: Shell) -> None:
    shell.good("center", "report-stolen", CARD, "--reason", " gone, «盗まれた» 100% ")
    shell.good("center", "publish")
    assert "  gone, «盗まれた» 100%\n" in shell.good("center", "edition", "1").out


def test_letters_go_through_no_link(shell: Shell) -> None:
    (shell.folder / "victim").write_text("precious\n")
    (shell.folder / "l.csv").symlink_to("victim")
    ran = shell.run("personalize", "one", "-r", "model:spare.card", "--holder", "Mallory", "--letters", "l.csv")
    assert (ran.code, (shell.folder / "victim").read_text()) == (2, "precious\n")
    assert "l.csv is a symbolic link" in ran.fault
    shell.good("personalize", "one", "-r", "model:spare.card", "--holder", "Mallory", "--dry-run")


def linked(path: Path) -> None:
    """Put a link into a file's place."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(("file", "line"), [
    ("home/keystore.json", "personalize one -r model:spare.card --holder Aoi"),
    ("home/center/keys.json", "center cards"),
    ("component", "personalize ceremony --name other --component component --component component"),
    ("channel", "trace show none.jsonl --keys channel"),
])  # fmt: skip
def test_secrets_are_read_through_no_link(shell: Shell, file: str, line: str) -> None:
    for name in ("component", "channel"):
        (shell.folder / name).write_text("00")
        (shell.folder / name).chmod(0o600)
    linked(shell.folder / file)
    ran = shell.run(*line.split())
    assert ran.code == 2
    assert f"{Path(file).name} is a symbolic link" in ran.fault


@pytest.mark.parametrize("line", [
    "center init", "--home other personalize ceremony",
])  # fmt: skip
@pytest.mark.parametrize("passphrase", ["a", "eleven char", "盗まれた盗まれた盗まれ"])
def test_a_new_passphrase_has_twelve_characters(empty: Shell, line: str, passphrase: str) -> None:
    ran = empty.run(*line.split(), env={"SAIFU_PASSPHRASE": passphrase})
    assert ran.code == 2
    assert "a new passphrase has at least 12 characters" in ran.fault
    assert [path for path in empty.folder.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


@pytest.mark.parametrize("passphrase", ["twelve chars", "盗まれた盗まれた盗まれた"])
def test_twelve_characters_are_enough_in_any_script(empty: Shell, passphrase: str) -> None:
    empty.good("personalize", "ceremony", env={"SAIFU_PASSPHRASE": passphrase})
