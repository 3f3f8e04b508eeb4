"""What a sale costs a POS that has sold before: processor time and memory at 10^3 to 10^6 stored sales.

Point 7 of the bench. The stores of all sizes are made first, and a sale is taken from each in turn, so that a busy
machine is busy for all of them. The sale is the stores' part alone, begun, booked and summed up, which is where their
size could tell; the transfer, which is most of the time of a real one, would only hide it. Memory is that of reading
a history to its end, each in a process of its own: ``python -m tests.bench_sales FILE``.
"""

import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from apdu.identity import CardId
from host.terminal.sales import Begun, SalesStore
from tests.bench_criterion import Criterion, show_criteria
from tests.bench_sizes import short
from tests.bench_terminal import Memory
from tests.bench_time import child_seconds, in_turn, processor_seconds
from tests.issuer import NOW

__all__ = ["sales", "show_sales"]

ROOT = Path(__file__).resolve().parent.parent
SIZES = (10**3, 10**4, 10**5, 10**6)
ROUNDS, BATCH = 60, 5
"""Turns of each size, and sales in one."""
LIMIT = 1.2
"""How much dearer a sale may be with 10^6 stored sales than with 10^3; memory likewise."""
LEAST_MIB = 1.0
"""Less than this is noise of the allocator. SQLite keeps 2 MiB of pages, which 10^5 sales fill."""
SHOP, CUSTOMER = CardId.of(1, 2), CardId.of(1, 3)


def prepare(path: Path, stored: int) -> None:
    """Make a store with so many sales, as ``book`` leaves them."""
    SalesStore(path).close()
    rows = ((SHOP, number, number, CUSTOMER, number, 100, NOW + number) for number in range(1, stored + 1))
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany("INSERT INTO sales VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        database.execute("INSERT INTO totals VALUES (?, ?, ?)", (SHOP, stored, 100 * stored))
        database.execute("INSERT INTO sqlite_sequence VALUES ('begun', ?)", (stored,))


def selling(store: SalesStore, stored: int) -> Callable[[], float]:
    """Takes a few sales, and tells the processor seconds of one."""
    requests = count(stored + 1)

    def sell() -> None:
        request = next(requests)
        store.begun(SHOP)
        store.begin(SHOP, Begun(request, CUSTOMER, 100, NOW))
        store.book(SHOP, request, request)
        assert store.amount(SHOP) == 100 * request

    return lambda: min(processor_seconds(sell) for _ in range(BATCH))


def history_memory(path: Path) -> dict[str, float | None]:
    """Read a whole history in this process: the most memory that it took above the store's own, in MiB."""
    with closing(SalesStore(path)) as store:
        memory = Memory()
        read = sum(1 for _ in store.history(SHOP))
        assert read == store.count(SHOP)
        return {"peak_mib": memory.mebibytes("VmHWM")}


def sales(sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Point 7: a sale at each size over one at the least, and the memory of each history."""
    with tempfile.TemporaryDirectory() as name:
        paths = {stored: Path(name) / f"{stored}.sqlite" for stored in sizes}
        for stored, path in paths.items():
            prepare(path, stored)
        stores = {stored: SalesStore(path) for stored, path in paths.items()}
        seconds = in_turn(ROUNDS, *(selling(store, stored) for stored, store in stores.items()))
        for store in stores.values():
            store.close()
        read = [child_seconds([sys.executable, "-m", "tests.bench_sales", path], ROOT)[1] for path in paths.values()]
    peaks = [float(printed) if printed.strip() != b"None" else None for printed in read]
    figures = [
        {"stored": stored, "sale_us": round(each * 1e6), "over_least": round(each / seconds[0], 3), "history_mib": peak}
        for stored, each, peak in zip(sizes, seconds, peaks, strict=True)
    ]
    return {"sizes": figures, "criteria": [one.record() for one in _criteria(figures)]}


def _criteria(figures: list[dict[str, Any]]) -> list[Criterion]:
    least, tenth, largest = figures[0], figures[-2], figures[-1]
    told = largest["history_mib"] is not None
    memory = largest["history_mib"] / max(tenth["history_mib"], LEAST_MIB) if told else None
    worst, name = max(one["over_least"] for one in figures), f"{short(largest['stored'])} sales stored over"
    what = f"{name} {short(tenth['stored'])}: memory of reading the history"
    return [
        Criterion(7, f"{name} {short(least['stored'])}: processor time of a sale, the worst of all", worst, LIMIT),
        Criterion(7, what, memory, LIMIT, note="only Linux tells its memory"),
    ]


def show_sales(figures: dict[str, Any]) -> None:
    """Print the sizes, and what must hold."""
    table = Table("sales stored", "a sale, µs of processor time", "over the first", "history read, peak MiB")
    for one in figures["sizes"]:
        table.add_row(short(one["stored"]), *(str(one[key]) for key in ("sale_us", "over_least", "history_mib")))
    Console().print(table)
    show_criteria(figures["criteria"])


if __name__ == "__main__":
    print(history_memory(Path(sys.argv[1]))["peak_mib"])
