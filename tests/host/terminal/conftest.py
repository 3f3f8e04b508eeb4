"""Each test has a town of its own; its databases are real, and do not wait for the disk."""

from collections.abc import Iterator
from pathlib import Path
from sqlite3 import Connection

import pytest
from sqlalchemy import Engine, event

from tests.host.terminal.lies import Desk
from tests.host.terminal.town import Town


def _do_not_wait(connection: Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture(scope="session", autouse=True)
def quick_databases() -> Iterator[None]:
    """No test here cuts the power of the machine itself."""
    event.listen(Engine, "connect", _do_not_wait)
    yield
    event.remove(Engine, "connect", _do_not_wait)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A center with its float, and a terminal that has its first edition."""
    made = Town(tmp_path)
    yield made
    made.close()


@pytest.fixture
def desk(town: Town) -> Desk:
    """Two real cards in a purse terminal."""
    return Desk(town)
