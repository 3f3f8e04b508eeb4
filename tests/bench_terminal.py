"""What the list costs a terminal: start, memory, lookup, delta, proof, and how each grows with the list.

Point 6 of the bench. Each size is measured in a process of its own: ``python -m tests.bench_terminal FOLDER``
measures the store that ``prepare`` has made there, and prints JSON.
"""

import gc
import json
import re
import statistics
import sys
import tempfile
from array import array
from bisect import bisect_left
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from apdu.identity import CardId
from apdu.money import currency
from broadcast.cipher_key import CipherKeys
from broadcast.demodulator import demodulate
from broadcast.modulator import modulate
from host.model import ModelSlot, memory_card
from host.session import PurseSession
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.trust import Trust
from tests.bench_criterion import Criterion
from tests.bench_sizes import KEY, changed_list, list_edition, short
from tests.bench_time import child_seconds, hash_seconds, in_turn, processor_seconds
from tests.broadcast.lists import uniform_list
from tests.issuer import CHIP, NOW, Issuer

__all__ = ["measure", "prepare", "show_growth", "terminal"]

ROOT = Path(__file__).resolve().parent.parent
SIZES = [(10**7, 10**4), (10**7, 10**5), (10**7, 10**6), (10**8, 10**6)]
LIMITED = 10**6
"""Listed cards from which on the limits are for."""
CHANGES, DELTAS = 500, 5
LOOKUPS, ROUNDS, PROOFS, STARTS = 2000, 15, 300, 5
NODE_SIZE = 49
"""Bytes that are hashed for a node of the tree."""
LIMITS: dict[int, dict[str, float]] = {
    10**7: {
        "over_hashes": 3, "resident_mib": 9.5, "peak_mib": 30, "delta_mib": 37, "delta_peak_mib": 37,
        "over_bisect": 2.5, "over_digest": 15.5, "lock_out_apdus": 3,
    },
    10**8: {
        "over_hashes": 2.2, "resident_mib": 24.5, "peak_mib": 43, "delta_mib": 54, "delta_peak_mib": 54,
        "over_bisect": 2.5, "over_digest": 15.5, "lock_out_apdus": 3,
    },
}  # fmt: skip
"""By the number of cards: about a quarter above what was measured, 64 MiB at most.

What is resident after deltas is what the allocator has kept of their peak, a little or all of it.
"""
LABELS = {
    "start_ms": "start, ms of processor time",
    "over_hashes": "  over the hashes of its tree",
    "resident_mib": "resident, MiB",
    "peak_mib": "  peak while opening",
    "delta_mib": "  after deltas",
    "delta_peak_mib": "  peak in deltas",
    "delta_ms": "delta from the air, ms of processor time",
    "over_digest": "  over SHA-256 of the whole list",
    "full_ms": "full list from the air, ms of processor time",
    "full_peak_mib": "  its peak, MiB",
    "lookup_ns": "lookup, ns",
    "bisect_ns": "bisect on an array, ns",
    "over_bisect": "lookup over bisect",
    "prove_ms": "proof, ms",
    "proof_bytes": "proof, bytes",
    "lock_out_apdus": "LOCK OUT, commands",
    "lock_out_longest_apdu": "  longest, bytes",
}
STATUS, PEAK_RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


# --- before ----------------------------------------------------------------------------------------------


def prepare(folder: Path, universe: int, count: int) -> None:
    """Make a terminal's store with a list in force, and beside it sealed deltas, each from the one before."""
    serials = uniform_list(universe, count, seed=1)
    edition = list_edition(serials, universe)
    trust = Trust(1, currency("EUR"), Issuer().keys)
    store = BlacklistStore.import_trust(folder / "store", trust.encode())
    store.import_cipher_keys(CipherKeys(1, "bench", (KEY,)).encode())
    store.import_edition(edition.encode())
    for number in range(2, 2 + DELTAS):
        serials = changed_list(serials, universe, min(CHANGES, count // 2), seed=number)
        older, edition = edition, list_edition(serials, universe, number)
        (folder / f"delta-{number}").write_bytes(modulate(edition.delta_from(older), KEY))
    full = list_edition(serials, universe, 2 + DELTAS)
    (folder / "full").write_bytes(modulate(full.content(), KEY))


# --- in the terminal's process ---------------------------------------------------------------------------


class Memory:
    """Bytes that this process has resident, above those it had at first; nothing where Linux does not tell."""

    def __init__(self) -> None:
        gc.collect()
        self.is_told = PEAK_RESET.exists()
        self._first = self._read("VmRSS")
        self.begin_peak()

    def _read(self, name: str) -> int:
        found = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE) if self.is_told else None
        return int(found[1]) * 1024 if found else 0

    def begin_peak(self) -> None:
        """Forget the peak: that of getrusage would still be the one of the process before, which started this one."""
        if self.is_told:
            PEAK_RESET.write_text("5")

    def mebibytes(self, name: str) -> float | None:
        """``VmRSS``, what is resident now, or ``VmHWM``, the most that was."""
        return round((self._read(name) - self._first) / (1 << 20), 2) if self.is_told else None


class CountingSlot(ModelSlot):
    """A slot that counts what goes to its card, in commands and their longest."""

    commands, longest = 0, 0

    def transmit(self, command: bytes) -> bytes:
        self.commands, self.longest = self.commands + 1, max(self.longest, len(command))
        return super().transmit(command)


def _take(store: BlacklistStore, keys: CipherKeys, sealed: bytes) -> None:
    """What a terminal does with an object that is whole: unseal, verify, apply, write to the disk."""
    store.take(store.read(demodulate(sealed, keys)), NOW)


def _start(folder: Path, store: BlacklistStore) -> dict[str, Any]:
    """Opening the store again and again, over the hashes of its tree alone; each one more is opened and dropped."""
    assert store.edition is not None
    hashes = store.edition.tree.hashes
    start, bound = in_turn(
        STARTS,
        lambda: processor_seconds(lambda: BlacklistStore(folder / "store")),
        lambda: hash_seconds(hashes, NODE_SIZE),
    )
    return {"start_ms": round(start * 1000, 1), "over_hashes": round(start / bound, 2)}


def _apply(folder: Path, store: BlacklistStore, memory: Memory) -> dict[str, Any]:
    """Deltas as they come from the air."""
    memory.begin_peak()
    times, keys = list[float](), store.cipher_keys
    assert keys is not None
    for number in range(2, 2 + DELTAS):
        sealed = (folder / f"delta-{number}").read_bytes()
        times.append(processor_seconds(partial(_take, store, keys, sealed)))
        assert store.number == number
    resident, peak = memory.mebibytes("VmRSS"), memory.mebibytes("VmHWM")
    assert store.edition is not None
    plain = store.edition.encode_plain()
    (digest,) = in_turn(ROUNDS, lambda: processor_seconds(lambda: sha256(plain).digest()))
    delta = statistics.median(times)
    figures = {"delta_ms": round(delta * 1000, 1), "over_digest": round(delta / digest, 2)}
    return figures | {"delta_mib": resident, "delta_peak_mib": peak}


def _replace(folder: Path, store: BlacklistStore, memory: Memory) -> dict[str, Any]:
    """A full list as it comes from the air, over one that is in force."""
    memory.begin_peak()
    keys, sealed = store.cipher_keys, (folder / "full").read_bytes()
    assert keys is not None
    time_of_all = processor_seconds(partial(_take, store, keys, sealed))
    return {"full_ms": round(time_of_all * 1000, 1), "full_peak_mib": memory.mebibytes("VmHWM")}


def _look_up(store: BlacklistStore, listed: list[int], universe: int) -> dict[str, Any]:
    """Lookups, half of them of listed cards, over bisect on an array of the same serials, taken in turn."""
    chance = np.random.default_rng(2)
    wanted = [*chance.choice(listed, LOOKUPS // 2).tolist(), *chance.integers(universe, size=LOOKUPS // 2).tolist()]
    chance.shuffle(wanted)
    cards, row = [CardId.of(1, serial) for serial in wanted], array("I", listed)
    assert [card in store for card in cards] == [
        row[bisect_left(row, serial) % len(row)] == serial for serial in wanted
    ]
    medians = in_turn(
        ROUNDS,
        lambda: processor_seconds(lambda: [card in store for card in cards]),
        lambda: processor_seconds(lambda: [bisect_left(row, serial) for serial in wanted]),
    )
    ours, bisect = (seconds / LOOKUPS * 1e9 for seconds in medians)
    return {"lookup_ns": round(ours), "bisect_ns": round(bisect), "over_bisect": round(ours / bisect, 2)}


def _prove(store: BlacklistStore, listed: list[int]) -> dict[str, Any]:
    """Proofs of some listed cards; with the longest of them a card is locked out."""
    times, sizes = list[float](), dict[int, int]()
    for serial in np.random.default_rng(3).choice(listed, min(PROOFS, len(listed)), replace=False).tolist():
        times.append(processor_seconds(partial(store.prove, CardId.of(1, serial))))
        sizes[serial] = len(store.prove(CardId.of(1, serial))[1].encode())
    longest = max(sizes, key=lambda serial: sizes[serial])
    issuer, card = Issuer(), memory_card(CHIP)
    issuer.personalize(card, issuer.parameters(longest))
    slot = CountingSlot("thief", card)
    session = PurseSession(slot.connect())
    slot.commands = slot.longest = 0
    session.lock_out(*store.prove(session.card))
    figures = {"prove_ms": round(statistics.median(times) * 1000, 3), "proof_bytes": sizes[longest]}
    return figures | {"lock_out_apdus": slot.commands, "lock_out_longest_apdu": slot.longest}


def measure(folder: Path) -> dict[str, Any]:
    """Open a prepared store, and measure everything, memory first."""
    memory = Memory()
    store = BlacklistStore(folder / "store")
    _ = CardId.of(1, 0) in store
    figures = {"resident_mib": memory.mebibytes("VmRSS"), "peak_mib": memory.mebibytes("VmHWM")}
    figures |= _apply(folder, store, memory) | _replace(folder, store, memory) | _start(folder, store)
    assert store.edition is not None
    listed = store.edition.serials.tolist()
    return figures | _look_up(store, listed, store.edition.last + 1) | _prove(store, listed)


# --- the point -------------------------------------------------------------------------------------------


def _in_own_process(universe: int, count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), universe, count)
        _, printed = child_seconds([sys.executable, "-m", "tests.bench_terminal", folder], ROOT)
    figures: dict[str, Any] = {"universe": universe, "listed": count} | json.loads(printed)
    return figures


def _criteria(figures: dict[str, Any]) -> list[Criterion]:
    name = f"{short(figures['listed'])} of {short(figures['universe'])}"
    no_memory = "only Linux tells how much memory a process has resident"
    limits = LIMITS[figures["universe"]]

    def criterion(figure: str, what: str, note: str = "") -> Criterion:
        return Criterion(6, f"{name}: {what}", figures[figure], limits[figure], note=note)

    return [
        criterion("over_hashes", "start over the hashes of its tree"),
        criterion("resident_mib", "resident memory of the store, MiB", no_memory),
        criterion("peak_mib", "its peak while opening, MiB", no_memory),
        criterion("delta_mib", "resident after deltas, MiB", no_memory),
        criterion("delta_peak_mib", "its peak while deltas are applied, MiB", no_memory),
        criterion("over_bisect", "lookup over bisect on an array"),
        criterion("over_digest", f"delta of {CHANGES} off and on over SHA-256 of the list"),
        criterion("lock_out_apdus", "short commands of LOCK OUT"),
    ]


def terminal(sizes: list[tuple[int, int]] = SIZES) -> tuple[list[dict[str, Any]], list[Criterion]]:
    """Point 6: a terminal's store at each size; the limits are for 10^6 listed cards."""
    figures = [_in_own_process(*size) for size in sizes]
    return figures, [one for each in figures if each["listed"] >= LIMITED for one in _criteria(each)]


def show_growth(figures: list[dict[str, Any]]) -> None:
    """Print each figure at each size, and how it grows from the first to the last of the same universe."""
    same = [each for each in figures if each["universe"] == figures[0]["universe"]]
    sizes = [f"{short(each['listed'])} of\n{short(each['universe'])}" for each in figures]
    growth = f"{short(same[0]['listed'])}\nto {short(same[-1]['listed'])}"
    title = f"The store of a terminal; deltas of {CHANGES} off and {CHANGES} on"
    table = Table("listed", *sizes, growth, title=title)
    for name, label in LABELS.items():
        first, last = same[0][name], same[-1][name]
        grows = f"x {last / first:.3g}" if first and last is not None else ""
        table.add_row(label, *(str(each[name]) for each in figures), grows)
    Console().print(table)


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))
