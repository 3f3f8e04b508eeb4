"""``saifu trace show`` and ``convert``: in words, in full, without secrets, live, and whoever reads may go away."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.dgi import Dgi
from apdu.trace import own
from apdu.trace.model import Exchange, Item, Remark, Reset
from host.model import ModelSlot, memory_card
from host.secure_connection import SecureConnection
from host.session import PurseSession
from tests.apdu.trace.forms.samples import ATR, FOLDER, SLOTS, session
from tests.host.test_secure_listener import Wire, recorded
from tests.issuer import CHIP, STATIC
from tests.saifu.shell import ROOT, Shell

PIN = "313233343536"
ODD = Exchange(bytes.fromhex("80320000"), bytes.fromhex("6F42"), SLOTS[1], 1010.0, 0.001)
SESSION: list[Item] = [
    Reset(ATR, SLOTS[0], 1000.0),
    *[Exchange(command, answer, SLOTS[0], 1000.5 + n, 0.02) for n, (command, answer) in enumerate(session("63C2"))],
    Reset(ATR, SLOTS[1], 1009.0),
    Exchange(*session("")[0], SLOTS[1], 1009.5, 0.02),
    ODD,
    Remark("out \x1b[2J\u202e", SLOTS[1], 1011.0),
]
POSIX = pytest.mark.skipif(os.name != "posix", reason="terminals and pipes of POSIX")


def write(path: Path, items: list[Item]) -> Path:
    lines = [own.header("test"), *map(own.encode, items)]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.fixture
def desk(tmp_path: Path) -> Shell:
    write(tmp_path / "t.jsonl", SESSION)
    return Shell(tmp_path)


def shown(desk: Shell, *arguments: str) -> list[str]:
    return desk.good("trace", "show", *arguments).out.splitlines()


def numbers(lines: list[str]) -> list[int]:
    return [int(line[:5]) for line in lines if line[:5].strip()]


def test_every_item_has_a_line_with_number_time_and_words(desk: Shell) -> None:
    lines = shown(desk, "t.jsonl")
    assert numbers(lines) == list(range(1, 1 + len(SESSION)))
    assert lines[1].split()[:3] == ["2", "0.500", "20"]
    assert "SELECT  the purse  → 9000" in lines[1]
    assert all(len(line) > 24 and line.isprintable() for line in lines)


def test_what_was_unexpected_stands_out_without_colours(desk: Shell) -> None:
    lines = shown(desk, "t.jsonl")
    odd = SESSION.index(ODD)
    assert lines[odd][5] == "!"
    assert "!! " in lines[odd]
    assert lines[1][5] == " "
    only = shown(desk, "t.jsonl", "--unexpected")
    assert lines[odd] in only
    assert lines[1] not in only
    assert all("!! " in line for line in only)


def test_one_slot_is_shown_with_the_numbers_and_times_of_the_whole(desk: Shell) -> None:
    lines = shown(desk, "t.jsonl", "--slot", "00 01")
    everything = shown(desk, "t.jsonl")
    assert lines == [line for line in everything if SLOTS[1] in line]
    assert 0 < len(lines) < len(everything)


def test_a_slot_that_is_not_there_is_told(desk: Shell) -> None:
    assert "--slot zz: nothing in this trace" in desk.run("trace", "show", "t.jsonl", "--slot", "zz").fault
    assert "--slot zz: none of these" in desk.run("trace", "show", "t.jsonl", "--slot", "zz", "-e", "2").fault
    for form in ("x.jsonl", "x.html"):
        assert "--slot zz: nothing in" in desk.run("trace", "convert", "t.jsonl", form, "--slot", "zz").fault
        assert not (desk.folder / form).exists()


def test_exchanges_are_shown_in_full_to_each_byte(desk: Shell) -> None:
    lines = shown(desk, "t.jsonl", "-e", "2", "--exchange", "3")
    assert numbers(lines) == [2, 3]
    assert any("F0 53 41 49 46 55" in line and "saifu purse" in line for line in lines)
    assert any("answered in: 20 ms" in line for line in lines)
    assert numbers(shown(desk, "t.jsonl", "--detail")) == list(range(1, 1 + len(SESSION)))


def test_an_exchange_that_is_not_there_is_told(desk: Shell) -> None:
    assert "there is no item 99" in desk.run("trace", "show", "t.jsonl", "-e", "99").fault


def test_the_modelled_time_is_told_and_added_up(desk: Shell) -> None:
    lines = shown(desk, "t.jsonl", "--card", "J3R180")
    assert "ms on J3R180)" in lines[1]
    assert "J3R180" not in lines[0]
    assert lines[-1].startswith("modelled time on J3R180, T=1 115.2 kbit/s: ")
    document = desk.good("trace", "show", "t.jsonl", "--card", "J3R180", "--json").document
    each = [item["modelled"] for item in document["items"] if "modelled" in item]
    assert document["exchanges"] == len(each) == sum(isinstance(item, Exchange) for item in SESSION)
    assert document["modelled"] == pytest.approx(sum(each), abs=1e-4)
    assert "J3R180, J3H145" in desk.run("trace", "show", "t.jsonl", "--card", "X").fault


def test_another_line_is_asked_for_by_its_name(desk: Shell) -> None:
    def seconds(line: str) -> float:
        asked = desk.good("trace", "show", "t.jsonl", "--card", "J3R180", "--line", line, "--json").document
        assert asked["line"] == line
        return float(asked["modelled"])

    assert seconds("14443 848") < seconds("14443 106") < seconds("T=1 115.2")
    assert "14443 424" in desk.run("trace", "show", "t.jsonl", "--card", "J3R180", "--line", "USB").fault
    assert "14443 424" in desk.run("trace", "stats", "t.jsonl", "--line", "USB").fault


def test_the_document_has_words_bytes_and_parts(desk: Shell) -> None:
    document = desk.good("trace", "show", "t.jsonl", "--json", "--detail").document
    assert document["form"] == "saifu"
    item = document["items"][1]
    assert (item["number"], item["name"], item["seconds"]) == (2, "SELECT", 0.02)
    assert item["command"] == session("")[0][0].hex().upper()
    assert item["outcome"].startswith("9000")
    command, answer = item["detail"]

    def leaves(part: dict[str, object]) -> str:
        below = part.get("parts")
        return "".join(map(leaves, below)) if isinstance(below, list) else str(part["bytes"])

    assert leaves(command) == item["command"]
    assert leaves(answer) == item["response"]
    assert document["items"][SESSION.index(ODD)]["unexpected"]


# --- secrets and secure channels ---------------------------------------------------------------------------


def test_secrets_of_other_programs_are_left_out_unless_they_are_wanted(desk: Shell) -> None:
    sample = str(FOLDER / "gp.txt")
    for options in ([], ["--detail"], ["--json"], ["--json", "--detail"]):
        assert PIN not in "".join(shown(desk, sample, *options)).replace(" ", "")
    assert "(secrets left out)" in "".join(shown(desk, sample))
    assert PIN in "".join(shown(desk, sample, "--json", "--secrets"))


def keys_file(desk: Shell) -> str:
    path = desk.folder / "keys.toml"
    path.write_text("".join(f'{name} = "{getattr(STATIC, name).hex()}"\n' for name in ("enc", "mac", "dek")))
    path.chmod(0o600)
    return path.name


@pytest.mark.parametrize("level", [0x01, 0x33])
def test_keys_open_the_secure_channel(level: int, desk: Shell) -> None:
    write(desk.folder / "s.jsonl", list(recorded(level)))
    closed = desk.good("trace", "show", "s.jsonl", "--json").document["items"]
    opened = desk.good("trace", "show", "s.jsonl", "--json", "--keys", keys_file(desk)).document["items"]
    assert not [item for item in closed if "plain" in item]
    plain = [item["plain"]["command"][:4] for item in opened if "plain" in item]
    assert plain == ["8046", "80E2", "8046"]
    assert any("*" in line for line in shown(desk, "s.jsonl", "--keys", keys_file(desk)))
    assert any("command in clear" in line for line in shown(desk, "s.jsonl", "-d", "--keys", keys_file(desk)))


def test_secrets_out_of_a_secure_channel_are_left_out_too(desk: Shell) -> None:
    wire = Wire(ModelSlot("slot", memory_card(CHIP)).connect())
    PurseSession(wire)
    secret = b"31415926\x05"
    group = Dgi.REFERENCE_DATA.to_bytes(2) + bytes((len(secret),)) + secret
    store = CommandApdu(0x80, Ins.STORE_DATA, 0x08, 0, group, 256)
    SecureConnection.open(wire, lambda _: STATIC, 0x33).transmit(store.encode())
    write(desk.folder / "s.jsonl", list(wire.exchanges))
    arguments = ("s.jsonl", "--json", "--detail", "--keys", keys_file(desk))
    assert secret.hex().upper() in "".join(shown(desk, *arguments, "--secrets"))
    assert secret.hex().upper() not in "".join(shown(desk, *arguments))
    assert "31415926" not in "".join(shown(desk, *arguments))


# --- standard input and pipes ------------------------------------------------------------------------------


def test_standard_input_is_read(desk: Shell) -> None:
    ran = desk.process("trace", "show", "-", stdin=(desk.folder / "t.jsonl").read_text())
    assert ran.code == 0
    assert ran.out.splitlines() == shown(desk, "t.jsonl")
    assert "standard input: this is no trace" in desk.process("trace", "show", "-", stdin="x").fault


@POSIX
def test_whoever_reads_may_go_away(desk: Shell) -> None:
    write(desk.folder / "long.jsonl", [ODD] * 5000)
    command = f"{sys.executable} -m saifu trace show long.jsonl | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=desk.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


@POSIX
@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_gets_colours_unless_it_wants_none(no_color: bool, desk: Shell) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"} | ({"NO_COLOR": "1"} if no_color else {})
    said = pexpect.run(
        f"{sys.executable} -m saifu trace show t.jsonl", cwd=str(desk.folder), env=environment, encoding="utf-8"
    )
    assert "!! " in said
    assert ("\x1b[1;31m" in said) is not no_color
    assert "\x1b[2J" not in said


# --- live --------------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("as_json", [False, True])
def test_a_trace_is_followed_until_ctrl_c(as_json: bool, desk: Shell) -> None:
    path = desk.folder / "t.jsonl"
    options = ["--json"] if as_json else []
    process = desk.start("trace", "show", "--follow", *options, "t.jsonl")
    assert process.stdout is not None
    seen = [process.stdout.readline() for _ in SESSION]
    line = own.encode(Remark("afterwards")) + "\n"
    for part in (line[:7], line[7:]):
        with path.open("a") as file:
            file.write(part)
    seen.append(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "afterwards" in seen[-1]
    if as_json:
        assert [json.loads(line)["number"] for line in seen] == list(range(1, len(SESSION) + 2))
    else:
        assert seen[:-1] == [line + "\n" for line in shown(desk, "t.jsonl")[: len(SESSION)]]


def test_what_cannot_be_followed_is_told(desk: Shell) -> None:
    (desk.folder / "x").write_text("no trace\n" * 2)
    for name in ("x", str(FOLDER / "gp.txt")):
        fault = desk.run("trace", "show", "-f", name).fault
        assert fault == f"{name}: --follow is for traces that saifu writes, and this is none; show it without it"
    (desk.folder / "y").write_text(own.header("test") + "\n\n{\n{\n")
    assert desk.run("trace", "show", "-f", "y").fault == "y: line 3: this is no JSON"
    assert "name of a file" in desk.run("trace", "show", "-f", "-").fault


# --- other forms -------------------------------------------------------------------------------------------


def form(desk: Shell, name: str) -> str:
    return str(desk.good("trace", "show", name, "--json").document["form"])


def test_the_form_is_what_the_name_says(desk: Shell) -> None:
    for name, expected in (("x.pcapng", "gsmtap"), ("x.JSONL", "saifu")):
        desk.good("trace", "convert", "t.jsonl", name)
        assert form(desk, name) == expected
    desk.good("trace", "convert", "t.jsonl", "x.html")
    assert (desk.folder / "x.html").read_text().startswith("<!DOCTYPE html>")
    for name in ("x", "x.log", "x.txt", "-"):
        assert "does not tell the form: say --to" in desk.run("trace", "convert", "t.jsonl", name).fault
    assert "name it x.pcapng" in desk.run("trace", "convert", "t.jsonl", "x.pcap").fault
    assert not [path for path in desk.folder.iterdir() if path.name in ("x", "x.log", "x.txt", "-", "x.pcap")]
    assert form(desk, "t.jsonl") == "saifu"
    desk.good("trace", "convert", "t.jsonl", "x.log", "--to", "apdu4j")
    assert form(desk, "x.log") == "apdu4j"


@pytest.mark.parametrize("to", ["foo", "gp"])
def test_only_forms_that_are_written_are_offered(to: str, desk: Shell) -> None:
    fault = desk.run("trace", "convert", "t.jsonl", "x", "--to", to).fault
    assert fault.endswith("the forms that are written are saifu, gsmtap, cardpeek, apdu4j, html")


def test_one_slot_is_converted(desk: Shell) -> None:
    desk.good("trace", "convert", "t.jsonl", "one.jsonl", "--slot", SLOTS[1])
    assert shown(desk, "one.jsonl") != shown(desk, "t.jsonl")
    slots = [item["slot"] for item in desk.good("trace", "show", "one.jsonl", "--json").document["items"]]
    assert slots == [SLOTS[1]] * sum(item.slot == SLOTS[1] for item in SESSION)
    desk.good("trace", "convert", "t.jsonl", "one.html", "--slot", SLOTS[1])
    page = (desk.folder / "one.html").read_text()
    assert SLOTS[1] in page
    assert SLOTS[0] not in page


def test_standard_output_takes_a_trace_and_nothing_else(desk: Shell) -> None:
    ran = desk.process("trace", "convert", "t.jsonl", "-", "--to", "saifu")
    assert ran.code == 0
    assert json.loads(ran.out.splitlines()[0])["format"] == "saifu trace 1"
    assert len(ran.out.splitlines()) == 1 + len(SESSION)
    assert "standard output takes one" in desk.run("trace", "convert", "t.jsonl", "-", "--to", "saifu", "--json").fault
    assert not (desk.folder / "-").exists()


def test_a_folder_that_is_not_there_is_not_made(desk: Shell) -> None:
    for arguments in (
        ("trace", "convert", "t.jsonl", "no/x.html"),
        ("conform", "--reader", "model", "--clause", "SELECT", "--junit", "no/x.xml"),
        ("conform", "--reader", "model", "--clause", "SELECT", "--html", "no/x.html"),
    ):
        assert "there is no folder no" in desk.run(*arguments).fault
    assert not (desk.folder / "no").exists()


def test_a_fault_names_the_trace_that_has_it_and_names_it_once(desk: Shell) -> None:
    good = (desk.folder / "t.jsonl").read_text()
    (desk.folder / "bad.jsonl").write_text(good + "{\n" + good.splitlines()[1] + "\n")
    (desk.folder / "empty").write_text("")
    line = len(good.splitlines()) + 1
    for arguments in (("show", "bad.jsonl"), ("convert", "bad.jsonl", "x.html"), ("convert", "bad.jsonl", "x.jsonl")):
        assert desk.run("trace", *arguments).fault == f"bad.jsonl: line {line}: this is no JSON"
    assert desk.run("trace", "diff", "t.jsonl", "empty").fault.startswith("empty: this is no trace")
    assert desk.run("trace", "diff", "t.jsonl", "bad.jsonl").fault == f"bad.jsonl: line {line}: this is no JSON"


def test_account_numbers_of_bank_cards_are_left_out(desk: Shell) -> None:
    record = bytes.fromhex("700A5A0847617390010100109000")
    write(desk.folder / "b.jsonl", [Exchange(bytes.fromhex("00B2011400"), record)])
    for name in ("b.html", "c.jsonl"):
        desk.good("trace", "convert", "b.jsonl", name)
        page = (desk.folder / name).read_text().replace(" ", "")
        assert "476173" in page
        assert "4761739001010010" not in page
    assert "4761739001010010" in "".join(shown(desk, "b.jsonl", "--json", "--secrets"))


# --- the report, and the terminal that is not there --------------------------------------------------------


def test_a_report_is_written_without_secrets_and_overwrites_nothing(desk: Shell) -> None:
    desk.good("trace", "convert", str(FOLDER / "gp.txt"), "r.html", "--to", "html")
    page = (desk.folder / "r.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "<dt>form</dt><dd>gp</dd>" in page
    assert PIN not in page.replace(" ", "")
    assert "not overwritten" in desk.run("trace", "convert", "t.jsonl", "r.html", "--to", "html").fault
    assert "read twice" in desk.run("trace", "convert", "-", "x.html", "--to", "html").fault
    assert "this is no trace" in desk.run("trace", "show", "r.html").fault


def test_a_report_has_what_keys_open(desk: Shell) -> None:
    write(desk.folder / "s.jsonl", list(recorded(0x33)))
    desk.good("trace", "convert", "s.jsonl", "r.html", "--to", "html", "--keys", keys_file(desk))
    assert "command in clear" in (desk.folder / "r.html").read_text()
    fault = desk.run("trace", "convert", "s.jsonl", "x", "--to", "gsmtap", "--keys", keys_file(desk)).fault
    assert "--to html" in fault


@POSIX
def test_browse_with_a_slot_that_is_not_there_ends_and_tells_it(desk: Shell) -> None:
    ran = pexpect.run(
        f"{sys.executable} -m saifu trace browse t.jsonl --slot zz",
        cwd=str(desk.folder),
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"},
        encoding="utf-8",
        timeout=60,
        withexitstatus=True,
    )
    assert isinstance(ran, tuple)
    assert ran[1] == 2
    assert "saifu: --slot zz: nothing in this trace is of such a slot" in ran[0]


def test_browse_wants_a_terminal(desk: Shell) -> None:
    assert "saifu trace show t.jsonl" in desk.run("trace", "browse", "t.jsonl").fault
