"""What the page tells about the sizes of transactions is what the model writes."""

import re
from pathlib import Path
from unittest.mock import patch

from applet_model.memory import NonVolatileMemory
from tests.saifu.conformance.cards import active

PAGE = Path(__file__).parents[3] / "docs/reference/protocol.md"


def test_the_largest_transactions_are_as_the_page_says() -> None:
    sizes: list[int] = []
    right = NonVolatileMemory.commit

    def commit(memory: NonVolatileMemory, writes: list[tuple[int, bytes]]) -> None:
        sizes.append(sum(len(data) for _, data in writes))
        right(memory, writes)

    with patch.object(NonVolatileMemory, "commit", commit):
        _, stand = active()
        personalizing = max(sizes)
        asked = stand.asked_by(stand.another(), 100)
        sizes.clear()
        stand.pay(asked)
    page = " ".join(PAGE.read_text("utf-8").split())
    assert f"the largest write {personalizing} bytes (GENERATE KEY PAIR," in page
    told = re.search(r"and (\d+) \(PAY\)", page)
    assert told is not None
    assert int(told[1]) - 4 <= max(sizes) <= int(told[1])  # four bytes are written now and then
