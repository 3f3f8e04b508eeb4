"""``saifu trace stats`` and the comparison of two traces, as a user sees them."""

import json
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from apdu.errors import InputError
from apdu.trace.model import Exchange, Reset
from host.trace_compare_cli import compare, stats
from tests.apdu.trace.recorded import items_of, record

HEADER = '{"format": "saifu trace 1", "program": "test"}'

app = typer.Typer()
app.command()(stats)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traces")
    record(folder / "one.jsonl")
    record(folder / "two.jsonl")
    return folder


def spoilt(folder: Path) -> Path:
    """The first trace, with another balance in one answer and without its last line."""
    lines = (folder / "one.jsonl").read_text().splitlines()
    place = next(n for n, line in enumerate(lines) if "6F1E8406F05341494655" in line)
    lines[place] = lines[place].replace("00004E20", "00004E21")
    path = folder / "spoilt.jsonl"
    path.write_text("\n".join(lines[:-2]) + "\n")
    return path


def test_figures_for_people(folder: Path) -> None:
    ran = run(folder / "one.jsonl")
    assert ran.exit_code == 0
    lines = ran.stdout.splitlines()
    assert lines[0].split()[:3] == ["slot", "exchanges", "resets"]
    assert [line.split()[0] for line in lines[1:4]] == ["left", "right", "all"]
    (pay,) = [line for line in lines if line.startswith("PAY (saifu)")]
    assert "9000 1" in pay
    assert "paid with PAY: 60.00 EUR" in lines
    assert any(line.startswith("on a J3R180") for line in lines)
    assert not any(line.endswith("…") or len(line) > 240 for line in lines)


@pytest.mark.parametrize(("width", "brief"), [(80, True), (160, False)])
def test_a_narrow_terminal_has_fewer_columns_and_whole_numbers(width: int, brief: bool, folder: Path) -> None:
    terminal = {"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": str(width), "LINES": "24"}
    lines = CliRunner().invoke(app, [str(folder / "one.jsonl")], env=terminal).stdout
    plain = re.sub(r"\x1b\[[0-9;]*m", "", lines).splitlines()
    assert max(map(len, plain)) <= width
    assert "…" not in lines
    (titles,) = [line.split() for line in plain if line.startswith("command")]
    assert ("J3R180" not in titles) is ("sent" not in titles) is brief
    document = json.loads(run(folder / "one.jsonl", "--json").stdout)
    (pay,) = [line.split() for line in plain if line.startswith("PAY (saifu)")]
    (figures,) = [each for each in document["commands"] if each["name"] == "PAY"]
    assert pay[2] == str(figures["count"])
    assert pay[-2:] == ["9000", "1"]


def test_figures_as_a_document(folder: Path) -> None:
    document = json.loads(run(folder / "one.jsonl", "--json").stdout)
    said = [item for item in items_of(folder / "one.jsonl") if isinstance(item, Exchange)]
    assert document["exchanges"] == len(said) == sum(each["count"] for each in document["commands"])
    assert document["form"] == "saifu"
    assert set(document["modelled"]) == {"J3R180", "J3H145"}
    assert {"min", "median", "p90", "max", "sum", "count"} == set(document["times"])


def test_one_slot_and_one_card(folder: Path) -> None:
    document = json.loads(run(folder / "one.jsonl", "--json", "--slot", "RIGHT", "--card", "J3H145").stdout)
    said = [each for each in items_of(folder / "one.jsonl") if isinstance(each, Exchange) and each.slot == "right"]
    assert document["exchanges"] == len(said)
    assert [each["slot"] for each in document["slots"]] == ["right"]
    assert set(document["modelled"]) == {"J3H145"}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("one.jsonl", "--card", "J4"), "J3R180"),
        (("one.jsonl", "--slot", "middle"), "middle"),
        (("nothing.jsonl",), "nothing.jsonl"),
    ],
)
def test_bad_input(folder: Path, arguments: tuple[str, ...], word: str) -> None:
    ran = run(folder / arguments[0], *arguments[1:])
    assert isinstance(ran.exception, InputError)
    assert word in str(ran.exception)


def test_a_slot_cannot_steer_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(HEADER + '\n{"command": "00CA0100", "response": "9000", "slot": "\\u001b[2J[red]"}\n')
    ran = run(path)
    assert "\x1b" not in ran.stdout
    assert "\\x1b[2J[red]" not in ran.stdout.splitlines()[0]
    assert json.loads(run(path, "--json").stdout)["slots"][0]["slot"] == "\x1b[2J[red]"


def test_two_runs_of_the_same_business(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(folder / "one.jsonl", folder / "two.jsonl")
    (line,) = capsys.readouterr().out.splitlines()
    assert "0 differ" in line
    assert "free fields differ" in line


def test_the_first_difference_is_at_the_top(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not compare(folder / "one.jsonl", spoilt(folder))
    lines = capsys.readouterr().out.splitlines()
    assert "deviates from" in lines[0]
    assert lines[1].split()[:4] == ["-", "2", "left", "SELECT"]
    assert lines[2].split()[:4] == ["+", "2", "left", "SELECT"]
    assert [line.strip() for line in lines[3:6]] == [
        "answer: 81 status, balance",
        "was  00004E20  20000 minor units",
        "is   00004E21  20001 minor units",
    ]
    assert "the same, 1 differ, 1 are only in the old trace" in lines[-1]


def test_differences_as_a_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not compare(folder / "one.jsonl", spoilt(folder), as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["first"] == document["differences"][0]
    assert document["first"]["old"]["number"] == 2
    assert document["first"]["fields"][0]["new"] == {"bytes": "00004E21", "words": "20001 minor units"}
    assert (document["equal"], document["different"], document["only_old"]) == (False, 1, 1)
    assert document["differences"][1]["new"] is None


def test_strict_is_strict(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not compare(folder / "one.jsonl", folder / "two.jsonl", strict=True)
    assert "nonce" in capsys.readouterr().out
    assert compare(folder / "one.jsonl", folder / "one.jsonl", strict=True)


def test_pins_of_other_programs_traces_are_not_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / name for name in ("one", "two")]
    for path, pin in zip(paths, ("31323334FFFFFFFF", "39393939FFFFFFFF"), strict=True):
        path.write_text(f'{HEADER}\n{{"command": "0020008108{pin}", "response": "9000"}}\n{{"reset": "3B{pin[:2]}"}}\n')
    assert not compare(*paths, strict=True)
    out = capsys.readouterr().out
    assert "answer to reset" in out
    assert "31323334" not in out
    assert "39393939" not in out


def test_standard_input_is_read_once(folder: Path) -> None:
    with pytest.raises(InputError, match="standard input"):
        compare(Path("-"), Path("-"))
    with pytest.raises(InputError, match="missing"):
        compare(folder / "one.jsonl", folder / "missing")


def test_the_trace_is_real(folder: Path) -> None:
    assert sum(isinstance(item, Reset) for item in items_of(folder / "one.jsonl")) == 3
