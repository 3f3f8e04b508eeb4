"""How the bench takes time: in processor time, and as a ratio to a bound that is taken in turn with it.

A busy machine makes everything later, and each process slower by what it shares with others. Wall time tells the
first, so no figure is held against it; processor time (user and system) tells the second alone, and a ratio to work
of the same kind, done in the same minute, hardly that. A bound is what cannot be left out of the work: the ECDSA
operations of a transfer, the hashes of a list's tree. Limits stand close above what was measured, so that a
regression of a quarter is seen.
"""

import os
import resource
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

__all__ = ["child_seconds", "hash_seconds", "in_turn", "least", "processor_seconds"]


def processor_seconds(action: Callable[[], object]) -> float:
    """Seconds of user and system time that something takes in this process."""
    begin = time.process_time()
    action()
    return time.process_time() - begin


def child_seconds(
    command: Sequence[str | Path], cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> tuple[float, bytes]:
    """Seconds of user and system time of a whole process and its children, and what it printed.

    ``environment`` comes beside this process's own. Raises CalledProcessError when it fails.
    """
    before, env = _of_children(), {**os.environ, **(environment or {})}
    done = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return _of_children() - before, done.stdout


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def in_turn(rounds: int, *actions: Callable[[], float]) -> list[float]:
    """The least, as ``least`` says, of what each action returns, over rounds in which each has its turn."""
    found = [[action() for action in actions] for _ in range(rounds)]
    return [least(column) for column in zip(*found, strict=True)]


def least(seconds: Sequence[float]) -> float:
    """The tenth part from below of many times: what the work takes when others leave it its caches."""
    return sorted(seconds)[len(seconds) // 10]


def hash_seconds(hashes: int, size: int) -> float:
    """Processor time of so many SHA-256 of so many bytes, by a loop that does nothing else."""
    message = bytes(size)

    def all_of_them() -> None:
        for _ in range(hashes):
            sha256(message).digest()

    return processor_seconds(all_of_them)
