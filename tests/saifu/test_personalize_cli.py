"""``saifu personalize``: what is written where, the honest dry run, and kill -9 in the middle of a batch."""

import csv
import json
import os
import re
import signal
import stat
import time
from pathlib import Path

import pytest

from host.model import ModelSlot
from host.session import PurseSession, pin_block
from personalization.journal import Journal
from personalization.keystore import Keystore
from personalization.orders import OrderList
from tests.personalization.bureau import has_issuer_keys, keys_in, posix_only, tries
from tests.saifu.shell import PASSPHRASE, PIN, Shell

ORDERS = "holder,pin\nDai,\nEri,97531\nFumi,\n"
BATCH = ("personalize", "batch", "orders.csv", "--letters", "letters.csv")


@pytest.fixture
def bureau(shell: Shell) -> Shell:
    (shell.folder / "orders.csv").write_text(ORDERS)
    return shell


def letters(shell: Shell) -> dict[str, dict[str, str]]:
    """The last letter of every card."""
    with (shell.folder / "letters.csv").open(encoding="utf-8", newline="") as file:
        return {row["card"]: row for row in csv.DictReader(file)}


def check_cards(shell: Shell, holders: list[str]) -> None:
    """Every holder has one card that opens with its letter's PIN; the registry knows as many."""
    made = {row["holder"]: row for row in letters(shell).values()}
    assert sorted(made) == sorted(holders)
    for number, holder in enumerate(holders, 2):
        slot = ModelSlot("look", path=shell.folder / "cards" / f"line-{number}.card")
        session = PurseSession(slot.connect())
        session.verify(pin_block(made[holder]["pin"]))
        assert session.card.text == made[holder]["card"]
        slot.close()


def test_a_batch_with_report_and_letters(bureau: Shell) -> None:
    ran = bureau.good(*BATCH, "--report", "report.json")
    assert "3 cards made" in ran.out
    check_cards(bureau, ["Dai", "Eri", "Fumi"])
    report = json.loads((bureau.folder / "report.json").read_text("utf-8"))
    assert (report["made"], report["earlier"]) == (3, 0)
    assert [(row["line"], row["holder"], row["file"]) for row in report["cards"]] == [
        (2, "Dai", "line-2.card"),
        (3, "Eri", "line-3.card"),
        (4, "Fumi", "line-4.card"),
    ]
    again = bureau.good(*BATCH, "--json").document
    assert (again["made"], again["earlier"]) == (0, 3)


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
@pytest.mark.parametrize("before", [None, 0o644])
def test_letters_are_their_owners_alone(bureau: Shell, before: int | None) -> None:
    path = bureau.folder / "letters.csv"
    if before is not None:
        path.write_text("")
        path.chmod(before)
    bureau.good(*BATCH)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().count("resetting_code") == 1


def test_pins_are_in_the_letters_and_nowhere_else(bureau: Shell) -> None:
    ran = bureau.good(*BATCH, "--report", "report.json")
    secrets = [row[name] for row in letters(bureau).values() for name in ("pin", "resetting_code")]
    assert len(secrets) == 6
    assert "97531" in secrets
    shown = ran.out + ran.err
    for name in ("orders.csv.journal", "report.json"):
        shown += (bureau.folder / name).read_text()
    codes = [secret for secret in secrets if len(secret) > 4]
    assert not any(secret in shown for secret in codes)
    assert not re.search(r"\bpin\b|resetting", shown, re.IGNORECASE)
    for path in (bureau.home).rglob("*"):
        if path.is_file():
            assert not any(secret.encode() in path.read_bytes() for secret in [*codes, PASSPHRASE]), path


def test_no_command_has_an_option_for_a_secret(bureau: Shell) -> None:
    for command in ("personalize one", "personalize batch", "personalize ceremony", "card pin", "atm unblock"):
        options = re.findall(r"--[a-z-]+", bureau.good(*command.split(), "--help").out)
        assert not {"--pin", "--passphrase", "--puk", "--master-key", "--new-pin"} & set(options)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_no_secret_is_on_a_running_commands_line(bureau: Shell) -> None:
    """What others see of a process with ps."""
    (bureau.folder / "orders.csv").write_text("holder,pin\nDai,97531864\n")
    process = bureau.start(*BATCH)
    while not (seen := Path(f"/proc/{process.pid}/cmdline").read_bytes()):
        continue  # the program is being loaded
    said = "".join(process.communicate(timeout=120))
    assert (process.returncode, b"batch" in seen, "97531864" in said) == (0, True, False)
    assert not any(secret in seen for secret in (b"97531864", PIN.encode(), PASSPHRASE.encode()))


# --- dry runs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "personalize batch orders.csv --letters letters.csv --report report.json --out made --dry-run",
        "personalize batch orders.csv --letters letters.csv -r model:spare.card --dry-run",
        "personalize one -r model:spare.card --holder Dai --letters letters.csv --dry-run",
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_dry_run_writes_nothing(bureau: Shell, line: str, form: list[str]) -> None:
    before = bureau.files()
    ran = bureau.good(*line.split(), *form)
    assert bureau.files() == before
    assert ran.document["dry_run"] if form else "nothing was written" in ran.out


def test_a_dry_run_finds_what_the_run_would_find(bureau: Shell) -> None:
    for line, code in (
        ("personalize batch bad.csv --dry-run", 2),
        ("personalize batch orders.csv --letters x -p nobody --dry-run", 2),
        ("personalize batch orders.csv --letters x --key none --dry-run", 2),
        ("personalize batch orders.csv --dry-run", 2),
        ("personalize one -r model:aoi.card --holder Dai --dry-run", 5),
        ("personalize one -r model:none.card --holder Dai --dry-run", 9),
    ):
        before = bureau.files()
        assert bureau.run(*line.split()).code == code, line
        assert bureau.files() == before


def test_a_bad_list_touches_no_card(bureau: Shell) -> None:
    (bureau.folder / "orders.csv").write_text(ORDERS + ",12\nGo,x\n")
    before = bureau.files()
    ran = bureau.run(*BATCH)
    assert ran.code == 2
    assert [line.split(": ")[0] for line in ran.fault.splitlines()[:-1]] == ["orders.csv:5"] * 2 + ["orders.csv:6"]
    assert ran.fault.endswith("no card was touched")
    assert bureau.files() == before


# --- what goes wrong on the way ----------------------------------------------------------------------------


def test_wrong_transport_keys_burn_no_try_and_no_second_card(bureau: Shell) -> None:
    bureau.good("personalize", "ceremony", "--name", "maker", "--version", "255")
    (bureau.folder / "cards").mkdir()
    images = [bureau.folder / "cards" / f"line-{line}.card" for line in (2, 3)]
    for image in images:
        bureau.good("personalize", "blank", image)
    second = images[1].read_bytes()
    for _ in range(2):
        ran = bureau.run(*BATCH, "--transport-keys", "keystore:maker")
        assert ran.code == 7, ran
    assert [tries(image) for image in images] == [10, 10]
    assert images[1].read_bytes() == second
    bureau.good(*BATCH)
    check_cards(bureau, ["Dai", "Eri", "Fumi"])


@posix_only
def test_kill_9_again_and_again(bureau: Shell) -> None:
    """A real process is killed as soon as it has noted one more card; the last run is left to end."""
    rows = 6
    (bureau.folder / "orders.csv").write_text("holder\n" + "".join(f"holder {n}\n" for n in range(rows)))
    journal = bureau.folder / "orders.csv.journal"
    kills = 0
    for wanted in range(2, 2 * rows, 3):
        with bureau.start(*BATCH) as process:
            while process.poll() is None:
                if journal.exists() and journal.read_bytes().count(b"\n") >= wanted:
                    process.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.001)
        kills += process.returncode == -signal.SIGKILL
    assert kills >= 2
    last = bureau.process(*BATCH, "--json").document
    assert last["made"] + last["earlier"] == rows
    check_cards(bureau, [f"holder {n}" for n in range(rows)])
    assert len({row["card"] for row in last["cards"]}) == rows


def test_another_list_with_the_same_name_is_not_mixed_up(bureau: Shell) -> None:
    bureau.good(*BATCH)
    (bureau.folder / "orders.csv").write_text(ORDERS + "Go,1234\n")
    ran = bureau.run(*BATCH)
    assert (ran.code, "belongs to another list" in ran.fault) == (2, True)


def test_ceremonies_at_once_lose_no_key(shell: Shell) -> None:
    names = [f"key{number}" for number in range(4)]
    running = [shell.start("personalize", "ceremony", "--name", name) for name in names]
    said = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    store = Keystore.read(shell.home / "keystore.json", PASSPHRASE.encode())
    assert sorted(key.name for key in store.keys) == ["cards", *names]


def test_a_ceremony_of_three_holders(shell: Shell) -> None:
    parts = [bytes([n]) * 15 + bytes([n + 9]) for n in (1, 2, 4)]
    options: list[str] = []
    for number, part in enumerate(parts):
        (shell.folder / f"part{number}").write_text(part.hex() + "\n")
        (shell.folder / f"part{number}").chmod(0o600)
        options += ["--component", f"part{number}"]
    ran = shell.good("personalize", "ceremony", "--name", "three", *options)
    assert len(re.findall("component [123]: check value [0-9A-F]{6}\n", ran.out)) == 3
    assert not any(part.hex() in (ran.out + ran.err).lower() for part in parts)
    assert not any(part in path.read_bytes() for part in parts for path in shell.home.rglob("*") if path.is_file())
    shell.good("personalize", "blank", "three.card")
    shell.good("personalize", "one", "-r", "model:three.card", "--holder", "Dai", "--key", "three")


def test_two_batches_over_one_list_make_one_card_for_each(bureau: Shell) -> None:
    """Two windows of one desk: the second says who has the list, or comes late and finds the cards made."""
    before = len(bureau.good("center", "cards").out.splitlines())
    (bureau.folder / "orders.csv").write_text("holder\n" + "".join(f"Dai {number}\n" for number in range(12)))
    processes = [bureau.start(*BATCH, "--out", f"out{number}") for number in (1, 2)]
    said = [process.communicate(timeout=120) for process in processes]
    codes = [process.returncode for process in processes]
    assert 0 in codes, said
    for code, (_, err) in zip(codes, said, strict=True):
        assert code in (0, 9), err
        assert code == 0 or re.search(r"another process.*when that has ended, run the same command again", err)
    bureau.good(*BATCH)
    assert len(bureau.good("center", "cards").out.splitlines()) == before + 12
    assert len(list(bureau.folder.glob("out*/*.card"))) == 12


def test_a_batch_of_a_list_that_is_worked_on_gives_out_nothing(bureau: Shell) -> None:
    before = bureau.good("center", "cards").out
    orders = bureau.folder / "orders.csv"
    with Journal(orders.with_name("orders.csv.journal"), OrderList.load(orders)):
        ran = bureau.run(*BATCH)
    assert ran.code == 9
    assert "orders.csv.journal is in use by another process" in ran.fault
    assert (bureau.good("center", "cards").out, (bureau.folder / "cards").exists()) == (before, False)


# --- where transport keys come from ------------------------------------------------------------------------


def lot_file(shell: Shell) -> Path:
    """Keys of a lot, in a file that only its owner reads."""
    path = shell.folder / "lot.toml"
    path.write_text(
        "".join(f'{name} = "{byte * 16}"\n' for name, byte in (("enc", "A1"), ("mac", "A2"), ("dek", "A3")))
    )
    path.chmod(0o600)
    return path


def components(shell: Shell) -> list[str]:
    """What the maker's two couriers have brought, as options of a ceremony."""
    options = []
    for number in (1, 2):
        path = shell.folder / f"maker{number}"
        path.write_text(f"{number}" * 32 + "\n")
        path.chmod(0o600)
        options += ["--component", path.name]
    return options


@pytest.mark.parametrize("text", ["public", "lot.toml", "keystore:maker"])
def test_cards_of_any_maker_get_the_issuers_keys(shell: Shell, text: str) -> None:
    lot_file(shell)
    shell.good("personalize", "ceremony", "--name", "maker", "--version", "255", *components(shell))
    transport = ("--transport-keys", text)
    shell.good("personalize", "blank", "new.card", *transport)
    assert keys_in(shell.folder / "new.card")[0] == 0xFF
    shell.good("personalize", "one", "-r", "model:new.card", "--holder", "Dai", *transport)
    master = Keystore.read(shell.home / "keystore.json", PASSPHRASE.encode()).key("cards")
    assert has_issuer_keys(shell.folder / "new.card", master)
    (shell.folder / "orders.csv").write_text("holder,pin\nEri,1234\n")
    shell.good("personalize", "batch", "orders.csv", *transport)
    assert has_issuer_keys(shell.folder / "cards" / "line-2.card", master)


def test_keys_of_a_lot_are_no_keys_for_cards_of_another(shell: Shell) -> None:
    lot_file(shell)
    shell.good("personalize", "blank", "new.card")
    ran = shell.run("personalize", "one", "-r", "model:new.card", "--holder", "Dai", "--transport-keys", "lot.toml")
    assert (ran.code, "its keys should be those of its maker" in ran.fault) == (7, True)
    assert (tries(shell.folder / "new.card"), "A1A1" in ran.fault) == (10, False)


def test_a_blank_card_is_made_without_any_secret_of_the_issuers(tmp_path: Path, shell: Shell) -> None:
    ran = shell.process(
        "--home", tmp_path / "nowhere", "personalize", "blank", "new.card", env={"SAIFU_PASSPHRASE": None}
    )
    assert ran.code == 0
    assert not (tmp_path / "nowhere").exists()


def test_a_makers_master_key_makes_no_cards_of_ones_own(shell: Shell) -> None:
    shell.good("personalize", "ceremony", "--name", "maker", "--version", "255")
    ran = shell.run("personalize", "one", "-r", "model:spare.card", "--holder", "Dai", "--key", "maker")
    assert (ran.code, "cards get keys of your own" in ran.fault) == (2, True)


def test_a_trace_of_a_personalization_is_opened_with_the_key_store_before_and_behind_the_new_keys(shell: Shell) -> None:
    shell.good("--trace", "one.jsonl", "personalize", "one", "-r", "model:spare.card", "--holder", "Dai")
    shown = shell.good("trace", "show", "one.jsonl", "--keys", "keystore").out
    assert "PUT KEY  in the place of the maker's keys, 88 bytes secured" in shown
    assert "GENERATE KEY PAIR*" in shown
    master = Keystore.read(shell.home / "keystore.json", PASSPHRASE.encode()).key("cards")
    version, keys = keys_in(shell.folder / "spare.card")
    text = (shell.folder / "one.jsonl").read_text("utf-8").lower()
    assert version == master.version
    assert not any(key.hex() in text for key in (keys.enc, keys.mac, keys.dek, master.key))


# --- what is refused before anything is made -------------------------------------------------------------------


def test_a_card_that_is_a_purse_already_costs_no_serial(shell: Shell) -> None:
    before = shell.good("center", "cards").out
    ran = shell.run("personalize", "one", "-r", "model:aoi.card", "--holder", "Dai", "--letters", "letters.csv")
    assert (ran.code, "put a blank card in" in ran.fault) == (5, True)
    assert (shell.good("center", "cards").out, (shell.folder / "letters.csv").exists()) == (before, False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--bits", "64"), "--bits 64: AES keys have 128, 192 or 256 bits"),
        (("--component", "short", "--component", "short"), "short: the component has 8 bytes, the key wants 16"),
        (("--component", "words", "--component", "words"), "words: a component is written in hex digits"),
    ],
)
def test_a_key_that_cannot_be_is_not_made(shell: Shell, options: tuple[str, ...], said: str) -> None:
    for name, text in (("short", "0011223344556677"), ("words", "our secret")):
        (shell.folder / name).write_text(text)
        (shell.folder / name).chmod(0o600)
    before = (shell.home / "keystore.json").read_bytes()
    ran = shell.run("personalize", "ceremony", "--name", "other", *options)
    assert (ran.code, ran.fault) == (2, said)
    assert (shell.home / "keystore.json").read_bytes() == before


def test_an_image_that_an_earlier_run_made_is_taken(bureau: Shell) -> None:
    (bureau.folder / "cards").mkdir()
    bureau.good("personalize", "blank", "cards/line-3.card")
    assert "3 cards made" in bureau.good(*BATCH).out


def test_a_batch_from_a_reader_stops_when_there_is_no_card(bureau: Shell) -> None:
    before = bureau.good("center", "cards").out
    ran = bureau.run(*BATCH, "-r", "model:spare.card", stdin="n\n")
    assert (ran.code, "run the same command again to go on" in ran.err) == (5, True)
    assert bureau.good("center", "cards").out == before
