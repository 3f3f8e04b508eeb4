"""The documents say what the program does: generated regions, checks of each command, patent map, flows."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from apdu.commands import COMMANDS, GENERAL_STATUS, Command
from apdu.payload import Tag
from host.terminal.steps import Step
from saifu.demo import Demo
from saifu.diagrams import FLOWS
from saifu.documents import REGIONS, ROOT, pages, render, stale_pages
from saifu.reference_tables import TAG_CONTENT
from saifu.tables import InProcessTable

PROTOCOL = (ROOT / "docs/reference/protocol.md").read_text("utf-8")
PATENT_MAP = (ROOT / "docs/explanation/patent-map.md").read_text("utf-8")


def test_generated_regions_are_what_the_code_says() -> None:
    assert stale_pages() == []


def test_check_names_a_page_that_is_out_of_date(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "page.md"
    page.write_text("<!-- generated: dgis -->\nold\n<!-- end of generated -->\n")
    assert stale_pages(tmp_path) == [page]
    page.write_text(render(page.read_text()))
    assert stale_pages(tmp_path) == []


def test_check_runs_from_the_command_line() -> None:
    check = [sys.executable, "-m", "saifu.documents", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_region_is_on_a_page() -> None:
    text = "".join(path.read_text("utf-8") for path in pages())
    assert [name for name in REGIONS if f"<!-- generated: {name} -->" not in text] == []


def test_every_tag_has_its_content() -> None:
    assert set(TAG_CONTENT) == set(Tag)


def section(row: Command) -> str:
    """What stands under the heading of a command, without what is generated."""
    start = PROTOCOL.index(f"\n### {row.name}\n")
    text = PROTOCOL[start : PROTOCOL.index("\n##", start + 5)]
    return re.sub(r"<!-- generated: .*?<!-- end of generated -->", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_checks_of_a_command_name_all_its_status_words(row: Command) -> None:
    written = {int(word, 16) for word in re.findall(r"\b(?:6[2-9A-F]|9[45])[0-9A-F]{2}\b", section(row))}
    own = {int(word) for word in row.status}
    assert own - written == set()
    assert written - own - {int(word) for word in GENERAL_STATUS} - {0x9501} == set()


def test_what_the_patent_map_names_exists() -> None:
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.py)(?:::(\w+))?`", PATENT_MAP)
    assert len(named) > 50
    for file, test in named:
        assert (ROOT / file).is_file(), file
        assert not test or f"def {test}(" in (ROOT / file).read_text("utf-8"), f"{file}::{test}"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_tests_that_other_pages_name_exist(page: Path) -> None:
    for file, test in re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.py)::(\w+)`", page.read_text("utf-8")):
        assert f"def {test}(" in (ROOT / file).read_text("utf-8"), f"{file}::{test}"


def test_the_patent_map_goes_through_claims_figures_and_steps() -> None:
    claims = PATENT_MAP.split("## Claims")[1].split("## Figures")[0]
    rows = re.findall(r"^\| ([\d, ]+) \|", claims, re.MULTILINE)
    assert sorted(int(claim) for row in rows for claim in row.split(",")) == list(range(1, 14))
    assert all(f"| {figure} " in PATENT_MAP or f"| {figure}, " in PATENT_MAP for figure in range(1, 9))
    assert all(f"{step.name}[" in PATENT_MAP or f"{step.name}{{" in PATENT_MAP for step in Step)


class _Steps:
    """A display that remembers the steps of each part of the demo."""

    def __init__(self) -> None:
        self.parts: dict[str, list[Step]] = {}
        self._part = ""

    def step(self, step: Step, detail: str = "") -> None:
        del detail
        self.parts[self._part].append(step)

    def show(self, text: str) -> None:
        if heading := re.match(r"\d+\. (.*) \(fig\. \d\)$", text):
            self._part = heading[1]
            self.parts[self._part] = []


@pytest.fixture(scope="module")
def demo_steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Step]]:
    display = _Steps()
    demo = Demo(tmp_path_factory.mktemp("demo"), InProcessTable(), display)
    try:
        assert demo.run()
    finally:
        demo.close()
    titles = {title: name for name, _, title in Demo.STEPS}
    return {titles[title]: steps for title, steps in display.parts.items()}


@pytest.mark.parametrize(
    ("part", "figure"),
    [("remit", "2"), ("insertion_check", "3"), ("pos_sale", "5"), ("pos_too_little", "5"), ("listed_card", "2")],
)
def test_terminals_walk_as_the_diagrams_say(part: str, figure: str, demo_steps: dict[str, list[Step]]) -> None:
    arrows = {(one, other) for one, other, _ in FLOWS[figure]}
    ejecting = {(Step.S110, Step.S110), (Step.S313, Step.S313)}
    walked = demo_steps[part]
    assert walked[0] is FLOWS[figure][0][0]
    assert [pair for pair in pairwise(walked) if pair not in arrows | ejecting] == []
    assert not any(one is walked[-1] for one, _ in arrows)


def test_every_step_is_in_a_diagram() -> None:
    assert {step for arrows in FLOWS.values() for one, other, _ in arrows for step in (one, other)} == set(Step)
