"""How long lists and deltas are, sealed as they go on the air, beside information theory and other codings.

Points 1 to 3 of the bench. The lists come from seeds, and every byte counts: head, signature and seal.
"""

import lzma
from typing import Any

import brotli
import numpy as np
import pyroaring
import zstandard
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from apdu.messages import Head
from broadcast.cipher_key import CipherKey
from broadcast.edition import Edition
from broadcast.modulator import modulate
from broadcast.sparse_set import Numbers, information_limit
from tests.bench_criterion import Criterion
from tests.broadcast.lists import run_list, uniform_list
from tests.issuer import NOW, ORDERS, Issuer

__all__ = [
    "KEY",
    "changed_list",
    "deltas",
    "full_lists",
    "gaps_as_varints",
    "list_edition",
    "rice_size",
    "run_lists",
    "short",
    "show_full_lists",
    "show_run_lists",
]

KEY = CipherKey(1, bytes(range(32)))
"""Cipher key of the bench's terminal group."""

FULL_LISTS = [(10**7, 10**4), (10**8, 10**4), (10**7, 10**5), (10**7, 10**6), (10**8, 10**5), (10**8, 10**6)]
FULL_LIMITS = {(10**7, 10**4): 1.03} | dict.fromkeys(FULL_LISTS[2:], 1.01)
RUN_LISTS = [(10**7, 10**5), (10**7, 10**4)]
RUN_LIMITED = (10**7, 10**5)
"""On the shorter list head and seal weigh more; it is shown beside this one."""
SHARES = (0.3, 0.7)
RUN_LIMIT = 1.03
CHANGES = (50, 500, 5000)
DELTA_FACTOR, DELTA_BYTES = 1.03, 320


def short(number: int) -> str:
    """A number for a table: a power of ten as such."""
    zeros = len(str(number)) - 1
    return f"10^{zeros}" if zeros > 3 and number == 10**zeros else f"{number:,}"


def list_edition(serials: Numbers, universe: int, number: int = 1) -> Edition:
    """An edition of the test issuer, when all the serials below ``universe`` are given out."""
    head = Head(ORDERS, 1, number, NOW, NOW + 86400, 0, b"")
    return Edition.make(Issuer().orders, head, serials, universe - 1)


def changed_list(serials: Numbers, universe: int, changes: int, seed: int) -> Numbers:
    """The list with so many cards taken off, and as many others put on."""
    chance = np.random.default_rng(seed)
    stays = np.delete(serials, chance.choice(serials.size, changes, replace=False))
    others = np.setdiff1d(chance.choice(universe, 2 * changes + 100, replace=False), serials)
    come = chance.choice(others, changes, replace=False).astype(np.uint32)
    return np.union1d(stays, come)


def sealed_size(content: bytes) -> int:
    """Bytes of a content on the air."""
    return len(modulate(content, KEY))


# --- what others make of it ------------------------------------------------------------------------------


def gaps_of(serials: Numbers) -> NDArray[np.int64]:
    """The unlisted numbers before each serial."""
    wide = np.append(np.int64(-1), serials.astype(np.int64))
    return wide[1:] - wide[:-1] - 1


def gaps_as_varints(serials: Numbers) -> bytes:
    """The gaps in groups of 7 bits, the lowest first, as many as each needs."""
    gaps = gaps_of(serials)
    groups = gaps[:, None] >> np.arange(0, 35, 7)
    is_sent = (groups > 0) | (np.arange(5) == 0)
    goes_on = np.roll(groups > 0, -1, axis=1)
    goes_on[:, -1] = False
    return bytes((groups & 0x7F | goes_on << 7)[is_sent].astype(np.uint8))


def rice_size(serials: Numbers) -> int:
    """Bytes of Golomb-Rice coded gaps, with the parameter that is best for this list."""
    gaps = gaps_of(serials)
    bits = min(int((gaps >> low).sum()) + gaps.size * (1 + low) for low in range(32))
    return -(-bits // 8)


def xz_size(serials: Numbers) -> int:
    """Bytes of xz -9e, without its checksum."""
    preset = 9 | lzma.PRESET_EXTREME
    return len(lzma.compress(gaps_as_varints(serials), preset=preset, check=lzma.CHECK_NONE))


def zstd_size(serials: Numbers) -> int:
    """Bytes of zstd -19."""
    return len(zstandard.compress(gaps_as_varints(serials), 19))


def brotli_size(serials: Numbers) -> int:
    """Bytes of brotli -11."""
    return len(brotli.compress(gaps_as_varints(serials), quality=11))


def roaring_size(serials: Numbers) -> int:
    """Bytes of a Roaring bitmap with runs."""
    bitmap = pyroaring.BitMap(serials)
    bitmap.run_optimize()
    return len(bitmap.serialize())


# --- the points ------------------------------------------------------------------------------------------


def _list_figures(universe: int, count: int) -> dict[str, Any]:
    serials = uniform_list(universe, count, seed=1)
    limit, sealed = information_limit(universe, count) / 8, sealed_size(list_edition(serials, universe).content())
    others = {"rice": rice_size(serials), "xz": xz_size(serials), "zstd": zstd_size(serials)}
    others |= {"roaring": roaring_size(serials), "raw": serials.nbytes}
    figures = {"universe": universe, "listed": count, "limit_bytes": round(limit), "sealed_bytes": sealed}
    return figures | {"ratio": round(sealed / limit, 6), "others_bytes": others}


def full_lists(lists: list[tuple[int, int]] = FULL_LISTS) -> tuple[list[dict[str, Any]], list[Criterion]]:
    """Point 1: full lists over log2 C(N, R); where no limit is set the figures are shown alone."""
    figures = [_list_figures(*sizes) for sizes in lists]
    criteria = [
        Criterion(
            1, f"full list, {short(one['listed'])} of {short(one['universe'])}, over the limit", one["ratio"], limit
        )
        for one in figures
        if (limit := FULL_LIMITS.get((one["universe"], one["listed"])))
    ]
    return figures, criteria


def show_full_lists(figures: list[dict[str, Any]]) -> None:
    """Print our bytes above those of the limit, and what every coding takes over the limit."""
    title = "Full lists over log2 C(N, R). saifu with head, signature and seal; the others without any."
    table = Table("listed", "bytes", "saifu", "Rice", "xz\n-9e", "zstd\n-19", "roaring", "raw\nu32", title=title)
    for one in figures:
        sizes = [one["sealed_bytes"], *one["others_bytes"].values()]
        listed = f"{short(one['listed'])} of\n{short(one['universe'])}"
        ratios = (f"{size / one['limit_bytes']:.4f}" for size in sizes)
        table.add_row(listed, f"{one['sealed_bytes']:,}\n{one['limit_bytes']:,}", *ratios)
    Console().print(table)


def _run_figures(universe: int, count: int, share: float) -> dict[str, Any]:
    serials, bits = run_list(universe, count, share, seed=2)
    sealed = sealed_size(list_edition(serials, universe).content())
    others = {"xz": xz_size(serials), "zstd": zstd_size(serials), "brotli": brotli_size(serials)}
    figures = {"universe": universe, "listed": count, "share": share, "entropy_bytes": round(bits / 8)}
    ratios = {"ratio": round(8 * sealed / bits, 6), "over_best": round(sealed / min(others.values()), 6)}
    return figures | {"sealed_bytes": sealed, "others_bytes": others} | ratios


def run_lists(lists: list[tuple[int, int]] = RUN_LISTS) -> tuple[list[dict[str, Any]], list[Criterion]]:
    """Point 2: lists with stolen batches, over the entropy of what made them, and over the best compressor."""
    figures = [_run_figures(*sizes, share) for sizes in lists for share in SHARES]
    criteria = list[Criterion]()
    for one in figures:
        if (one["universe"], one["listed"]) == RUN_LIMITED:
            name = f"{one['share']:.0%} in runs, {short(one['listed'])} of {short(one['universe'])}"
            criteria.append(Criterion(2, f"{name}, over the entropy", one["ratio"], RUN_LIMIT))
            criteria.append(Criterion(2, f"{name}, over the best other", one["over_best"], 1))
    return figures, criteria


def show_run_lists(figures: list[dict[str, Any]]) -> None:
    """Print bytes, and what they are over the entropy."""
    title = (
        "Lists with runs: bytes, and times the entropy. saifu with head, signature and seal; the others without any."
    )
    table = Table("cards", "listed", "in runs", "entropy", "saifu", "xz -9e", "zstd -19", "brotli -11", title=title)
    for one in figures:
        sizes = [one["sealed_bytes"], *one["others_bytes"].values()]
        cells = [f"{size:,}\n{size / one['entropy_bytes']:.4f}" for size in sizes]
        row = (short(one["universe"]), short(one["listed"]), f"{one['share']:.0%}", f"{one['entropy_bytes']:,}")
        table.add_row(*row, *cells)
    Console().print(table)


def _delta_figures(universe: int, count: int, changes: int) -> dict[str, Any]:
    serials = uniform_list(universe, count, seed=1)
    old = list_edition(serials, universe)
    new = list_edition(changed_list(serials, universe, changes, seed=changes), universe, 2)
    limit = (information_limit(count, changes) + information_limit(universe - count, changes)) / 8
    sealed, most = sealed_size(new.delta_from(old)), limit * DELTA_FACTOR + DELTA_BYTES
    figures = {"universe": universe, "listed": count, "changes": changes, "limit_bytes": round(limit)}
    return figures | {"sealed_bytes": sealed, "at_most_bytes": int(most)}


def deltas(
    universe: int = 10**7, count: int = 10**5, changes: tuple[int, ...] = CHANGES
) -> tuple[list[dict[str, Any]], list[Criterion]]:
    """Point 3: deltas with as many cards taken off as put on; the limit is that of both sets."""
    figures = [_delta_figures(universe, count, one) for one in changes]
    criteria = [
        Criterion(3, f"delta of {one['changes']} off and on, bytes", one["sealed_bytes"], one["at_most_bytes"])
        for one in figures
    ]
    return figures, criteria
