"""Runs each target under each engine, in a process of its own, and keeps the figures in build/fuzz.json."""

import ast
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from host.files import write_whole
from tests.fuzz.report import FINDING, REPORT, Report, Task
from tests.fuzz.targets import target_named

__all__ = ["ENGINES", "FOLDER", "HANG", "OUT", "Figures", "fuzz", "keep", "kept", "sources"]

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "fuzz"
OUT = ROOT / "build" / "fuzz.json"
ENGINES = ("hypothesis", "atheris")
HANG = 20
"""Seconds of real time after which an execution counts as hanging."""

Figures = dict[str, Any]


def sources(target: str) -> str:
    """Digest of the modules of ``apdu.trace`` that a target is made of, to see whether figures are still of them."""
    files, new = set[Path](), [*target_named(target).modules]
    while new:
        file = ROOT.joinpath(*new.pop().split(".")).with_suffix(".py")
        if file.is_file() and file not in files:
            files.add(file)
            new += _imported(file)
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()[:16]


def _imported(file: Path) -> list[str]:
    """Modules of ``apdu.trace`` that a file imports."""
    nodes = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
    names = [[node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)] for node in nodes]
    return [name for each in names for name in each if name.startswith("apdu.trace")]


def fuzz(engine: str, target: str, executions: int, seed: int = 1, hang: int = HANG, folder: Path = FOLDER) -> Figures:
    """One target under one engine; inputs that are findings stay in a folder of their own."""
    folder = folder / f"{engine}-{target.replace(' ', '-')}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marks = {"sources": sources(target)} | _when()
    task, begin = Task(target, executions, seed, hang, folder), time.perf_counter()
    command = [sys.executable, "-m", f"tests.fuzz.{engine}_engine", *task.arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    seconds = time.perf_counter() - begin
    said = done.stdout.decode("utf-8", "replace")
    (folder / "said").write_text(said)
    report = _report(folder, said, done.returncode)
    shutil.rmtree(folder / "corpus", ignore_errors=True)
    rate = {"seconds": round(seconds, 1), "per_second": round(report.executions / seconds), "seed": seed}
    inputs = sorted(str(file.relative_to(folder.parent.parent)) for file in folder.glob(f"{FINDING}*"))
    return asdict(report) | rate | {"inputs": inputs} | marks


def _report(folder: Path, said: str, code: int) -> Report:
    """The process's own report, or what can be told of one that a finding has ended."""
    file = folder / REPORT
    if not code and file.is_file():
        return Report(**json.loads(file.read_text()))
    executions, peak = (
        int(found[-1]) if (found := re.findall(rf"^stat::{name}: +(\d+)", said, re.MULTILINE)) else 0
        for name in ("number_of_executed_units", "peak_rss_mb")
    )
    return Report(executions, 0, 0.0, peak, _finding(said) or f"the process ended with {code}")


def _finding(said: str) -> str:
    """The error of Python's, or else libFuzzer's, in what atheris prints."""
    if "Uncaught Python exception" in said:
        rows = said.partition("Uncaught Python exception")[2].splitlines()
        error = next((row for row in rows[1:] if re.match(r"[A-Za-z_.]+(Error|Exception)\b", row)), "")
        return error or "an exception"
    return next((row for row in said.splitlines() if row.startswith(("ALARM", "==")) or "ERROR" in row), said[-200:])


def _when() -> Figures:
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), "commit": git.stdout.strip() or None}


def kept(out: Path = OUT) -> dict[str, dict[str, Figures]]:
    """All figures that there are: engine, target, figures."""
    figures: dict[str, dict[str, Figures]] = json.loads(out.read_text()) if out.is_file() else {}
    return figures


def keep(engine: str, target: str, figures: Figures, out: Path = OUT) -> None:
    """Add figures, unless there are those of a longer run without finding over the same sources."""
    out.parent.mkdir(exist_ok=True)
    with FileLock(f"{out}.lock"):
        every = kept(out)
        old = every.setdefault(engine, {}).get(target)
        same = old is not None and old["sources"] == figures["sources"] and not old["finding"]
        if old is None or figures["finding"] or not same or figures["executions"] >= old["executions"]:
            every[engine][target] = figures
            write_whole(out, json.dumps(every, indent=2).encode() + b"\n")
