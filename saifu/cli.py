"""``saifu``: the command line of all rooms, and the one place where errors become exit codes."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

import center.cli
import host.cli
import personalization.cli
from apdu.errors import SaifuError
from center.line import LocalLine
from host.terminal.line import CenterLine
from personalization.issuer_line import IssuerLine
from saifu import __version__
from saifu.demo_cli import demo
from saifu.exit_codes import exit_code

__all__ = ["app", "main"]

app = typer.Typer(
    name="saifu",
    help="saifu, an offline electronic purse that one can run on a desk.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


class FrontDoor(personalization.cli.IssuerDesk):
    """The desk: everything under one home folder, the center in this process."""

    @contextmanager
    def line(self) -> Iterator[CenterLine]:
        """The line to the center; asks for its passphrase."""
        with center.cli.open_center(self.center_folder) as opened:
            yield LocalLine(opened)

    @contextmanager
    def issuer_line(self, passphrase_file: Path | None) -> Iterator[IssuerLine]:
        """The line for certificates."""
        with center.cli.open_center(self.center_folder, passphrase_file) as opened:
            yield opened


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"saifu {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[
        Path | None, typer.Option("--home", envvar="SAIFU_HOME", help="Folder for center, keys and terminal.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Set the desk up for the command that follows."""
    del version
    context.obj = FrontDoor(home or Path(typer.get_app_dir("saifu")))


personalization.cli.add_to(app)
host.cli.add_to(app)
center.cli.add_to(app)
app.command()(demo)


def main() -> None:
    """Run the command line; an error of saifu's becomes one clear text and its exit code."""
    try:
        app()
    except SaifuError as error:
        code = exit_code(error)
        if "--json" in sys.argv:
            document = {"error": {"kind": type(error).__name__, "message": str(error), "exit_code": code}}
            typer.echo(json.dumps(document, ensure_ascii=False))
        typer.echo(f"saifu: {error}", err=True)
        sys.exit(code)
    except KeyboardInterrupt:
        typer.echo("saifu: interrupted", err=True)
        sys.exit(130)
