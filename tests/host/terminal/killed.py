"""A terminal's store in programs that are killed, that race, or that run out of disk. POSIX only.

Run as ``python -m tests.host.terminal.killed WHAT FOLDER``; it prints a line of JSON for each round. Every round is a
process of its own, forked before anything was opened, so that nothing but the disk is handed on.
"""

import io
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import IO, Any, ParamSpec, TypeVar, cast

from apdu.errors import RefusedError, StoreError
from apdu.money import currency
from broadcast.cipher_key import CipherKey, CipherKeys
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.stale_policy import StaleAction, StalePolicy
from host.terminal.trust import Trust
from tests.issuer import NOW, Issuer

P = ParamSpec("P")
R = TypeVar("R")
Say = Callable[[object], None]

ISSUER = Issuer()
EDITIONS = {number: ISSUER.edition(number, *range(number, 60 * number, 3)) for number in range(1, 25)}
"""Made before the fork, so that every process has the same; each longer than the one before."""
STATES = [
    None,
    (0, 0, [], 0),
    (0, 0, [1], 0),
    (0, 0, [1], 700),
    (1, 1, [1], 700),
    (2, 2, [1], 700),
    (2, 4, [1], 700),
    (5, 5, [1], 700),
    (5, 5, [1, 2], 700),
    (5, 5, [1, 2], 0),
    (5, 6, [1, 2], 0),
]
"""Edition, newest known, numbers of the cipher keys, cap: before and after each of the actions."""
FILES = {"cipher-keys.json", "edition", "newest-head", "policy.json", "store.lock", "trust.json"}
_DISK = ("open", "close", "write", "fsync", "replace", "rename", "chmod", "unlink", "mkdir", "ftruncate")


def _keys(*numbers: int) -> str:
    return CipherKeys(1, "terminals", tuple(CipherKey(number, bytes(32)) for number in numbers)).encode()


def _cap(store: BlacklistStore, cap: int) -> None:
    store.policy = StalePolicy(StaleAction.CAP if cap else StaleAction.WARN, cap)


def _step(store: BlacklistStore, base: int, number: int) -> None:
    store.take(store.read(EDITIONS[number].delta_from(EDITIONS[base])), NOW)


def _expired(store: BlacklistStore) -> None:
    try:
        store.take(EDITIONS[6], NOW + 10**6)
    except RefusedError:
        return
    raise AssertionError("an expired edition was taken")


def actions(folder: Path) -> list[Callable[[], object]]:
    """Everything that writes, one after the other; each may be done twice."""

    def store() -> BlacklistStore:
        return BlacklistStore(folder)

    return [
        lambda: BlacklistStore.import_trust(folder, Trust(1, currency("EUR"), ISSUER.keys).encode()),
        lambda: store().import_cipher_keys(_keys(1)),
        lambda: _cap(store(), 700),
        lambda: store().take(store().read(EDITIONS[1].content()), NOW),
        lambda: _step(store(), 1, 2) if store().number < 2 else None,
        lambda: store().note_head(EDITIONS[4].head),
        lambda: store().import_edition(EDITIONS[5].encode()),
        lambda: store().import_cipher_keys(_keys(1, 2)),
        lambda: _cap(store(), 0),
        lambda: _expired(store()),
    ]


def state(folder: Path) -> tuple[int, int, list[int], int] | None:
    """What a terminal finds; the list itself must be whole."""
    if not (folder / "trust.json").exists():
        return None
    store = BlacklistStore(folder)
    assert store.edition is None or store.edition.serials.tolist() == EDITIONS[store.number].serials.tolist()
    numbers = [key.number for key in store.cipher_keys.keys] if store.cipher_keys else []
    return store.number, store.newest_known, numbers, store.policy.cap


class _Torn(io.BufferedWriter):
    """A file to which half of the content comes before the other half."""

    step: Callable[[], None]

    def write(self, content: object) -> int:
        raw = cast(bytes, content)
        written = super().write(raw[: len(raw) // 2])
        self.flush()
        self.step()
        return written + super().write(raw[written:])


def _kill_at(number: int) -> None:
    """Kill this process before its ``number``-th call that changes the disk."""
    left = [number]

    def step() -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(call: Callable[P, R]) -> Callable[P, R]:
        def stepping(*arguments: P.args, **named: P.kwargs) -> R:
            step()
            return call(*arguments, **named)

        return stepping

    really_open = io.open

    def torn(file: int | str, mode: str = "r", *more: int | str | None) -> IO[Any]:
        if "w" not in mode:
            return really_open(file, mode, *cast(Any, more))
        made = _Torn(io.FileIO(file, "w"))
        made.step = step
        return made

    for name, call in {name: before(getattr(os, name)) for name in _DISK}.items():
        setattr(os, name, call)
    os.__dict__["fdopen"] = io.__dict__["open"] = torn


def forked(work: Callable[[Say], None]) -> Iterator[int]:
    """Run in a process of its own; yields first where to read what it says, then how it ended."""
    out, into = os.pipe()
    child = os.fork()
    if not child:
        os.close(out)
        say, code = partial(_say, os.write, into), 1
        try:
            work(say)
            code = 0
        except Exception as error:  # told to the test, which finds it among what was said
            say(repr(error))
        finally:
            os._exit(code)
    os.close(into)
    yield out
    yield os.waitpid(child, 0)[1]


def _say(write: Callable[[int, bytes], int], into: int, said: object) -> None:
    """With the ``os.write`` from before, which kills nobody."""
    write(into, json.dumps(said).encode() + b"\n")


def heard(child: Iterator[int]) -> tuple[list[Any], int]:
    """All that a process said, and its status."""
    with os.fdopen(next(child)) as said:
        lines = [json.loads(line) for line in said]
    return lines, next(child)


# --- kill at every step ------------------------------------------------------------------------------------


def _act(folder: Path, number: int, say: Say) -> None:
    work = actions(folder)
    _kill_at(number)
    for done, action in enumerate(work, 1):
        action()
        say(done)


def _look(folder: Path, done: int, say: Say) -> None:
    say(state(folder))
    for action in actions(folder)[done:]:
        action()
    say(state(folder))
    say(sorted(path.name for path in folder.iterdir()))


def killed(root: Path) -> Iterator[object]:
    """Kill at the first step, at the second, and so on, until the process comes to its end."""
    number, status = 0, -1
    while status:
        number += 1
        folder = root / str(number)
        said, status = heard(forked(partial(_act, folder, number)))
        looked = heard(forked(partial(_look, folder, len(said))))
        yield {"done": len(said), "status": status, "looked": looked[0]}


# --- two at once -------------------------------------------------------------------------------------------


def _race(folder: Path, seed: int, gate: tuple[int, int], say: Say) -> None:
    os.close(gate[1])
    os.read(gate[0], 1)  # until everybody else has closed the other end
    random, store, last = Random(seed), BlacklistStore(folder), 0
    while last < len(EDITIONS):
        wanted = min(last + random.choice([1, 1, 2, 3]), len(EDITIONS))
        store.refresh()
        try:
            if store.number and store.number < wanted and random.random() < 0.7:
                _step(store, store.number, wanted)
            else:
                store.take(store.read(EDITIONS[wanted].content()), NOW)
        except RefusedError:  # the other one was faster
            store.refresh()
        now = state(folder)
        assert now is not None
        assert now[0] >= max(last, store.number), (now, last)
        last = now[0]
        say(last)


def raced(root: Path) -> Iterator[object]:
    """Two processes take editions as fast as they can, by full lists and by steps."""
    actions(root)[0]()
    gate = os.pipe()
    children = [forked(partial(_race, root, seed, gate)) for seed in (1, 2)]
    outs = [next(child) for child in children]
    os.close(gate[1])
    for out, child in zip(outs, children, strict=True):
        with os.fdopen(out) as said:
            lines = [json.loads(line) for line in said]
        yield {"numbers": lines, "status": next(child)}
    yield {"state": state(root), "files": sorted(path.name for path in root.iterdir())}


# --- a full disk -------------------------------------------------------------------------------------------


def full(root: Path) -> Iterator[object]:
    """No file may grow beyond what the first edition took, and then it may again."""
    work, limit = actions(root), resource.getrlimit(resource.RLIMIT_FSIZE)
    for action in work[:4]:
        action()
    resource.setrlimit(resource.RLIMIT_FSIZE, ((root / "edition").stat().st_size, limit[1]))
    store, told = BlacklistStore(root), list[str]()
    for take in (work[4], work[6], lambda: store.take(EDITIONS[3], NOW)):
        try:
            take()
        except StoreError as error:
            told.append(str(error))
    old = {"told": told, "state": state(root), "same": store.number, "files": sorted(os.listdir(root))}
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    store.take(EDITIONS[3], NOW)
    yield old | {"afterwards": state(root)}


def main(what: str, folder: str) -> None:
    """Do one of the three, and print what came of it."""
    rounds: dict[str, Callable[[Path], Iterator[object]]] = {"killed": killed, "raced": raced, "full": full}
    for report in rounds[what](Path(folder)):
        sys.stdout.write(json.dumps(report) + "\n")


def run(arguments: Sequence[str]) -> None:
    """The command line."""
    main(*arguments)


if __name__ == "__main__":
    run(sys.argv[1:])
