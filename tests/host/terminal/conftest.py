"""Each test has a town of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.terminal.town import Town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A center with its float, and a terminal that has its first edition."""
    made = Town(tmp_path)
    yield made
    made.close()
