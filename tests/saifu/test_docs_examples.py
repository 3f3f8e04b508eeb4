"""What README and tutorial show is run for real; links lead somewhere; nothing names the machine it was written on."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from center.witness import WITNESS_VARIABLE
from saifu.documents import ROOT

RUN_PAGES = {
    "README.md": (),
    "docs/tutorials/first-purse.md": (),
    "docs/how-to/conformance.md": (),
    "docs/how-to/personalize.md": (),
    "docs/how-to/traces.md": (),
    "docs/how-to/backup-and-restore.md": (),
    "docs/how-to/broadcast.md": ("minimodem", "multimon-ng", "mosquitto", "mosquitto_passwd", "openssl"),
}
"""The programs that each page wants."""
PORTS = ("8470", "8883")
"""Ports of the pages, for which free ones are taken."""
PAGES = sorted(path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
MARK = "=-=-= next command"
ANY_LINES = "…"
TOLERATED = [
    (re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}"), "DATE"),
    (re.compile(r"\d+ (minute|hour|day)s? ago"), "AGE ago"),
    (re.compile(r"check value [0-9A-F]{6}"), "check value"),
    (re.compile(r"^packets: \d.*"), "packets"),
]
"""What differs from run to run."""


def console_blocks(text: str) -> str:
    return "".join(re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def examples(text: str) -> list[tuple[str, list[str]]]:
    """Every ``$`` line with the lines that are shown below it."""
    found: list[tuple[str, list[str]]] = []
    for line in console_blocks(text).splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def tolerant(line: str) -> str:
    for pattern, instead in TOLERATED:
        line = pattern.sub(instead, line)
    return line.rstrip()


def agrees(shown: list[str], said: list[str]) -> bool:
    """Whether the output is as shown; ``…`` stands for any lines, and nothing shown for any output."""
    if not shown:
        return True
    if shown[0] == ANY_LINES:
        return any(agrees(shown[1:], said[i:]) for i in range(len(said) + 1)) if shown[1:] else True
    if not said or tolerant(shown[0]) != tolerant(said[0]):
        return False
    return agrees(shown[1:], said[1:]) if shown[1:] else len(said) == 1


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment with this saifu on the PATH, and none of the user's settings."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "saifu"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m saifu "$@"\n')
    command.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAIFU_")}
    places = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return kept | places | {WITNESS_VARIABLE: str(tmp_path / "witness")}


def missing(programs: tuple[str, ...]) -> list[str]:
    """Those of the programs that are not here; Debian has some where not everybody looks."""
    path = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"))
    return [name for name in programs if not shutil.which(name, path=path)]


def with_free_ports(text: str) -> str:
    """A page's text with ports that nobody has."""
    for port in PORTS:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            text = text.replace(port, str(free.getsockname()[1]))
    return text


def run(commands: list[str], folder: Path, environment: dict[str, str]) -> list[list[str]]:
    """Output of each command, all in one shell."""
    script = "".join(f"printf '%s\\n' '{MARK}'\n{command}\n" for command in commands)
    done = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{script}"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return [part.strip("\n").splitlines() for part in done.stdout.split(f"{MARK}\n")[1:]]


@pytest.mark.skipif(sys.platform == "win32", reason="the examples are for a POSIX shell")
@pytest.mark.slow
@pytest.mark.parametrize("page", RUN_PAGES)
def test_examples_do_what_is_shown(page: str, environment: dict[str, str], tmp_path: Path) -> None:
    if lacking := missing(RUN_PAGES[page]):
        pytest.skip(f"not installed: {', '.join(lacking)}")
    shown = examples(with_free_ports((ROOT / page).read_text("utf-8")))
    folder = tmp_path / "empty"
    folder.mkdir()
    said = run([command for command, _ in shown], folder, environment)
    assert len(said) == len(shown)
    for (command, lines), output in zip(shown, said, strict=True):
        assert agrees(lines, output), f"$ {command}\nis shown with\n{lines}\nand says\n{output}"
        assert "Traceback" not in "".join(output)


def test_the_readme_is_ten_lines_that_end_in_a_balance() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    block = console_blocks(text).splitlines()
    assert len(block) == 10
    assert block[-1].split()[0] == "balance"
    assert text.index("```console") < text.index("\n## ")


def test_comparison_bites() -> None:
    assert not agrees(["a", "b"], ["a"])
    assert not agrees(["a"], ["a", "b"])
    assert not agrees(["…", "b"], ["a"])
    assert not agrees(["12.50 EUR"], ["12.51 EUR"])
    assert agrees(["…", "b"], ["a", "a", "b"])
    assert agrees(["issued 0 minutes ago"], ["issued 1 minute ago"])
    assert agrees(["at 2026-01-01 10:00"], ["at 2027-02-03 11:12"])


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    seen: dict[str, int] = {}
    made = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        made.add(f"{slug}-{count}" if count else slug)
        seen[slug] = count + 1
    return made


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(found), f"{page.name}: {target}"


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)#\s:]+)", page.read_text("utf-8"))
        waiting += [(page.parent / link).resolve() for link in links if (page.parent / link).exists()]
    assert [path for path in PAGES if path not in reached] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages_name_no_machine(page: Path) -> None:
    text = page.read_text("utf-8")
    assert str(ROOT) not in text
    assert not re.search(r"/(?:work|root|usr/local/lib|home/(?!anna\b)\w+)/", text)
    assert not re.search(r"\blocalhost:\d|\b(?:10|192\.168)\.\d+\.\d+", text)
