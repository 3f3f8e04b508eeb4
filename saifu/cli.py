"""``saifu``: the command line of all rooms, and the one place where errors become exit codes."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from apdu.errors import InputError, SaifuError, StoreError
from host.card_cli import UnexpectedAnswerError
from host.console import say
from host.patience import PATIENCE, PATIENCE_SECONDS, Patience
from host.recording import TRACE, TraceFile
from host.terminal.line import CenterLine
from personalization.desk import IssuerDesk
from personalization.issuer_line import IssuerLine
from saifu import __version__
from saifu.command_table import Rooms
from saifu.exit_codes import exit_code

__all__ = ["app", "main"]

app = typer.Typer(
    name="saifu",
    cls=Rooms,
    help="saifu, an offline electronic purse that one can run on a desk. See it work: saifu demo. "
    "Begin yourself: saifu center init.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


class FrontDoor(IssuerDesk):
    """The desk: everything under one home folder, the center in this process, loaded when it is asked."""

    @contextmanager
    def line(self) -> Iterator[CenterLine]:
        """The line to the center; asks for its passphrase."""
        from center.line import LocalLine
        from center.opening import open_center

        with open_center(self.center_folder) as opened:
            yield LocalLine(opened)

    @contextmanager
    def issuer_line(self, passphrase_file: Path | None) -> Iterator[IssuerLine]:
        """The line for certificates."""
        from center.opening import open_center

        with open_center(self.center_folder, passphrase_file) as opened:
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
    trace: Annotated[
        Path | None, typer.Option("--trace", help="Record what goes to cards and comes back, without PINs and keys.")
    ] = None,
    patience: Annotated[
        int,
        typer.Option(
            min=1, max=3600, help="Seconds to wait for a card that is silent, or a reader or float that others hold."
        ),
    ] = int(PATIENCE_SECONDS),
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Set the desk up for the command that follows."""
    del version
    if trace == Path("-"):
        raise InputError("--trace - : a trace goes on while the command prints, and needs a file of its own")
    TRACE.set(context.with_resource(TraceFile(trace, f"saifu {__version__}")) if trace else None)
    PATIENCE.set(Patience(patience, lambda text: say(text, error=True)))
    context.obj = FrontDoor(home or Path(typer.get_app_dir("saifu")))


def main() -> None:
    """Run the command line; whatever goes wrong becomes one clear text and an exit code, with --json a document."""
    os.umask(os.umask(0o022) | 0o022)  # whatever is made here or in a child, others cannot write to it
    try:
        code = app(prog_name="saifu", standalone_mode=False) or 0
    except SaifuError as error:
        code = _fail(error)
    except OSError as error:
        code = _fail(StoreError(f"{error.filename or 'the system'}: {error.strerror or error}"))
    except typer.Abort:
        code = _fail(InputError("a question was not answered: the input has ended"))
    except typer.TyperException as error:
        # with no text, help was asked for by giving no command, and is shown already
        code = _fail(InputError(_usage(error))) if error.format_message() else error.exit_code
    sys.exit(code)


def _usage(error: typer.TyperException) -> str:
    """What is wrong with a command line, and where its help is."""
    command = getattr(getattr(error, "ctx", None), "command_path", "saifu")
    text = error.format_message().rstrip(".").replace("Value error, ", "")  # a word of a library's, and none of help
    return f"{text}; see: {command} --help"


def _fail(error: SaifuError) -> int:
    """Say what went wrong, on standard error, and as a document for --json; returns the exit code."""
    code = exit_code(error)
    if "--json" in sys.argv:
        seen = error.document if isinstance(error, UnexpectedAnswerError) else {}
        failure = {"kind": type(error).__name__, "message": str(error), "exit_code": code}
        typer.echo(json.dumps(seen | {"error": failure}))
    say(f"saifu: {error}", error=True)
    return code
