"""The generated regions of the documents: ``python -m saifu.documents`` writes them, ``--check`` compares them.

A region of a page stands between ``<!-- generated: NAME -->`` and ``<!-- end of generated -->``; what is in
between comes from the tables in the code, so that a page cannot say something else than the program does.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from apdu.errors import InputError, SaifuError
from broadcast import children
from saifu import air_examples, air_tables, command_line_pages, diagrams, examples, reference_tables
from saifu.trace_picture import picture

__all__ = ["REGIONS", "main", "pages", "render", "stale_pages"]

ROOT = Path(__file__).resolve().parent.parent
PICTURE, BROWSED = "docs/images/demo.svg", "docs/images/trace-browse.svg"
_REGION = re.compile(r"(<!-- generated: (?P<name>[^>]+?) -->\n).*?(<!-- end of generated -->)", re.DOTALL)

REGIONS: dict[str, Callable[[], str]] = (
    reference_tables.REGIONS
    | diagrams.REGIONS
    | examples.REGIONS
    | command_line_pages.REGIONS
    | air_examples.REGIONS
    | air_tables.REGIONS
)
"""Every region by its name."""


MEASURED = frozenset({"bench"}) | air_tables.MEASURED
"""Regions that tell of this machine: written where there is something to tell, never compared."""


def render(text: str, leave: frozenset[str] = frozenset()) -> str:
    """Return a page with its regions made anew but for some; raises InputError for one that nobody makes."""

    def region(match: re.Match[str]) -> str:
        """The region made anew, or as it stands when there is nothing to say."""
        name = match["name"]
        if name not in REGIONS:
            raise InputError(f"nothing makes the region {name!r}; known are {', '.join(sorted(REGIONS))}")
        content = "" if name in leave else REGIONS[name]().rstrip()
        return f"{match[1]}{content}\n{match[3]}" if content else match[0]

    return _REGION.sub(region, text)


def pages(root: Path = ROOT) -> Iterator[Path]:
    """The pages that have regions; raises InputError where there are no documents, as in an installed package."""
    if not (root / "docs").is_dir():
        raise InputError(f"{root} has no docs folder: run this in a clone of the repository")
    for path in (root / "README.md", *sorted((root / "docs").rglob("*.md"))):
        if path.exists() and _REGION.search(path.read_text(encoding="utf-8")):
            yield path


def stale_pages(root: Path = ROOT) -> list[Path]:
    """Pages whose regions are not what the code says now."""
    return [path for path in pages(root) if (text := path.read_text(encoding="utf-8")) != render(text, MEASURED)]


def _write(root: Path) -> None:
    for path in pages(root):
        before = path.read_text(encoding="utf-8")
        if (text := render(before)) != before:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"{path.relative_to(root)}: written")
    command = [sys.executable, "-c", "from saifu.cli import main; main()", "demo", "--svg", str(root / PICTURE)]
    children.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
    (root / BROWSED).write_text(picture(), encoding="utf-8", newline="\n")


def main(arguments: Sequence[str] = ()) -> int:
    """Write all pages and the picture, or with ``--check`` name the pages that are out of date and return 1."""
    if tuple(arguments) not in ((), ("--check",)):
        print("usage: python -m saifu.documents [--check]", file=sys.stderr)
        return 2
    try:
        if not arguments:
            _write(ROOT)
            return 0
        stale = stale_pages()
    except SaifuError as error:
        print(f"saifu.documents: {error}", file=sys.stderr)
        return 1
    for path in stale:
        print(f"{path.relative_to(ROOT)} is out of date: make docs", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
