"""``python -m tests.fuzz``: fuzz the readers of traces; the exit status says whether anything was found."""

import argparse
import importlib.util
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.table import Table

from tests.fuzz.atheris_engine import NO_ATHERIS
from tests.fuzz.runner import ENGINES, Figures, fuzz, keep
from tests.fuzz.targets import INSPECTION, TARGETS

EXECUTIONS = 10**6


def _arguments(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the readers of traces.")
    parser.add_argument("--form", action="append", choices=names, metavar="NAME", help=f"one of: {', '.join(names)}")
    parser.add_argument("--executions", type=int, default=EXECUTIONS, metavar="N", help="of each target and engine")
    parser.add_argument("--engine", action="append", choices=ENGINES)
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), metavar="N", help="at one time")
    parser.add_argument("--json", action="store_true", help="the figures as JSON, on standard output")
    return parser.parse_args()


def _engines(asked: list[str] | None) -> list[str]:
    """Those that were asked for, or all that are installed."""
    if importlib.util.find_spec("atheris") is not None or (asked is not None and "atheris" not in asked):
        return asked or list(ENGINES)
    print(NO_ATHERIS, file=sys.stderr)
    if asked:
        sys.exit(2)
    return [engine for engine in ENGINES if engine != "atheris"]


def _show(figures: dict[tuple[str, str], Figures]) -> None:
    columns = ("executions", "items", "per_second", "slowest_ms", "peak_mib", "finding")
    table = Table("engine", "target", *columns)
    for (engine, target), one in figures.items():
        cells = [f"{one[name]:,.6g}" if isinstance(one[name], float) else str(one[name]) for name in columns]
        table.add_row(engine, target, *cells)
    Console().print(table)


def main() -> int:
    """Run what is asked for, target by target; figures are kept as they come."""
    names = [target.name for target in (*TARGETS, INSPECTION)]
    arguments = _arguments(names)
    engines = _engines(arguments.engine)
    pairs = [(engine, name) for name in arguments.form or names for engine in engines]

    def one(pair: tuple[str, str]) -> Figures:
        figures = fuzz(*pair, arguments.executions, arguments.seed)
        keep(*pair, figures)
        verdict = figures["finding"] or "nothing found"
        print(f"{', '.join(pair)}: {figures['executions']} executions, {verdict}", file=sys.stderr, flush=True)
        return figures

    with ThreadPoolExecutor(arguments.jobs) as pool:
        figures = dict(zip(pairs, pool.map(one, pairs), strict=True))
    if arguments.json:
        print(json.dumps([{"engine": engine, "target": name} | one for (engine, name), one in figures.items()]))
    else:
        _show(figures)
    return 1 if any(one["finding"] for one in figures.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
