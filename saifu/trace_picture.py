"""The picture of ``saifu trace browse`` for the documents: the demo is recorded, and its trace is browsed."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from textual.pilot import Pilot

from broadcast import children
from host.trace_readings import open_readings
from host.trace_screen import TraceApp

__all__ = ["picture"]

_SIZE = (112, 24)
"""Columns and lines."""
_KEYS = ("slash", *"sw:9502", "enter")
"""To the first payment that is declined."""
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def picture() -> str:
    """An SVG that needs no font from anywhere."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "demo.jsonl"
        command = [sys.executable, "-m", "saifu", "--trace", str(trace), "demo", "--json"]
        children.run(command, check=True, stdout=subprocess.DEVNULL)
        with open_readings(trace) as (form, readings):
            screen = TraceApp(trace.name, form, readings)
            shown: list[str] = []

            async def look(pilot: Pilot[object]) -> None:
                """Press the keys, and take the picture."""
                await screen.workers.wait_for_complete()
                await pilot.press(*_KEYS)
                await pilot.pause()
                shown.append(screen.export_screenshot(title=f"saifu trace browse {trace.name}"))
                screen.exit()

            screen.run(headless=True, size=_SIZE, auto_pilot=look)
    return _FONTS.sub("", shown[0])
