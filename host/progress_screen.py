"""Lines and progress bars of a command that runs for long; bars only where somebody watches a terminal."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.progress import Progress, TaskID

from apdu.text import visible

__all__ = ["Bar", "ProgressScreen"]


@dataclass(frozen=True, slots=True)
class Bar:
    """How far one thing is: ``done`` of ``total``; ``name`` is what makes it the same thing from time to time."""

    name: str
    text: str
    done: int
    total: int


class ProgressScreen:
    """On standard error; ``told`` keeps the lines, also when nothing is shown."""

    def __init__(self, quiet: bool) -> None:
        """``quiet`` shows nothing, for --json."""
        self.told: list[str] = []
        self._console = Console(stderr=True, quiet=quiet)
        self._bars = Progress(console=self._console, transient=True, disable=not self._console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        """Begin to show bars."""
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bars away."""
        self._bars.stop()

    def tell(self, line: str) -> None:
        """Show a line above the bars, and keep it."""
        self.told.append(line)
        self._console.print(visible(line), highlight=False, markup=False, soft_wrap=True)

    def show(self, bars: Iterable[Bar]) -> None:
        """Show these bars and no others."""
        seen = {bar.name: bar for bar in bars}
        for name in self._tasks.keys() - seen.keys():
            self._bars.remove_task(self._tasks.pop(name))
        for name, bar in seen.items():
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(bar.text, total=bar.total)
            self._bars.update(self._tasks[name], completed=bar.done, description=bar.text)
