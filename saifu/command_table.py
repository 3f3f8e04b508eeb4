"""The commands of all rooms, each loaded when it is called: databases, numbers and radio take long to import."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
import typer.core
import typer.main

import host.cli

__all__ = ["COMMANDS", "Rooms"]

COMMANDS = {
    "personalize": "personalization.cli:app",
    **host.cli.COMMANDS,
    "trace": "saifu.conformance.trace_cli:app",
    "center": "center.cli:app",
    "demo": "saifu.demo_cli:demo",
    "conform": "saifu.conformance.cli:app",
}
"""Groups and commands, in the order of the help, and where each is: a Typer, or a function."""


@cache
def _loaded(name: str) -> Any:  # noqa: ANN401  (typer does not export its types)
    module, _, attribute = COMMANDS[name].partition(":")
    found, parent = getattr(import_module(module), attribute), typer.Typer()
    if isinstance(found, typer.Typer):
        parent.add_typer(found, name=name)
    else:
        parent.command(name)(found)
    return typer.main.get_group(parent).commands[name]


class _Commands(Mapping[str, Any]):
    """Looked into, it loads; counted and listed, it does not."""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401
        return _loaded(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS


class Rooms(typer.core.TyperGroup):
    """The group of all commands."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401
        """``settings`` are typer's; of the commands it knows none yet."""
        super().__init__(**settings | {"commands": _Commands()})
