"""One target under hypothesis: it draws a seed and changes to it, and finds the shortest that fails.

Drawing takes hypothesis longer than reading takes a reader. So each example is read as it is drawn, and then in
BATCH variations that a seeded source of chance makes of it. Every one of these reads counts as an execution.
"""

import signal
from random import Random
from types import FrameType

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.mutation import MOST_SIZE, OPERATIONS, Change, changed, mutated
from tests.fuzz.report import FINDING, MOST_MEBIBYTES, Report, Task, child, peak_mebibytes, traced
from tests.fuzz.seeds import ODD, seeds, words
from tests.fuzz.targets import MOST_BYTES, ExcessError, Meter, target_named

__all__ = ["BATCH", "inputs", "run"]

BATCH = 60
"""Variations of an example."""
_ROUND = 2000
"""Examples of one run of hypothesis; many small runs keep its memory small."""


def inputs(target: str) -> st.SearchStrategy[bytes]:
    """Seeds with up to eight changes."""
    fillings = st.sampled_from((*ODD, *words(target))) | st.binary(max_size=8)
    operations = st.integers(0, len(OPERATIONS) - 1)
    change = st.builds(Change, operations, st.integers(0, MOST_BYTES), st.integers(0, MOST_SIZE), fillings)
    return st.builds(_made, st.sampled_from(seeds(target)), st.lists(change, max_size=8))


def _made(start: bytes, changes: list[Change]) -> bytes:
    raw = bytearray(start)
    for change in changes:
        changed(raw, change)
    return bytes(raw)


class _Run:
    """A number of executions, and the last input that was a finding: the shortest, since hypothesis shrinks."""

    def __init__(self, task: Task) -> None:
        target = target_named(task.target)
        self.task, self.meter = task, Meter(target)
        self._others = (*ODD, *words(target.name), *seeds(target.name))
        self.finding = ""
        self._inputs = inputs(target.name)

    @property
    def left(self) -> int:
        """Executions that are still to be done."""
        return self.task.executions - self.meter.executions

    def execute(self, raw: bytes) -> None:
        """Read an input within the time; keep it if it is a finding."""
        signal.alarm(self.task.hang)
        try:
            self.meter.execute(raw)
        except BaseException as error:
            signal.alarm(0)
            self.finding = traced(error)
            (self.task.folder / FINDING).write_bytes(raw)
            raise
        signal.alarm(0)

    def example(self, raw: bytes, chance: int) -> None:
        """An example, then its variations; as many every time, or hypothesis could not repeat what it found."""
        random = Random(chance)
        self.execute(raw)
        for _ in range(BATCH):
            self.execute(mutated(raw, self._others, random))

    def round(self, number: int) -> None:
        """One run of hypothesis."""
        limits = settings(
            max_examples=min(-(-self.left // (BATCH + 1)), _ROUND),
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        drawn = given(self._inputs, st.integers(0, 1 << 32))
        seed(number)(limits(drawn(self.example)))()


class _HangError(BaseException):
    """An execution does not end; no Exception, so that hypothesis shrinks nothing, which would hang as often."""


def _hangs(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise _HangError("an execution does not end in time")


def run(task: Task) -> None:
    """Execute a target so many times, or up to a batch more; write the report, and the input that is a finding."""
    work, number = _Run(task), task.seed
    signal.signal(signal.SIGALRM, _hangs)
    try:
        while work.left > 0:
            work.round(number)
            number += 1
            if (peak := peak_mebibytes()) > MOST_MEBIBYTES:
                raise ExcessError(f"{peak} MiB are resident")
    except (Exception, _HangError) as error:
        work.finding = work.finding or traced(error)
    meter = work.meter
    Report(meter.executions, meter.items, meter.slowest * 1000, peak_mebibytes(), work.finding).write(task.folder)


if __name__ == "__main__":
    child(run)
