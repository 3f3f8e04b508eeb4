"""Reference of the command line, its exit codes and the errors behind them, made from the program itself."""

from collections.abc import Callable, Iterator
from typing import Any

import typer.main

import apdu.errors
from apdu.errors import SaifuError
from apdu.status import StatusError
from saifu.cli import app
from saifu.exit_codes import EXIT_CODES, exit_code
from saifu.reference_tables import table

__all__ = ["REGIONS"]

_NO_DEFAULT = (None, False, "")


def _leaves(group: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  (typer does not export its types)
    """Every command below a group, with the words that call it."""
    for name, command in sorted(group.commands.items()):
        words = f"{path} {name}"
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield words, command
            yield from _leaves(command, words)
        else:
            yield words, command


def _usage(words: str, command: Any) -> str:  # noqa: ANN401
    arguments = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = parameter.name.upper() + ("…" if parameter.nargs == -1 else "")
            arguments.append(name if parameter.required else f"[{name}]")
    must = [f"{each.opts[0]} …" for each in command.params if each.param_type_name == "option" and each.required]
    return " ".join([words, *arguments, *must, "[options]"])


def _parameters(command: Any) -> str:  # noqa: ANN401
    rows = []
    for each in command.params:
        if each.name == "help":
            continue
        option = each.param_type_name == "option"
        name = ", ".join(f"`{text}`" for text in each.opts) if option else f"`{each.name.upper()}`"
        value = getattr(each.default, "value", each.default)  # of an enumeration
        default = "must be given" if each.required else "" if value in _NO_DEFAULT else f"`{value}`"
        rows.append((name, each.help or "", default))
    return table(("", "", "default"), rows)


def _command_line() -> str:
    group: Any = typer.main.get_command(app)
    parts = [f"## saifu\n\n{group.help}\n\n{_parameters(group)}"]
    for words, command in _leaves(group, "saifu"):
        text = " ".join((command.help or "").split())
        parts.append(f"## {words}\n\n{text}\n\n```\n{_usage(words, command)}\n```\n\n{_parameters(command)}")
    return "\n\n".join(parts)


def _exit_codes() -> str:
    rows = [("0", "done", "")]
    for kind, (code, text) in sorted(EXIT_CODES.items(), key=lambda row: row[1][0]):
        rows.append((str(code), text, kind.__name__))
    rows.append(("130", "interrupted with Ctrl-C", ""))
    return table(("code", "meaning", "error"), rows)


def _errors() -> str:
    """The tree of errors, with the exit code of each."""
    known = {getattr(apdu.errors, name) for name in apdu.errors.__all__} | {StatusError}

    def branch(kind: type[SaifuError], depth: int) -> Iterator[str]:
        """A class and those below it, one line each."""
        text = (kind.__doc__ or "").split("\n", 1)[0]
        yield f"{'  ' * depth}- `{kind.__name__}` ({exit_code(kind.__new__(kind))}): {text}"
        for below in sorted((each for each in known if each.__base__ is kind), key=lambda each: each.__name__):
            yield from branch(below, depth + 1)

    return "\n".join(branch(SaifuError, 0))


REGIONS: dict[str, Callable[[], str]] = {
    "command line": _command_line,
    "exit codes": _exit_codes,
    "errors": _errors,
}
"""Regions by name."""
