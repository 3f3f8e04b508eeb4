"""What a process that fuzzes tells to the one that started it: a file in its folder. Imports nothing of ours."""

import json
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["FINDING", "MOST_MEBIBYTES", "REPORT", "Report", "Task", "child", "peak_mebibytes", "traced"]

REPORT = "report.json"
FINDING = "finding"
"""Name, or beginning of the name, of the file with the input that is a finding."""
MOST_MEBIBYTES = 512
"""Memory that a process may have resident: Python, the engine with all inputs that it keeps, and the reader."""
_LONGEST = 200
"""Characters of an error's text."""


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of one target and engine."""

    executions: int
    items: int
    """Items that came out of all executions; a reader that never gives any has not been reached."""
    slowest_ms: float
    """Processor time of the slowest execution."""
    peak_mib: float
    finding: str = ""
    """What went wrong; the input is in the file beside."""

    def write(self, folder: Path) -> None:
        """Put it into the folder of the process."""
        (folder / REPORT).write_text(json.dumps(asdict(self)))


def peak_mebibytes() -> float:
    """The most memory that this process had resident, as Linux tells it; 0 elsewhere."""
    status = Path("/proc/self/status")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE) if status.exists() else None
    return round(int(found[1]) / 1024, 1) if found else 0.0


def traced(error: BaseException) -> str:
    """Kind and text of an error, and where it was raised."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {str(error)[:_LONGEST]} ({Path(place.filename).name}:{place.lineno})"


@dataclass(frozen=True, slots=True)
class Task:
    """What a process that fuzzes has to do."""

    target: str
    executions: int
    seed: int
    hang: int
    """Seconds of real time after which an execution counts as hanging."""
    folder: Path
    """For the report, and for inputs that are findings."""

    @property
    def arguments(self) -> list[str]:
        """What the process is started with."""
        return [self.target, str(self.executions), str(self.seed), str(self.hang), str(self.folder)]


def child(run: Callable[[Task], None]) -> None:
    """Be the process: do what its arguments say, with an address space of twice the memory."""
    import resource  # POSIX alone has it

    most = 2 * MOST_MEBIBYTES << 20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    target, executions, seed, hang, folder = sys.argv[1:]
    run(Task(target, int(executions), int(seed), int(hang), Path(folder)))
