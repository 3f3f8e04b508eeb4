"""Homes for the tests of the command line: empty, and one with a center, keys and three cards with money."""

import shutil
from pathlib import Path

import pytest

from center.keys import CenterKeys
from personalization.keystore import Keystore
from tests.saifu.shell import PASSPHRASE, Shell

CHEAP = 2**14
"""Scrypt's N for files of keys that are opened in every test; the usual one is tested where it is made."""

CARDS = {"aoi": "person", "botan": "person", "shop": "merchant"}


@pytest.fixture
def empty(tmp_path: Path) -> Shell:
    """A new user's shell."""
    return Shell(tmp_path)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Aoi has 100.00, Botan 20.00 and the shop nothing; spare.card is blank. Made once."""
    shell = Shell(tmp_path_factory.mktemp("made"))
    shell.good("center", "init")
    shell.good("personalize", "ceremony")
    keystore, passphrase = shell.home / "keystore.json", PASSPHRASE.encode()
    Keystore.read(keystore, passphrase).write(keystore, passphrase, CHEAP)
    CenterKeys.read(shell.home / "center", passphrase).write(shell.home / "center", passphrase, CHEAP)
    for name, profile in {**CARDS, "spare": "person"}.items():
        shell.good("personalize", "blank", f"{name}.card", "-p", profile)
    for name, profile in CARDS.items():
        shell.good("personalize", "one", "-r", f"model:{name}.card", "--holder", name.title(), "-p", profile)
    shell.good("terminal", "import", "home/center/trust.json")
    for name, amount in (("aoi", "100"), ("botan", "20")):
        shell.good("atm", "load", amount, "-r", f"model:{name}.card")
    return shell.folder


@pytest.fixture
def shell(made: Path, tmp_path: Path) -> Shell:
    """A copy of that folder."""
    shutil.copytree(made, tmp_path / "desk")
    return Shell(tmp_path / "desk")
