"""One target under atheris: libFuzzer's mutations, led by which lines and branches of ``apdu`` an input reaches."""

import importlib
import sys
from pathlib import Path

from tests.fuzz.report import FINDING, MOST_MEBIBYTES, Report, Task, child, peak_mebibytes

__all__ = ["NO_ATHERIS", "run"]

NO_ATHERIS = "atheris is missing: `make fuzz` installs it, where it has a wheel for the system and this Python"


def run(task: Task) -> None:
    """Execute a target so many times; does not return, since libFuzzer ends the process.

    The report is written after the last execution. After a finding there is none; libFuzzer has said what it was.
    """
    try:
        import atheris
    except ImportError:
        sys.exit(NO_ATHERIS)
    with atheris.instrument_imports(include=["apdu"], enable_loader_override=False):
        targets = importlib.import_module("tests.fuzz.targets")
    target = targets.target_named(task.target)
    meter = targets.Meter(target)

    def execute(raw: bytes) -> None:
        meter.execute(raw)
        if meter.executions == task.executions:
            Report(task.executions, meter.items, meter.slowest * 1000, peak_mebibytes()).write(task.folder)

    options = {
        "runs": task.executions,
        "seed": task.seed,
        "max_len": targets.MOST_BYTES,
        "timeout": task.hang,
        "report_slow_units": task.hang,
        "rss_limit_mb": MOST_MEBIBYTES,
        "artifact_prefix": f"{task.folder / FINDING}-",
        "print_final_stats": 1,
    }
    said = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([sys.argv[0], *said, *_begin(target.name, task.folder)], execute)
    atheris.Fuzz()


def _begin(target: str, folder: Path) -> list[str]:
    """Write the seeds and the dictionary; arguments that name them."""
    seeds = importlib.import_module("tests.fuzz.seeds")
    corpus, dictionary = folder / "corpus", folder / "dictionary"
    corpus.mkdir()
    for place, raw in enumerate(seeds.seeds(target)):
        (corpus / f"seed-{place}").write_bytes(raw)
    rows = ("".join(f"\\x{byte:02x}" for byte in word) for word in seeds.words(target))
    dictionary.write_text("".join(f'"{row}"\n' for row in rows))
    return [f"-dict={dictionary}", str(corpus)]


if __name__ == "__main__":
    child(run)
