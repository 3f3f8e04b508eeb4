"""Opening the center of a folder from the command line, with its passphrase."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from apdu.errors import InputError
from center.center import Center
from host.secrets_input import PASSPHRASE_VARIABLE, read_secret

__all__ = ["PassphraseOption", "open_center"]

PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help=f"File with the passphrase; else {PASSPHRASE_VARIABLE} or a prompt."),
]


@contextmanager
def open_center(folder: Path, passphrase_file: Path | None = None) -> Iterator[Center]:
    """Open the center of a folder; asks for its passphrase."""
    if not Center.exists(folder):
        raise InputError(
            f"{folder}: there is no center here; if there was one, put its newest copy back "
            "(docs/how-to/backup-and-restore.md); for a new one: saifu center init"
        )
    center = Center.open(folder, read_secret("passphrase of the center", PASSPHRASE_VARIABLE, passphrase_file))
    try:
        yield center
    finally:
        center.close()
