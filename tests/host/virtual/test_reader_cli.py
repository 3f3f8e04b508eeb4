"""``saifu reader`` from two shells: one runs the reader, the other puts real card images into it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from apdu.errors import InputError, SaifuError
from host.model import HISTORY_RANGE, UNSETTLED_RANGE, ChipKeys, create_card
from host.reader_cli import app

pytestmark = pytest.mark.pcsc

ROOT = Path(__file__).parents[3]
PROGRAM = [sys.executable, "-c", "from host.reader_cli import app; app(prog_name='saifu reader')"]


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Three blank cards."""
    paths = [tmp_path / f"{name}.card" for name in ("anna", "bert", "shop")]
    for path in paths:
        create_card(path, ChipKeys(bytes(10), 1, bytes(16), bytes(16), bytes(16)), HISTORY_RANGE[0], UNSETTLED_RANGE[0])
    return paths


def start(*arguments: str) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen([*PROGRAM, "run", *arguments], cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def running(images: list[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator["subprocess.Popen[str]"]:
    """A reader with anna in slot 1, as this shell knows it."""
    process = start(str(images[0]), "--json")
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", said["socket"])
    yield process
    process.terminate()
    process.communicate(timeout=120)


def order(*arguments: object) -> list[str | None]:
    """Give an order as the other shell does, and return what is in the slots then."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    if isinstance(result.exception, SaifuError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return [slot["image"] for slot in json.loads(result.output)["slots"]]


@pytest.mark.usefixtures("running")
def test_cards_are_inserted_and_ejected_from_another_shell(images: list[Path]) -> None:
    anna, bert, shop = map(str, images)
    assert order("insert", 2, bert) == [anna, bert]
    assert order("eject", 1) == [None, bert]
    assert order("insert", 1, shop) == [shop, bert]


@pytest.mark.usefixtures("running")
def test_what_cannot_be_done_is_said(images: list[Path], tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Anna")
    with pytest.raises(InputError, match=r"letter\.txt"):
        order("insert", 2, tmp_path / "letter.txt")
    with pytest.raises(InputError, match=r"slot 1 holds .*anna\.card: eject it first"):
        order("insert", 1, images[1])
    with pytest.raises(InputError, match="slot 2 is empty"):
        order("eject", 2)


NO_ORDERS = (
    b"\n", b"{\n", b"\xff\n", b"[]\n", b'{"do": "dance"}\n', b'{"do": "eject", "slot": "1"}\n', b"",
    b"[" * 60_000 + b"\n", b"1" * 5_000 + b"\n",
    *(b'{"do": "insert", "slot": 2, "image": "%s"}\n' % name for name in (b"a\\u0000b", b"\\ud800")),
)  # fmt: skip


@pytest.mark.usefixtures("running")
def test_lines_that_are_no_order_are_answered_and_the_next_one_is_served(images: list[Path]) -> None:
    for line in NO_ORDERS:
        with socket.socket(socket.AF_UNIX) as asker:
            asker.connect(str(Path(os.environ["PCSCLITE_CSOCK_NAME"]).with_name("control")))
            asker.sendall(line)
            asker.shutdown(socket.SHUT_WR)
            answer = json.loads(asker.makefile().readline())
        assert answer["ok"] is False, line
        assert "order" in answer["error"], line
        assert "\n" not in answer["error"], line
    assert order("insert", 2, images[1])[1] == str(images[1])


def test_an_order_without_a_reader_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PCSCLITE_CSOCK_NAME", raising=False)
    with pytest.raises(InputError, match="saifu reader run"):
        order("eject", 1)


@pytest.mark.parametrize("left_behind", [False, True])
def test_an_order_to_a_reader_that_has_ended_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, left_behind: bool
) -> None:
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(tmp_path / "pcscd.comm"))
    if left_behind:
        with socket.socket(socket.AF_UNIX) as control:
            control.bind(str(tmp_path / "control"))
    with pytest.raises(InputError) as told:
        order("eject", 1)
    assert str(told.value) == (
        f"no virtual reader of saifu runs at {tmp_path / 'pcscd.comm'}, which PCSCLITE_CSOCK_NAME names in this shell: "
        "start `saifu reader run` in another one, and give the `export` line that it prints here"
    )


def test_what_a_reader_says_that_is_no_answer_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "control").symlink_to(tmp_path / "control")
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(tmp_path / "pcscd.comm"))
    with pytest.raises(InputError, match="does not answer"):
        order("eject", 1)


def said_by(*arguments: object) -> list[str]:
    """What a shell of its own is told, line by line."""
    line = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.usefixtures("running")
def test_slots_are_shown_with_the_number_that_reader_takes(images: list[Path]) -> None:
    """find_reader in a process of its own, since libpcsclite looks for its daemon once."""
    anna, bert, _ = images
    first, second = (f"slot {each + 1}  reader {each}  saifu virtual reader 00 0{each}  " for each in (0, 1))
    assert said_by("insert", 2, bert) == [f"{first}{anna}", f"{second}{bert}"]
    assert said_by("eject", 1) == [f"{first}empty", f"{second}{bert}"]
    empty, full = said_by("list")
    assert (empty, full.startswith(f"{second}card, ATR 3B")) == (f"{first}no card", True)
    (listed,) = (json.loads(said_by("list", "--json")[0]),)
    ordered = json.loads(said_by("insert", 1, anna, "--json")[0])
    assert [(each["number"], each["slot"], each["name"]) for each in listed["readers"]] == [
        (each["number"], each["slot"], each["reader"]) for each in ordered["slots"]
    ]
    find = "import sys; from host.pcsc import find_reader; print(find_reader(sys.argv[1]).name)"
    for each in ordered["slots"]:
        found = subprocess.run(
            [sys.executable, "-c", find, str(each["number"])], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert found.stdout.strip() == each["reader"]


@pytest.mark.parametrize("command", ["list", "run", "insert", "eject"])
def test_json_is_offered_in_the_same_words_as_everywhere(command: str) -> None:
    assert "Print one JSON document." in CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output


def test_more_images_than_slots_are_declined(images: list[Path]) -> None:
    with pytest.raises(InputError, match="3 images were given"):
        order("run", *images)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_says_what_other_shells_need_and_leaves_nothing(images: list[Path], ending: signal.Signals) -> None:
    process = start(*map(str, images[:2]))
    assert process.stdout is not None
    said = "".join(process.stdout.readline() for _ in range(6))
    assert re.findall(r"^slot \d  reader \d  ", said, re.MULTILINE) == ["slot 1  reader 0  ", "slot 2  reader 1  "]
    pcscd = re.search("export PCSCLITE_CSOCK_NAME=(.*)", said)
    assert pcscd is not None
    assert [str(image) in said for image in images] == [True, True, False]
    directory = Path(pcscd[1]).parent
    children = processes_that_mention(str(directory), *map(str, images))
    assert len(children) == 3, children
    process.send_signal(ending)
    _, farewell = process.communicate(timeout=120)
    assert process.returncode == 0
    assert farewell == "The reader is closed; the cards are out.\n"
    assert processes_that_mention(str(directory), *map(str, images)) == []
    assert not directory.exists()


def processes_that_mention(*words: str) -> list[str]:
    """Command lines of pcscd and cards; `saifu reader run` itself names the images too."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if any(word in line for word in words) and "reader_cli" not in line:
            lines.append(line)
    return lines


def descendants(pid: int) -> Iterator[tuple[str, bytes]]:
    """All processes that a process has started, and those that they have, each with what it was told."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield child, Path(f"/proc/{child}/environ").read_bytes()
            yield from descendants(int(child))


def test_cards_and_daemon_run_nothing_of_the_current_folder_and_are_told_no_secret(
    images: list[Path], tmp_path: Path
) -> None:
    strange = tmp_path / "strange" / "host"
    strange.mkdir(parents=True)
    (strange / "__init__.py").write_text("open(__file__ + '.ran', 'w')\n")
    line = [sys.executable, "-P", *PROGRAM[1:], "run", "--json", str(images[0])]
    told = os.environ | {"PYTHONPATH": str(ROOT), "SAIFU_PIN": "86420975", "SAIFU_PASSPHRASE": "86420975"}
    with subprocess.Popen(
        line, cwd=strange.parent, env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["slots"][0]["image"] == str(images[0])
        passed = {Path(f"/proc/{child}/exe").readlink().name: environ for child, environ in descendants(process.pid)}
        process.terminate()
    assert len(passed) == 2, "pcscd and a card"
    assert "pcscd" in passed
    assert not any(b"86420975" in each for each in passed.values())
    assert [path.name for path in strange.iterdir()] == ["__init__.py"]


def test_a_reader_whose_daemon_dies_says_so_and_ends(running: "subprocess.Popen[str]") -> None:
    daemons = processes_with_socket(os.environ["PCSCLITE_CSOCK_NAME"])
    for pid in daemons:
        os.kill(pid, signal.SIGKILL)
    _, said = running.communicate(timeout=30)
    assert len(daemons) == 1
    assert "the private pcscd has died" in said
    assert running.returncode == 1


def processes_with_socket(path: str) -> list[int]:
    folder = str(Path(path).parent)
    found = Path("/proc").glob("[0-9]*/cmdline")
    return [int(each.parts[2]) for each in found if is_daemon_of(each, folder)]


def is_daemon_of(cmdline: Path, folder: str) -> bool:
    try:
        line = cmdline.read_bytes()
    except OSError:
        return False
    return b"pcscd" in line.split(b"\0")[0] and folder.encode() in line
