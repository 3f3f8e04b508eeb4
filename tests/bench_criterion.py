"""One figure of the bench beside what it must reach."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["Criterion", "show_criteria"]


@dataclass(frozen=True, slots=True)
class Criterion:
    """A figure of one of the bench's points; without ``measured`` the ``note`` says why it could not be measured."""

    point: int
    what: str
    measured: float | None
    limit: float
    at_least: bool = False
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the figure is on the right side of its limit, or on it; None when it was not measured."""
        if self.measured is None:
            return None
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    @property
    def side(self) -> str:
        """On which side of its limit the figure must be."""
        return ">=" if self.at_least else "<="

    def record(self) -> dict[str, Any]:
        """What goes into the JSON."""
        measured = None if self.measured is None else round(self.measured, 4)
        figures = {"point": self.point, "what": self.what, "measured": measured, "side": self.side}
        return figures | {"limit": self.limit, "holds": self.holds} | ({"note": self.note} if self.note else {})


def show_criteria(records: Iterable[dict[str, Any]]) -> None:
    """Print a table of criteria, as they are in the JSON."""
    table = Table("", "figure", "measured", "must be", "holds")
    for one in records:
        measured = one["note"] if one["measured"] is None else f"{one['measured']:,.5g}"
        verdict = {True: "yes", False: "[bold red]NO", None: "not measured"}[one["holds"]]
        table.add_row(str(one["point"]), one["what"], measured, f"{one['side']} {one['limit']:,.5g}", verdict)
    Console().print(table)
