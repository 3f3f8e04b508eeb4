"""The blacklist's part of ``make bench``: six points, each figure with its limit and whether it holds.

Seeds are fixed and sizes exact. ``python -m tests.bench_broadcast`` measures this part alone and writes nothing.
"""

from typing import Any

from tests.bench_air import air, pager, sound
from tests.bench_criterion import show_criteria
from tests.bench_sizes import deltas, full_lists, run_lists, show_full_lists, show_run_lists
from tests.bench_terminal import show_growth, terminal

__all__ = ["broadcast", "show_broadcast"]

POINTS = (full_lists, run_lists, deltas, air, sound, pager, terminal)


def broadcast() -> dict[str, Any]:
    """Measure everything: figures under the name of their point, and all criteria under ``criteria``."""
    figures, criteria = dict[str, Any](), list[dict[str, Any]]()
    for point in POINTS:
        figures[point.__name__], found = point()
        criteria += [one.record() for one in found]
    return figures | {"criteria": criteria}


def show_broadcast(figures: dict[str, Any]) -> None:
    """Print the tables."""
    show_full_lists(figures["full_lists"])
    show_run_lists(figures["run_lists"])
    show_growth(figures["terminal"])
    show_criteria(figures["criteria"])


if __name__ == "__main__":
    show_broadcast(broadcast())
