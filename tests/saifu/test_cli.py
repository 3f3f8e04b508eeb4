"""The command line as a new user meets it: a whole trial in real processes, and every command there is."""

import json
import re
import signal
from io import StringIO
from typing import Any

import pytest

from tests.saifu.shell import PASSPHRASE, PIN, Shell

_ALL = (
    "center init|center report-stolen|center report-found|center publish|center cards|personalize ceremony|"
    "personalize blank|personalize one|personalize batch|reader list|reader run|reader insert|reader eject|card show|"
    "card history|card pin|terminal import|terminal status|terminal check|remit|pos sell|pos sales|atm load|"
    "atm deposit|atm renew|atm unblock|atm unlock|apdu|doctor|demo"
)
COMMANDS = _ALL.split("|")


def test_a_trial_from_nothing_to_an_unlocked_card(empty: Shell) -> None:
    """What a new user does, each command in a process of its own."""

    def step(line: str, said: str, code: int = 0) -> str:
        ran = empty.process(*line.split())
        assert ran.code == code, ran
        text = ran.out + (ran.fault if code else ran.err)
        assert re.search(said, text), text
        assert not any(secret in ran.out + ran.err for secret in (PASSPHRASE, PIN))
        return text

    step("center init", r"1000000\.00 EUR in its float")
    step("personalize ceremony", "check value [0-9A-F]{6}")
    for name, profile in (("aoi", "person"), ("botan", "person"), ("shop", "merchant")):
        step(f"personalize blank {name}.card -p {profile}", "a blank card")
        step(f"personalize one -r model:{name}.card --holder {name} -p {profile}", f"is {name}'s")
    step("terminal import home/center/trust.json", "trusts issuer 1, currency EUR")
    step("atm load 100 -r model:aoi.card", r"loaded 100\.00 EUR")
    step("remit 12.50 -r model:aoi.card --to model:botan.card", r"S107.*12\.50 EUR[\s\S]*moved 12\.50 EUR")
    step("pos sell 5 -r model:botan.card -m model:shop.card", r"S312.*5\.00 EUR in all[\s\S]*sold for 5\.00 EUR")
    step("pos sales", r"5\.00 EUR in all")
    shown = step("card show -r model:botan.card", r"balance +7\.50 EUR")
    botan = re.findall(r"\d{5}-\d{10}-\d", shown)[0]
    step(f"center report-stolen {botan}", "listed from the next edition on")
    step("center publish", "edition 1, 1 cards? listed")
    step("terminal import home/center/edition-1", "edition 1 .* is in force")
    step("remit 1 -r model:botan.card --to model:aoi.card", "S108[\\s\\S]*is listed: it is locked out", code=5)
    step("card show -r model:botan.card", "locked out")
    step("atm unlock -r model:botan.card", "may not be unlocked", code=5)
    step(f"center report-found {botan}", "from edition 2 on")
    step("center publish", "edition 2, 0 cards listed")
    step("terminal import home/center/edition-2", "edition 2 .* is in force")
    step("atm unlock -r model:botan.card", "is unlocked")
    step("remit 1 -r model:botan.card --to model:aoi.card", r"moved 1\.00 EUR")
    step("card history -r model:aoi.card", r"received from 00001-0000000003-2 +balance 88\.50 EUR")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_there_and_explains_itself(empty: Shell, command: str) -> None:
    ran = empty.good(*command.split(), "--help")
    assert f"saifu {command}" in ran.out
    assert "--json" in ran.out
    assert len(re.findall(r"[a-z]{3,}", ran.out)) > 12


def test_the_front_page_names_every_command(empty: Shell) -> None:
    page = empty.good("--help").out
    assert all(command.split()[0] in page for command in COMMANDS)
    assert "saifu demo" in page
    assert empty.good("--version").out.startswith("saifu ")


def test_no_command_at_all_shows_the_front_page(empty: Shell) -> None:
    ran = empty.process()
    assert (ran.code, ran.err) == (2, "")
    assert "Usage: saifu" in ran.out


# --- JSON --------------------------------------------------------------------------------------------------

DOCUMENTS: dict[str, set[str]] = {
    "center report-stolen 00001-0000000003-2": {"card", "new"},
    "center publish": {"edition", "listed", "next", "file"},
    "center cards": {"cards"},
    "personalize ceremony --name more": {"name", "version", "scheme", "kcv", "component_kcvs"},
    "personalize blank new.card": {"image", "profile"},
    "personalize one -r model:spare.card --holder Dai": {"card", "holder", "profile"},
    "card show -r model:aoi.card": {"card", "state", "balance", "currency", "credit", "unsettled", "limits"},
    "card show -r model:spare.card": {"card", "state", "capacities"},
    "card history -r model:aoi.card": {"card", "currency", "records"},
    "card pin -r model:aoi.card": {"card", "changed"},
    "terminal import home/center/trust.json": {"imported"},
    "terminal status": {"issuer", "currency", "edition", "listed", "stale"},
    "terminal check -r model:aoi.card": {"card", "balance", "history", "steps"},
    "remit 1 -r model:aoi.card --to model:botan.card": {"amount", "counter", "credited", "settled", "steps"},
    "pos sell 1 -r model:aoi.card -m model:shop.card": {"amount", "counter", "credited", "settled", "steps"},
    "pos sales": {"currency", "merchants"},
    "atm load 1 -r model:aoi.card": {"amount", "credited", "settled", "steps"},
    "atm deposit 1 -r model:aoi.card": {"amount", "credited", "settled", "steps"},
    "atm renew -r model:aoi.card": {"card", "serial", "expiry", "steps"},
    "apdu 00A4040006F05341494655 -r model:aoi.card": {"exchanges"},
    "doctor": {"findings"},
}


@pytest.mark.parametrize("line", DOCUMENTS)
def test_success_is_one_json_document(shell: Shell, line: str) -> None:
    ran = shell.good(*line.split(), "--json", env={"SAIFU_NEW_PIN": "1357"})
    assert ran.document.keys() >= DOCUMENTS[line]
    assert ran.err == ""


FAULTS = {
    "remit 1 -r model:aoi.card": 2,
    "remit x -r model:aoi.card --to model:botan.card": 2,
    "card show": 2,
    "nonsense": 2,
    "card show -r model:none.card": 9,
    "center report-found 00001-0000000002-4": 5,
    "apdu 00A4040006F05341494655 --expect 6A82 -r model:aoi.card": 4,
    "pos sell 21 -r model:botan.card -m model:shop.card": 5,
    "atm unlock -r model:aoi.card": 5,
    "personalize batch none.csv": 2,
    "demo --svg no/such/folder.svg": 9,
}


@pytest.mark.parametrize("line", FAULTS)
def test_an_error_is_one_json_document_too(shell: Shell, line: str) -> None:
    ran = shell.run(*line.split(), "--json")
    error: dict[str, Any] = ran.document["error"]
    assert ran.code == error["exit_code"] == FAULTS[line]
    assert error["message"] == ran.fault
    assert error["kind"].endswith("Error")


# --- single commands ---------------------------------------------------------------------------------------


def test_apdu_tells_what_was_sent_and_what_came(shell: Shell) -> None:
    ran = shell.good("apdu", "00A4040006F0534149465500", "00CA010200", "-r", "model:aoi.card", "--expect", "90XX")
    assert "> 00A4040006F0534149465500  SELECT" in ran.out
    assert re.search(r"< 6F[0-9A-F]+\n< 9000  done", ran.out)
    found = shell.good("apdu", "00A4040006F0534149465500", "00CA010200", "-r", "model:aoi.card", "--json").document
    assert [(each["name"], each["sw"]) for each in found["exchanges"]] == [("SELECT", "9000"), ("GET DATA", "9000")]


@pytest.mark.parametrize(("expect", "code"), [("9000", 4), ("6d00", 0), ("6DXX", 0), ("xxxx", 0), ("6D0", 2)])
def test_apdu_judges_the_last_answer(shell: Shell, expect: str, code: int) -> None:
    ran = shell.run("apdu", "00A4040C06F05341494655", "00FF0000", "-r", "model:aoi.card", "--expect", expect)
    assert ran.code == code
    if code == 4:
        assert ran.fault == "INS FF: 9000 was expected, and the card answered 6D00: unknown instruction"
        assert "< 6D00  unknown instruction" in ran.out


def test_apdu_that_is_not_expected_still_shows_all_answers_in_json(shell: Shell) -> None:
    ran = shell.run("apdu", "00A4040C06F05341494655", "00FF0000", "-r", "model:aoi.card", "--expect", "9000", "--json")
    assert [each["sw"] for each in ran.document["exchanges"]] == ["9000", "6D00"]


@pytest.mark.parametrize("command", ["0020008108{}", "00240081103132333435363738{}", "002C0081103132333435363738{}"])
def test_apdu_takes_no_pin_from_the_command_line(shell: Shell, command: str) -> None:
    block = PIN.encode().hex()
    before = shell.files()
    ran = shell.run("apdu", "00A4040C06F05341494655", command.format(block), "-r", "model:aoi.card")
    assert ran.code == 2
    assert "carries a PIN: give it on standard input" in ran.fault
    assert block not in ran.err
    assert shell.files() == before


def test_apdu_takes_a_pin_from_standard_input_and_does_not_show_it(shell: Shell) -> None:
    block = PIN.encode().hex().upper()
    typed = f"00A4040C06F05341494655\n\n0020008108{block}\n"
    for form in ([], ["--json"]):
        ran = shell.run("apdu", "-", "-r", "model:aoi.card", "--expect", "9000", *form, stdin=typed)
        assert ran.code == 0, ran
        assert "VERIFY" in ran.out
        assert block not in ran.out + ran.err


class Impatient(StringIO):
    """Somebody who presses Ctrl-C instead of typing."""

    def read(self, _size: int | None = -1) -> str:
        signal.raise_signal(signal.SIGINT)
        return ""


def test_ctrl_c_ends_with_its_own_code(shell: Shell) -> None:
    before = shell.files()
    ran = shell.run("apdu", "-", "-r", "model:aoi.card", stdin=Impatient())
    assert (ran.code, ran.out) == (130, "")
    assert "Traceback" not in ran.err
    assert shell.files() == before


def test_a_pin_that_was_changed_counts(shell: Shell) -> None:
    shell.good("card", "pin", "-r", "model:aoi.card", env={"SAIFU_NEW_PIN": "1357"})
    old = shell.run("remit", "60", "-r", "model:aoi.card", "--to", "model:botan.card")
    assert (old.code, old.fault) == (5, "the PIN in SAIFU_PIN is wrong; it was tried once")
    shell.good("remit", "60", "-r", "model:aoi.card", "--to", "model:botan.card", env={"SAIFU_PIN": "1357"})


def test_a_blocked_pin_is_given_its_tries_back(shell: Shell) -> None:
    shell.good("personalize", "one", "-r", "model:spare.card", "--holder", "Dai", "--letters", "letters.csv")
    code = (shell.folder / "letters.csv").read_text().split(",")[-1].strip()
    for _ in range(3):
        shell.run("card", "pin", "-r", "model:spare.card", env={"SAIFU_PIN": "0000", "SAIFU_NEW_PIN": "1111"})
    ran = shell.run("card", "pin", "-r", "model:spare.card", env={"SAIFU_PIN": "0000", "SAIFU_NEW_PIN": "1111"})
    assert (ran.code, "blocked: no tries are left" in ran.fault) == (4, True)
    shell.good("atm", "unblock", "-r", "model:spare.card", env={"SAIFU_RESETTING_CODE": code, "SAIFU_NEW_PIN": "1357"})
    shell.good("card", "pin", "-r", "model:spare.card", env={"SAIFU_PIN": "1357", "SAIFU_NEW_PIN": "2468"})


def test_a_home_is_where_it_is_said_to_be(empty: Shell) -> None:
    empty.good("--home", "elsewhere", "center", "init")
    assert (empty.folder / "elsewhere" / "center" / "trust.json").exists()
    assert json.loads(empty.good("--home", "elsewhere", "center", "cards", "--json").out)["cards"][0]["role"] == "float"
    assert not empty.home.exists()
