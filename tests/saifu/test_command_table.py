"""Commands are loaded when they are called: nobody waits for a database to look at a card."""

import json
import subprocess
import sys
from importlib import import_module

import pytest
import typer.main

from saifu.cli import app
from saifu.command_table import COMMANDS
from tests.saifu.shell import ROOT

SLOW = {"sqlalchemy", "numpy", "constriction", "raptorq", "httpx", "paho", "starlette", "uvicorn", "cwt", "textual"}
"""What takes long to import."""

_PROGRAM = """
import json, sys
from saifu.cli import main
try:
    main()
finally:
    print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})), file=sys.stderr)
"""


def loaded(*arguments: str) -> set[str]:
    """What has been imported when a command has shown its help."""
    command = [sys.executable, "-c", _PROGRAM, *arguments, "--help"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(ran.stderr.splitlines()[-1]))


@pytest.mark.parametrize("words", ["card show", "trace show", "trace browse", "apdu", "reader run", "personalize one"])
def test_a_command_loads_nothing_slow_that_it_does_not_need(words: str) -> None:
    found = loaded(*words.split())
    assert "saifu" in found
    assert not found & SLOW


@pytest.mark.parametrize("words", ["pos sell", "pos sales", "remit"])
def test_terminals_need_no_database_of_the_centers(words: str) -> None:
    assert "sqlalchemy" not in loaded(*words.split())


def test_who_keeps_no_sales_loads_no_database() -> None:
    assert not loaded("remit") & {"sqlalchemy", "sqlite3"}
    assert "sqlite3" in loaded("pos", "sell")


def test_what_a_command_needs_is_loaded_for_it() -> None:
    assert {"sqlalchemy", "numpy", "httpx"} <= loaded("center", "init")


@pytest.mark.parametrize("place", COMMANDS.values())
def test_what_the_table_names_is_there(place: str) -> None:
    module, _, attribute = place.partition(":")
    assert attribute in import_module(module).__all__


def test_all_commands_are_counted_and_looked_into() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    assert list(group.commands) == list(COMMANDS)
    assert {name: command.name for name, command in group.commands.items()} == {name: name for name in COMMANDS}
    assert "nothing" not in group.commands
    assert group.commands.get("nothing") is None
