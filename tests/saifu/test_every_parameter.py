"""Whatever is typed for any parameter of any command ends in a documented exit code and a sentence, in no traceback.

The cases are made from the command table, so that a parameter that is added tomorrow is tried as well.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from saifu.cli import app
from saifu.exit_codes import EXIT_CODES
from tests.saifu.shell import Shell

NUMBERS = (
    "", "0", "-1", "1_000", "1e400", "nan", "1.5", "\u0661\u0662", "1" * 5000,
    *(str(number) for number in (2**31, 2**32, 2**63, 2**64, 10**20)),
)  # fmt: skip
TEXTS = ("\x1b[2J", "two\nlines", "\u202ecod.exe", "\udcff", "x" * 5000)
DOCUMENTED = {code for code, _ in EXIT_CODES.values()} | {0, 1}

CARD = "00001-0000000002-4"
Command = Any
Parameter = Any
"""Typer does not export their types."""
GIVEN = {
    "reader": "model:none.card",
    "to": "model:none.card",
    "merchant": "model:none.card",
    "card": CARD,
    "counter": "1",
    "outcome": "received",
    "amount": "1.00",
    "action": "warn",
    "number": "1",
    "slot": "1",
    "holder": "Dai",
    "air": "udp:nowhere",
    "out": "gone/out",
    "image": "gone/none.card",
    "images": "none.card",
    "orders": "none.csv",
    "file": "none.jsonl",
    "files": "none.json",
    "old": "none.jsonl",
    "new": "none.jsonl",
    "commands": "00A40400",
    "target": "home",
}
"""What stands for a parameter that must be given, while another one is tried: nothing that takes long, or is there."""
BESIDE = {
    "center init": ["--passphrase-file=gone"],
    "personalize ceremony": ["--component=gone"],
}
"""What else is given so that a command is declined in the end, and makes no key store or center in earnest."""
LONG = {"doctor", "demo", "reader run"}
"""Commands that do much, or start daemons, whatever is given; their parameters are flags, choices and files."""


def leaves(group: Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Every command, with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*words, name))
            if command.invoke_without_command:
                yield (*words, name), command
        else:
            yield (*words, name), command


COMMANDS = {" ".join(words): command for words, command in leaves(typer.main.get_command(app))}


def is_flag(parameter: Parameter) -> bool:
    return bool(parameter.param_type_name == "option" and parameter.is_flag)


def line(words: str, command: Command, tried: Parameter, value: str) -> list[str]:
    """A command line in which one parameter is tried, and what else must be there is given."""
    beside = [text for text in BESIDE.get(words, []) if not text.startswith(tried.opts[0])]
    options, arguments = [*beside], list[str]()
    for each in command.params:
        if each is not tried and not each.required:
            continue
        text = value if each is tried else GIVEN[each.name]
        if each.param_type_name == "option":
            options += [f"{each.opts[0]}={text}"] if each.opts[0].startswith("--") else [each.opts[0], text]
        else:
            arguments.append(text)
    home = ["--home=gone"] if words == "center init" else []
    return [*home, *words.split(), *options, "--", *arguments]


SHARED = ("passphrase_file", "ca", "login", "certificate", "key", "keys", "profile")
"""Options that are one object, whichever command has it: tried with one."""


def cases() -> Iterator[tuple[str, str]]:
    """Every command with each of its parameters that takes a text."""
    seen = {"help"}
    for words, command in COMMANDS.items():
        for each in command.params:
            if words not in LONG and not is_flag(each) and each.name not in seen:
                yield words, each.name
            seen |= {each.name} & {*SHARED}


@pytest.fixture(scope="module")
def desk(made: Path) -> Shell:
    """The desk is not copied: what is tried here is declined, or written into folders that are not there."""
    return Shell(made)


def test_there_is_something_for_every_parameter_that_must_be_given() -> None:
    must = {each.name for command in COMMANDS.values() for each in command.params if each.required}
    assert must - GIVEN.keys() == set()


@pytest.mark.parametrize(("words", "name"), list(cases()))
def test_no_number_and_no_text_ends_in_a_traceback(desk: Shell, words: str, name: str) -> None:
    command = COMMANDS[words]
    (tried,) = [each for each in command.params if each.name == name]
    for value in (*NUMBERS, *TEXTS):
        arguments = line(words, command, tried, value)
        ran = desk.run(*arguments)  # an exception that nobody expected is one of the test's
        assert ran.code in DOCUMENTED, (arguments, ran)
        assert "Traceback" not in ran.err + ran.out, (arguments, ran)
        assert not ran.code or ran.err.startswith(("saifu: ", "warning: ")), (arguments, ran)
        said = ran.out + ran.err
        assert all(each.isprintable() or each == "\n" for each in said), (arguments, said)


@pytest.mark.parametrize("value", ["1_000", "\u0661", "1e2", "nan", str(10**20), "-1", "0x1"])
@pytest.mark.parametrize(
    "words",
    [
        "card history -r model:aoi.card --most={}",
        "--home new center init --issuer={}",
        "center edition -- {}",
        "center cases -- {}",
        f"center decide -- {CARD} {{}} received",
        "center broadcast --air udp --seconds={}",
        "center broadcast --air udp --rate={}",
        "terminal listen --air udp --seconds={}",
        "center retire-cipher-key --out k.json -- {}",
        "personalize ceremony --version={}",
        "personalize ceremony --bits={}",
        "conform blank new.card --history={}",
        "reader eject -- {}",
        "trace show none.jsonl --exchange={}",
    ],
)
def test_what_is_no_number_within_its_bounds_is_told_with_them(desk: Shell, words: str, value: str) -> None:
    if (value, "--rate" in words) == ("1e2", True):
        return
    ran = desk.run(*words.format(value).split())
    assert ran.code == 2
    assert "is no number from" in ran.fault
