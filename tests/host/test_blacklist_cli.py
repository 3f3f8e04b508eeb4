"""saifu terminal import, status, policy and listen: what they say and leave, for people and as JSON."""

import json
import re
from pathlib import Path

import pytest

from broadcast.cipher_key import CipherKey, CipherKeys
from center.center import Center
from center.editions import publish
from center.settings import Settings
from tests.host.town_shell import AOI, BOTAN, CHEAP, DAY, TownShell, free_port
from tests.saifu.shell import PASSPHRASE, Ran

RECORDING = "sound:list.wav"
recorded = pytest.mark.air


@pytest.fixture
def bare(made_town: Path, tmp_path: Path) -> TownShell:
    """A terminal that nobody has given anything to, beside the center's trust file and keys."""
    shell = TownShell(tmp_path)
    for name in ("home/center/trust.json", "keys.json"):
        (tmp_path / Path(name).name).write_bytes((made_town / name).read_bytes())
    return shell


def refused(ran: Ran, code: int, said: str) -> None:
    assert ran.code == code, ran
    assert re.search(said, ran.fault), ran.fault
    assert ran.out == ""


def expired_edition(shell: TownShell, *, days: int = 3) -> Path:
    """Edition 1 of a center whose clock is behind."""
    center = shell.center(ago=days * DAY)
    edition = publish(center)
    center.close()
    file = shell.folder / "old"
    file.write_bytes(edition.encode())
    return file


# --- import ------------------------------------------------------------------------------------------------


def test_trust_keys_and_editions_are_taken_in_at_once(shell: TownShell) -> None:
    shell.publish(AOI)
    other = TownShell(shell.folder, "second")
    ran = other.good("terminal", "import", "home/center/trust.json", "keys.json", "home/center/edition-1")
    trusts, keys, edition = ran.out.splitlines()
    assert trusts == "this terminal trusts issuer 1, currency EUR"
    assert keys == "this terminal is of group terminals and holds its cipher keys 1"
    assert re.fullmatch(r"edition 1 of \d{4}-\d\d-\d\d \d\d:\d\d UTC is in force: 1 card listed", edition)
    assert other.good("terminal", "import", "keys.json", "--json").document == {"imported": [keys]}


def test_cipher_keys_are_kept_where_nobody_else_reads_them(shell: TownShell) -> None:
    assert (shell.home / "terminal" / "cipher-keys.json").stat().st_mode & 0o777 == 0o600


def test_an_expired_edition_is_taken_when_somebody_says_so(shell: TownShell) -> None:
    file = expired_edition(shell)
    before = shell.files()
    refused(shell.run("terminal", "import", file), 5, "edition 1 has expired.*there is none in force")
    assert {name for name, _ in shell.files().items() ^ before.items()} <= {
        "home/terminal/newest-head",
        "home/terminal",
    }
    shell.good("terminal", "import", file, "--expired")
    status = shell.good("terminal", "status", "--json").document
    assert (status["edition"], status["stale"]) == (1, "edition 1 is old: the next one was due 2 days ago")
    assert 3 * DAY <= status["age"] < 3 * DAY + 3600


def test_keys_of_another_issuer_are_refused(shell: TownShell) -> None:
    keys = CipherKeys(2, "terminals", (CipherKey(1, bytes(32)),))
    (shell.folder / "others.json").write_text(keys.encode())
    before = shell.files()
    refused(shell.run("terminal", "import", "others.json"), 5, "are of issuer 2, not 1")
    assert shell.files() == before


@pytest.mark.parametrize(("content", "said"), [
    (b"", "others: this is "),
    (b"saifu cipher keys 1", "others: this is not a file of cipher keys"),
    (b'{"format": "saifu cipher keys 1"}', "others: this is not a file of cipher keys"),
    (b"\xff" * 99, "others: this is "),
])  # fmt: skip
def test_what_is_no_file_of_the_center_is_refused(shell: TownShell, content: bytes, said: str) -> None:
    (shell.folder / "others").write_bytes(content)
    before = shell.files()
    refused(shell.run("terminal", "import", "others"), 2, said)
    assert shell.files() == before


def test_a_secret_that_is_shown_would_be_seen_here(shell: TownShell) -> None:
    shown = (shell.folder / "keys.json").read_text()
    for said in (shown, shown.upper(), f"passphrase: {PASSPHRASE}"):
        with pytest.raises(AssertionError):
            shell.checked(Ran(0, "", said))


def test_a_damaged_file_of_keys_tells_nothing_of_the_keys(shell: TownShell) -> None:
    keys = json.loads((shell.folder / "keys.json").read_text())
    whole = keys["keys"][0]["key"]
    keys["keys"][0]["key"] = whole[:-2]
    (shell.folder / "others").write_text(json.dumps(keys))
    for form in ([], ["--json"]):
        ran = shell.run("terminal", "import", "others", *form)
        assert ran.code == 2
        assert "has 31 bytes, not 32" in ran.fault
        assert whole[:8] not in ran.out + ran.err


def test_a_file_that_is_not_there_is_named(shell: TownShell) -> None:
    refused(shell.run("terminal", "import", "nowhere"), 2, "nowhere cannot be read: No such file")


def test_nothing_is_taken_in_before_a_center_is_trusted(bare: TownShell) -> None:
    before = bare.files()
    refused(bare.run("terminal", "import", "keys.json"), 2, "keys.json: .*trusts no center yet.*terminal import")
    refused(bare.run("terminal", "listen", "--air", "udp"), 2, "trusts no center yet.*saifu terminal import")
    assert bare.files() == before


# --- status and policy -------------------------------------------------------------------------------------


def test_status_of_a_terminal_without_anything_but_trust(bare: TownShell) -> None:
    bare.good("terminal", "import", "trust.json")
    assert bare.good("terminal", "status").out.splitlines() == [
        "issuer 1",
        "edition 0, 0 cards listed",
        "no cipher keys: broadcasts can't be read",
        "with an old list: warn",
        "there is no blacklist in this terminal",
    ]
    document = bare.good("terminal", "status", "--json").document
    assert document == {
        "issuer": 1, "currency": "EUR", "edition": 0, "newest_known": 0, "listed": 0, "issued": None, "next": None,
        "age": None, "stale": "there is no blacklist in this terminal", "policy": {"stale": "warn", "cap": 0},
        "group": None, "cipher_keys": [], "listening": [],
    }  # fmt: skip


def test_status_says_how_old_the_list_is_and_when_the_next_one_is_due(shell: TownShell) -> None:
    shell.publish(AOI, BOTAN)
    shell.good("terminal", "import", "home/center/edition-1")
    issuer, edition, dates, keys, policy, verdict = shell.good("terminal", "status").out.splitlines()
    assert (issuer, edition, keys) == ("issuer 1", "edition 1, 2 cards listed", "group terminals, cipher keys 1")
    day = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
    assert re.fullmatch(rf"issued {day}, \d+ minutes? ago; the next is due {day}", dates)
    assert (policy, verdict) == ("with an old list: warn", "current")
    document = shell.good("terminal", "status", "--json").document
    assert document["next"] - document["issued"] == DAY
    assert (document["stale"], document["listed"], document["newest_known"]) == (None, 2, 1)


@pytest.mark.parametrize(("days", "said"), [(3, "3 days ago"), (1, "24 hours ago")])
def test_status_counts_in_hours_and_days(shell: TownShell, days: int, said: str) -> None:
    shell.good("terminal", "import", expired_edition(shell, days=days), "--expired")
    assert said in shell.good("terminal", "status").out


def test_a_policy_is_chosen_shown_and_kept(shell: TownShell) -> None:
    assert (
        shell.good("terminal", "policy", "cap", "--cap", "10").out
        == "with an old list: move 10.00 EUR at most at once\n"
    )
    assert "with an old list: move 10.00 EUR at most at once" in shell.good("terminal", "status").out
    chosen = shell.good("terminal", "policy", "refuse", "--json").document
    assert chosen == shell.good("terminal", "status", "--json").document["policy"] == {"stale": "refuse", "cap": 0}
    assert shell.good("terminal", "policy", "warn").out == "with an old list: warn\n"


@pytest.mark.parametrize(
    "wrong", ["cap", "warn --cap 10", "refuse --cap 1", "cap --cap much", "cap --cap -1", "perhaps", ""]
)
def test_a_policy_that_is_none_changes_nothing(shell: TownShell, wrong: str) -> None:
    shell.good("terminal", "policy", "refuse")
    before = shell.files()
    ran = shell.run("terminal", "policy", *wrong.split())
    assert (ran.code, bool(ran.fault)) == (2, True)
    assert shell.files() == before


# --- listen ------------------------------------------------------------------------------------------------


@recorded
def test_what_was_heard_is_told_line_by_line(shell: TownShell) -> None:
    shell.publish(AOI)
    shell.recorded(RECORDING)
    ran = shell.listen(RECORDING)
    assert ran.code == 0
    assert ran.err.splitlines() == ["edition 1 is in force: 1 card listed, as a full list"]
    verdict, packets = ran.out.splitlines()
    assert verdict == "edition 1 is in force: current"
    assert re.fullmatch(r"packets: \d+ received, (\d+ \w+, )*1 whole", packets)


@recorded
def test_what_was_heard_is_one_json_document(shell: TownShell) -> None:
    shell.publish(AOI)
    shell.recorded(RECORDING)
    ran = shell.listen(RECORDING, "--json")
    document = ran.document
    packets = document.pop("packets")
    assert document == {
        "edition": 1, "current": True, "stale": None,
        "told": ["edition 1 is in force: 1 card listed, as a full list"],
    }  # fmt: skip
    assert packets["received"] >= packets["useful"] > packets["whole"] == 1
    assert (ran.code, ran.err) == (0, "")


@recorded
def test_editions_come_one_after_the_other_by_steps(shell: TownShell) -> None:
    for number, card in enumerate((AOI, BOTAN), 1):
        assert shell.publish(card) == number
        shell.recorded(RECORDING)
        assert shell.listen(RECORDING, "--once").code == 0
    assert shell.listed == [AOI.serial, BOTAN.serial]
    shell.good("center", "report-found", AOI.text)
    shell.publish()
    shell.recorded(RECORDING)
    ran = shell.listen(RECORDING, "--json")
    assert ran.document["told"] == ["edition 3 is in force: 1 card listed, by the step from edition 2"]
    assert shell.listed == [BOTAN.serial]


@recorded
def test_terminals_of_another_group_hear_noise(shell: TownShell) -> None:
    """Their list stays as it is, and the exit code says so."""
    shell.good("center", "cipher-keys", "--group", "north", "--out", "north.json")
    shell.publish(AOI)
    shell.recorded(RECORDING, "--group", "north")
    ran = shell.listen(RECORDING, "--json")
    assert (ran.code, ran.document["edition"], ran.document["current"]) == (1, 0, False)
    assert ran.document["packets"]["forged"] == ran.document["packets"]["received"] > 0
    north = shell.terminal("northern", "north.json")
    assert north.listen(RECORDING).code == 0
    assert north.listed == [AOI.serial]


@recorded
def test_the_list_of_another_center_is_refused_even_under_the_right_keys(shell: TownShell, tmp_path: Path) -> None:
    """Somebody who has stolen a terminal broadcasts a list of his own."""
    thief = TownShell(tmp_path / "thief")
    thief.folder.mkdir()
    Center.create(
        thief.home / "center", Settings(1, "EUR"), PASSPHRASE.encode(), cost=CHEAP, witness=thief.witness
    ).close()
    thief.good("center", "cipher-keys", "--out", "keys.json")
    shell.good("terminal", "import", thief.folder / "keys.json")
    thief.publish()
    thief.recorded(RECORDING)
    ran = shell.listen(f"sound:{thief.folder / 'list.wav'}")
    assert ran.code == 1
    assert ran.err.startswith("refused: ")
    assert ran.out.splitlines()[0] == "no edition is in force: there is no blacklist in this terminal"
    assert shell.store.edition is None


@recorded
def test_an_expired_edition_on_the_air_is_not_taken_but_known(shell: TownShell) -> None:
    shell.publish(AOI)
    shell.good("terminal", "import", "home/center/edition-1")
    center = shell.center(ago=3 * DAY)
    publish(center)
    center.close()
    shell.recorded(RECORDING)
    ran = shell.listen(RECORDING)
    assert ran.code == 1
    assert "not taken: edition 2 has expired" in ran.err
    assert ran.out.splitlines()[0] == "edition 1 is in force: edition 1 is old: edition 2 has been seen"
    assert shell.listed == [AOI.serial]


def test_without_cipher_keys_the_terminal_says_where_to_get_them(bare: TownShell) -> None:
    bare.good("terminal", "import", "trust.json")
    before = bare.files()
    for form in ([], ["--json"]):
        ran = bare.run("terminal", "listen", "--air", "udp", *form)
        assert ran.code == 2
        assert "saifu center cipher-keys" in ran.fault
        assert "saifu terminal import" in ran.fault
    assert bare.files() == before


def test_a_silent_air_ends_with_1_where_there_is_no_list(shell: TownShell) -> None:
    ran = shell.run("terminal", "listen", "--air", f"udp::{free_port()}", "--seconds", "0.1")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.splitlines() == ["no edition is in force: there is no blacklist in this terminal", "packets: none"]


def test_a_silent_air_ends_well_where_the_list_is_in_date(shell: TownShell) -> None:
    shell.publish(AOI)
    shell.good("terminal", "import", "home/center/edition-1")
    ran = shell.run("terminal", "listen", "--air", f"udp::{free_port()}", "--seconds", "0.1", "--json")
    assert (ran.code, ran.document["current"], ran.document["packets"]["received"]) == (0, True, 0)
