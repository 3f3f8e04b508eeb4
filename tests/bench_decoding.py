"""``python -m tests.bench_decoding FILE``: decode one capture and print the figures, in a process of its own."""

import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from apdu.trace.detection import read
from apdu.trace.inspector import inspect
from apdu.trace.model import Exchange
from apdu.trace.reading import summary
from tests.fuzz.report import peak_mebibytes

__all__ = ["decode"]

_PIECE = 1 << 16


def decode(file: Path) -> dict[str, Any]:
    """Tell every item of a capture in one line, to nobody; how many there are, how long it took, peak memory."""
    exchanges, unexpected, begin = 0, 0, time.perf_counter()
    with file.open("rb") as capture, Path(os.devnull).open("w") as nobody:
        _, items = read(iter(partial(capture.read, _PIECE), b""))
        for reading in inspect(items):
            nobody.write(summary(reading) + "\n")
            exchanges += isinstance(reading.item, Exchange)
            unexpected += bool(reading.unexpected)
    seconds = time.perf_counter() - begin
    return {"exchanges": exchanges, "unexpected": unexpected, "seconds": seconds, "peak_mib": peak_mebibytes()}


if __name__ == "__main__":
    print(json.dumps(decode(Path(sys.argv[1]))))
