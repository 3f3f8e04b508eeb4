"""The host's part of the command line, for the front door to compose."""

import typer

from host import atm_cli, card_cli, reader_cli, terminal_cli, trace_cli
from host.doctor_cli import doctor

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the host's commands and groups."""
    app.add_typer(reader_cli.app, name="reader")
    app.add_typer(card_cli.app, name="card")
    app.add_typer(terminal_cli.terminal_app, name="terminal")
    app.command()(terminal_cli.remit)
    app.add_typer(terminal_cli.pos_app, name="pos")
    app.add_typer(atm_cli.app, name="atm")
    app.add_typer(trace_cli.app, name="trace")
    app.command("apdu")(card_cli.apdu_command)
    app.command()(doctor)
