"""Every command line here is given in a town of its own: a copy of one that was made once."""

import shutil
from pathlib import Path

import pytest

from tests.host.town_shell import TownShell, make_town


@pytest.fixture(scope="session")
def made_town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_town(tmp_path_factory.mktemp("town")).folder


@pytest.fixture
def shell(made_town: Path, tmp_path: Path) -> TownShell:
    """A center with three cards, and a terminal that has its trust file and the keys of its group."""
    shutil.copytree(made_town, tmp_path / "town")
    return TownShell(tmp_path / "town")
