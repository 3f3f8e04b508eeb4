"""``saifu conform`` as a user types it."""

import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from apdu.errors import NoCardError
from host.model import CardFile, ModelSlot
from saifu.conformance.issuer import STATIC, Issuer
from tests.saifu.shell import ROOT, Shell


@pytest.fixture
def empty(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_the_model_keeps_what_it_promises(empty: Shell) -> None:
    ran = empty.run("conform", "--reader", "model", "--clause", "VERIFY")
    assert ran.code == 0, ran.out
    assert "0 failed" in ran.out


def test_an_image_becomes_a_test_card_and_can_be_tested_again(empty: Shell) -> None:
    empty.good("conform", "blank", "one.card", "--history", "8", "--unsettled", "1")
    first = empty.good("conform", "-r", "model:one.card", "--clause", "GIVE AGAIN", "--json").document
    again = empty.good("conform", "-r", "model:one.card", "--clause", "GIVE AGAIN", "--json").document
    assert first["ok"] is again["ok"] is True
    assert first["card"] == "T=1, 8 records, 1 unsettled transfers"
    assert again["counts"]["passed"] > 1


def test_reports_are_written_and_only_reports_are_replaced(empty: Shell) -> None:
    wanted = ("conform", "-r", "model", "--clause", "GIVE AGAIN", "--junit", "c.xml", "--html", "c.html")
    for _ in range(2):
        empty.good(*wanted)
    assert int(Xml.parse(empty.folder / "c.xml").getroot().get("tests", "0")) > 1
    assert "GIVE AGAIN" in (empty.folder / "c.html").read_text()
    (empty.folder / "c.xml").write_text("my own file")
    assert empty.run(*wanted).code == 2
    assert (empty.folder / "c.xml").read_text() == "my own file"


def test_a_card_with_other_keys_fails_before_a_try_is_burned(empty: Shell) -> None:
    empty.good("conform", "blank", "one.card")
    keys = empty.folder / "keys.toml"
    keys.touch(0o600)
    keys.write_text("".join(f'{name} = "{os.urandom(16).hex()}"\n' for name in ("enc", "mac", "dek")))
    ran = empty.run("conform", "-r", "model:one.card", "--keys", keys)
    assert ran.code == 7
    assert "keys" in ran.fault
    assert not any(line.split('"')[1] in ran.out + ran.err for line in keys.read_text().splitlines())
    card = CardFile(empty.folder / "one.card")
    assert card._cells.scp_tries.number() == 10
    card.close()


def test_keys_of_a_file_are_the_cards(empty: Shell) -> None:
    empty.good("conform", "blank", "one.card")
    keys = empty.folder / "keys.toml"
    keys.touch(0o600)
    keys.write_text(f'enc = "{STATIC.enc.hex()}"\nmac = "{STATIC.mac.hex()}"\ndek = "{STATIC.dek.hex()}"\n')
    assert empty.run("conform", "-r", "model:one.card", "--clause", "GIVE AGAIN", "--keys", keys).code == 0


def test_somebody_elses_card_is_left_as_it_is(empty: Shell) -> None:
    empty.good("conform", "blank", "one.card")
    card = CardFile(empty.folder / "one.card")
    issuer = Issuer(7)
    issuer.personalize(card, issuer.parameters(2))
    card.close()
    before = (empty.folder / "one.card").read_bytes()
    ran = empty.run("conform", "-r", "model:one.card")
    assert (ran.code, "personalized by somebody else" in ran.fault) == (5, True)
    assert (empty.folder / "one.card").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "--reader"),
        (("-r", "model", "--clause", "PAY 99"), "PAY 99"),
        (("-r", "model:"), "card image"),
        (("-r", "model:x", "--keys", "nowhere"), "nowhere"),
        (("-r", "model", "--keys", "nowhere"), "--keys"),
        (("-r", "model:x", "--protocol", "T=1"), "--protocol"),
        (("-r", "model:x.card"), "saifu conform blank x.card"),
        (("-r", "model", "--protocol", "T=7"), "T=7"),
    ],
)
def test_bad_input(empty: Shell, arguments: tuple[str, ...], word: str) -> None:
    ran = empty.run("conform", *arguments)
    assert (ran.code, word in ran.fault) == (2, True), ran


def test_list_names_every_clause_once_for_each_promise(empty: Shell) -> None:
    cases = empty.good("conform", "list", "--json").document["cases"]
    names = [json.dumps(case) for case in cases]
    assert len(names) == len(set(names)) > 200


def test_a_wrong_card_ends_with_8_and_says_where(empty: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    right = ModelSlot.transmit
    monkeypatch.setattr(
        ModelSlot, "transmit", lambda slot, command: b"\x6d\0" if command[1] == 0x38 else right(slot, command)
    )
    ran = empty.run("conform", "-r", "model", "--clause", "GIVE AGAIN")
    assert ran.code == 8
    assert "FAILED  GIVE AGAIN" in ran.out
    assert "not kept" in ran.fault


def renewing(folder: Path, *, end: int = 0) -> str:
    """A command that puts another blank card into the place of one.card, as an installer of applets does."""
    script = folder / "renew.py"
    script.write_text(f"""
import pathlib, subprocess, sys
print("said by the command")
pathlib.Path("one.card").unlink(missing_ok=True)
subprocess.run([sys.executable, "-m", "saifu", "conform", "blank", "one.card", "--history", "8"], check=True)
sys.exit({end})
""")
    return f"{sys.executable} {script}"


@pytest.mark.slow
def test_a_command_that_makes_cards_lets_the_suite_spend_them(empty: Shell) -> None:
    wanted = ("conform", "-r", "model:one.card", "--clause", "GET DATA", "--json")
    environment: dict[str, str | None] = {"PYTHONPATH": str(ROOT)}
    ran = empty.run(*wanted, "--renew", renewing(empty.folder), env=environment)
    assert ran.code == 0, ran
    assert {result["state"] for result in ran.document["results"]} >= {"active", "locked out", "terminated"}
    assert ran.document["counts"]["skipped"] == 0
    card = CardFile(empty.folder / "one.card")
    card.close()


def test_a_command_that_fails_is_told_with_what_it_said(empty: Shell) -> None:
    ran = empty.run(
        "conform", "-r", "model:one.card", "--renew", renewing(empty.folder, end=3), env={"PYTHONPATH": str(ROOT)}
    )
    assert ran.code == 2
    assert "ended with 3" in ran.fault
    assert "said by the command" in ran.fault
    assert empty.run("conform", "-r", "model:one.card", "--renew", "/nowhere/renew").code == 2


def test_a_run_is_recorded_as_any_command_is(empty: Shell) -> None:
    empty.good("--trace", "run.jsonl", "conform", "-r", "model", "--clause", "VERIFY")
    shown = empty.good("trace", "show", "run.jsonl").out
    assert shown.count("VERIFY") > 20
    assert "31323334" not in (empty.folder / "run.jsonl").read_text()


def test_a_reader_that_is_gone_blames_no_clause_and_leaves_a_report(
    empty: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, said = ModelSlot.transmit, list[bytes]()

    def transmit(slot: ModelSlot, command: bytes) -> bytes:
        said.append(command)
        if len(said) == 200:
            slot.close()
            monkeypatch.setattr(ModelSlot, "connect", gone)
        return right(slot, command)

    def gone(slot: ModelSlot) -> ModelSlot:
        raise NoCardError(f"{slot.name}: there is no card in it")

    monkeypatch.setattr(ModelSlot, "transmit", transmit)
    empty.good("conform", "blank", "one.card")
    ran = empty.run("conform", "-r", "model:one.card", "--junit", "c.xml", "--html", "c.html")
    assert ran.code == 3
    assert "FAILED" not in ran.out
    assert "skipped: interrupted" in ran.out
    root = Xml.parse(empty.folder / "c.xml").getroot()
    assert (root.get("failures"), int(root.get("skipped", "0")) > 300) == ("0", True)


def test_ctrl_c_leaves_the_report_of_what_was_tried(empty: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    right, said = ModelSlot.transmit, list[bytes]()

    def transmit(slot: ModelSlot, command: bytes) -> bytes:
        said.append(command)
        if len(said) == 900:
            raise KeyboardInterrupt
        return right(slot, command)

    monkeypatch.setattr(ModelSlot, "transmit", transmit)
    ran = empty.run("conform", "-r", "model", "--junit", "c.xml", "--json")
    assert ran.code == 130
    report = json.loads(ran.out.splitlines()[0])
    assert (report["ok"], report["interrupted"], report["counts"]["failed"]) == (False, True, 0)
    root = Xml.parse(empty.folder / "c.xml").getroot()
    assert int(root.get("tests", "0")) > int(root.get("skipped", "0")) > 100


def test_a_card_that_cannot_be_met_fails_with_its_clause_and_a_report(
    empty: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = ModelSlot.transmit
    monkeypatch.setattr(
        ModelSlot, "transmit", lambda slot, command: b"\x6d\0" if command[1] == 0x50 else right(slot, command)
    )
    ran = empty.run("conform", "-r", "model", "--clause", "GIVE AGAIN", "--junit", "c.xml", "--html", "c.html")
    assert ran.code == 8
    assert "FAILED  INITIALIZE UPDATE" in ran.out
    root = Xml.parse(empty.folder / "c.xml").getroot()
    assert (root.get("failures"), int(root.get("skipped", "0")) > 1) == ("1", True)
    assert "INITIALIZE UPDATE" in (empty.folder / "c.html").read_text()


def test_a_card_on_which_nothing_can_be_tried_is_no_success(empty: Shell) -> None:
    empty.good("conform", "blank", "one.card")
    empty.good("conform", "-r", "model:one.card", "--clause", "GIVE AGAIN")
    ran = empty.run("conform", "-r", "model:one.card", "--clause", "GENERATE KEY PAIR", "--json")
    assert (ran.code, "could be tried" in ran.fault) == (5, True)
    report = json.loads(ran.out.splitlines()[0])
    assert (report["ok"], report["whole"]) == (True, False)
