"""``saifu demo``: the patent's story as a terminal's display would show it."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from apdu.counting import counted
from host.terminal.steps import Step
from host.virtual.reader import VirtualReader
from saifu.demo import Demo
from saifu.demo_air import Air, open_link
from saifu.tables import InProcessTable, PcscTable, Table

__all__ = ["demo"]

_WIDTH = 92


class _Screen:
    """A display that collects what belongs together and shows it in a frame."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._title = ""
        self._lines: list[Text] = []

    def step(self, step: Step, detail: str = "") -> None:
        """Keep a line for a step."""
        text = Text.assemble((f"{step.name}  ", "bold cyan"), step.text)
        if detail:
            text.append(f": {detail}", "green")
        self._lines.append(text)

    def show(self, text: str) -> None:
        """Keep a line; a heading begins a new frame."""
        if text[:1].isdigit() and ". " in text[:4]:
            self.flush()
            self._title = text
            return
        self._lines.append(Text(f"      {text}", "yellow" if text.isupper() else ""))

    def flush(self) -> None:
        """Show the frame."""
        if self._title:
            frame = Panel(Text("\n").join(self._lines), title=self._title, title_align="left", width=_WIDTH)
            self._console.print(frame)
        self._lines = []


@contextmanager
def _table(pcsc: bool) -> Iterator[Table]:
    if not pcsc:
        yield InProcessTable()
        return
    with VirtualReader() as reader:
        yield PcscTable(reader)


def demo(
    pcsc: Annotated[bool, typer.Option("--pcsc", help="Over a private pcscd and two virtual readers.")] = False,
    air: Annotated[
        Air | None, typer.Option("--air", help="Carry the blacklist by multicast, sound, pager, or the public line.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", help="Also save what is shown as a picture.")] = None,
) -> None:
    """Show the whole story: two people, a shop, a thief, the center; exit code 1 if anything is not as it must be."""
    shown = StringIO() if as_json else None  # a quiet console would record nothing for the picture
    console = Console(record=svg is not None, file=shown, width=_WIDTH if svg else None)
    screen = _Screen(console)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="saifu-demo-")))
        table = stack.enter_context(_table(pcsc))
        link = stack.enter_context(open_link(air, folder / "air", screen.show)) if air else None
        run = Demo(folder, table, screen, link)
        try:
            run.run()
        finally:
            run.close()
        screen.flush()
        document = run.document()
    console.print(_summary(document, table.name))
    if svg is not None:
        console.save_svg(str(svg), title="saifu demo")
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
    if not document["ok"]:
        raise typer.Exit(1)


def _summary(document: dict[str, Any], where: str) -> Text:
    value = document["value"]
    issued, unsettled = value.get("issued", 0), value.get("unsettled", 0)
    held = sum(value.get("balances", {}).values())
    money = f"{issued / 100:.2f} EUR issued, {held / 100:.2f} on cards, {unsettled / 100:.2f} on the way"
    good = sum(step["ok"] for step in document["steps"])
    verdict = "all as it must be" if document["ok"] else "NOT AS IT MUST BE"
    return Text(
        f"{counted(good, 'step')}, {where}: {verdict}. {money}.", "bold green" if document["ok"] else "bold red"
    )
