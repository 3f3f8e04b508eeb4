"""A list that is too old, at the counter: the operator's policy, and cards that are listed all the same."""

import re
import shutil
from pathlib import Path

import pytest

from apdu.identity import CardId
from center.center import Center
from center.editions import publish, report_stolen
from center.float_purse import create_float
from center.settings import Settings
from personalization.keystore import Keystore
from tests.host.town_shell import CHEAP, DAY, TownShell
from tests.saifu.shell import PASSPHRASE

CARDS = {"aoi": "person", "botan": "person", "shop": "merchant"}
REMIT = "remit {} -r model:aoi.card --to model:botan.card"
SELL = "pos sell {} -r model:aoi.card -m model:shop.card"
OLD = r"edition 1 is old: the next one was due 2 days ago"


@pytest.fixture(scope="module")
def made_stale(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Aoi has 40.00; the terminal has only an edition of three days ago, in which nobody is listed."""
    shell = TownShell(tmp_path_factory.mktemp("stale"))
    center = Center.create(
        shell.home / "center", Settings(1, "EUR"), PASSPHRASE.encode(), cost=CHEAP, witness=shell.witness
    )
    create_float(center, 1_000_000)
    center.close()
    shell.good("personalize", "ceremony")
    keystore, passphrase = shell.home / "keystore.json", PASSPHRASE.encode()
    Keystore.read(keystore, passphrase).write(keystore, passphrase, CHEAP)
    for name, profile in CARDS.items():
        shell.good("personalize", "blank", f"{name}.card", "-p", profile)
        shell.good("personalize", "one", "-r", f"model:{name}.card", "--holder", name, "-p", profile)
    shell.good("terminal", "import", "home/center/trust.json")
    shell.good("atm", "load", "40", "-r", "model:aoi.card")
    give(shell, days=3)
    return shell.folder


@pytest.fixture
def shell(made_stale: Path, tmp_path: Path) -> TownShell:
    shutil.copytree(made_stale, tmp_path / "stale")
    return TownShell(tmp_path / "stale")


def give(shell: TownShell, *stolen: str, days: int = 0) -> None:
    """Publish as a center whose clock is behind, and give the edition to the terminal."""
    ids = {row["holder"]: row["card"] for row in shell.good("center", "cards", "--json").document["cards"]}
    center = shell.center(ago=days * DAY)
    for name in stolen:
        report_stolen(center, CardId.parse(ids[name]))
    (shell.folder / "edition").write_bytes(publish(center).encode())
    center.close()
    shell.good("terminal", "import", "edition", "--expired")


def balance(shell: TownShell, name: str) -> int:
    amount = shell.good("card", "show", "-r", f"model:{name}.card", "--json").document["balance"]
    assert isinstance(amount, int)
    return amount


@pytest.mark.parametrize("line", [REMIT, SELL])
def test_warn_lets_money_move_and_shows_it(shell: TownShell, line: str) -> None:
    ran = shell.good(*line.format("30").split())
    assert re.search(f"warning: {OLD}", ran.out)
    assert balance(shell, "aoi") == 10_00


@pytest.mark.parametrize("line", [REMIT, SELL])
def test_the_warning_is_among_the_steps_of_the_document(shell: TownShell, line: str) -> None:
    steps = shell.good(*line.format("1").split(), "--json").document["steps"]
    assert any(re.fullmatch(f"warning: {OLD}", step["text"]) for step in steps)


@pytest.mark.parametrize("line", [REMIT, SELL])
def test_cap_lets_small_amounts_move(shell: TownShell, line: str) -> None:
    shell.good("terminal", "policy", "cap", "--cap", "5")
    shell.good(*line.format("5").split())
    ran = shell.run(*line.format("5.01").split())
    assert (ran.code, balance(shell, "aoi")) == (5, 35_00)
    assert re.search(f"{OLD}; until there is a newer list this terminal moves 5.00 EUR at most at once", ran.fault)


@pytest.mark.parametrize("line", [REMIT, SELL])
def test_refuse_moves_nothing_until_there_is_a_newer_list(shell: TownShell, line: str) -> None:
    shell.good("terminal", "policy", "refuse")
    ran = shell.run(*line.format("0.01").split(), "--json")
    assert (ran.code, balance(shell, "aoi")) == (5, 40_00)
    assert re.search(f"{OLD}; this terminal moves no money", ran.document["error"]["message"])
    give(shell)
    assert "warning" not in shell.good(*line.format("0.01").split()).out
    assert balance(shell, "aoi") == 39_99


@pytest.mark.parametrize("policy", ["warn", "cap --cap 5", "refuse"])
def test_an_old_list_still_locks_out_who_is_on_it(shell: TownShell, policy: str) -> None:
    give(shell, "botan", days=2)
    shell.good("terminal", "policy", *policy.split())
    ran = shell.run(*REMIT.format("1").split())
    assert (ran.code, balance(shell, "aoi")) == (5, 40_00)
    assert "is listed: it is locked out" in ran.fault
    assert shell.good("card", "show", "-r", "model:botan.card", "--json").document["state"] == "locked out"


def test_refuse_still_shows_a_holder_his_balance(shell: TownShell) -> None:
    shell.good("terminal", "policy", "refuse")
    ran = shell.good("terminal", "check", "-r", "model:aoi.card")
    assert "balance 40.00 EUR" in ran.out


def test_a_damaged_policy_stops_business_and_says_what_writes_a_new_one(shell: TownShell) -> None:
    (shell.home / "terminal" / "policy.json").write_text("{")
    ran = shell.run(*REMIT.format("1").split())
    assert (ran.code, balance(shell, "aoi")) == (2, 40_00)
    assert "saifu terminal policy writes one" in ran.fault
    shell.good("terminal", "policy", "warn")
    shell.good(*REMIT.format("1").split())
