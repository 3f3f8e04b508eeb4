"""What goes wrong behind the screen that shows a trace is told, and nothing else of it."""

from collections.abc import Iterator

from apdu.trace.inspector import inspect
from apdu.trace.reading import Reading
from tests.host.test_trace_screen import SESSION, Page, browse, told


def test_an_error_that_nobody_foresaw_ends_the_trace_without_its_bytes() -> None:
    def unforeseen() -> Iterator[Reading]:
        yield from inspect(SESSION)
        raise ValueError("31323334")

    async def script(page: Page) -> None:
        assert told(page, "state") == "the trace ends here: the trace cannot be read on from here: ValueError"

    assert "31323334" not in str(browse(script, unforeseen()).failure)
