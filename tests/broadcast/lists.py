"""Lists as a center would have them, seeded: cards stolen one by one, and stolen batches."""

from math import log2

import numpy as np

from broadcast.sparse_set import Numbers, information_limit

__all__ = ["LONGEST_RUN", "SHORTEST_RUN", "run_list", "uniform_list"]

SHORTEST_RUN = 20
LONGEST_RUN = 500


def uniform_list(universe: int, count: int, seed: int) -> Numbers:
    """Every set of this count is as likely as any other; its entropy is information_limit."""
    chosen = np.random.default_rng(seed).choice(universe, count, replace=False, shuffle=False)
    return np.sort(chosen).astype(np.uint32)


def run_list(universe: int, count: int, share: float, seed: int) -> tuple[Numbers, float]:
    """A list of which about ``share`` are in runs of 20 to 500 numbers, and its entropy in bits.

    The lengths are uniform, and so are the places of runs and single cards, but that nothing touches a run:
    a guard number on both sides is never listed. So the list tells which choices made it, and the entropy is exact:
    log2(481) for each run, log2 C for the places of the guarded runs among everything else, and log2 C for the
    single cards among the numbers that are in no guarded run.
    """
    chance = np.random.default_rng(seed)
    runs = round(share * count / ((SHORTEST_RUN + LONGEST_RUN) / 2))
    lengths = chance.integers(SHORTEST_RUN, LONGEST_RUN, runs, endpoint=True)
    guarded = lengths + 2
    free, singles = universe - int(guarded.sum()), count - int(lengths.sum())
    slots = np.sort(chance.choice(free + runs, runs, replace=False)) - np.arange(runs)
    alone = np.sort(chance.choice(free, singles, replace=False, shuffle=False))
    before = np.append(0, np.cumsum(guarded))
    starts = slots + before[:-1] + 1
    within = np.concatenate([np.arange(start, start + length) for start, length in zip(starts, lengths, strict=True)])
    members = np.sort(np.concatenate((within, alone + before[np.searchsorted(slots, alone, "right")])))
    places = information_limit(free + runs, runs) + information_limit(free, singles)
    return members.astype(np.uint32), places + runs * log2(LONGEST_RUN - SHORTEST_RUN + 1)
