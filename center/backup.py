"""A consistent copy of the center while it runs: database, float, keys, trust file and the witness in the folder.

The float is held for the time of the copy, so that no command of it comes in between, and the database is copied
by SQLite's own backup (the online backup API) under a transaction that keeps other writers out. So the float in the
copy stands just where the database in it says. The witness outside of the folder is not in the copy: when the copy is
put back after anything was given out, that witness tells.
"""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from apdu.errors import InputError, StoreError
from center.center import Center
from center.float_purse import float_image
from center.float_watch import state_of
from center.schema import copy_database
from center.settings import Settings
from center.standing import float_state
from host.files import PRIVATE, require_folder, write_whole
from host.model import ModelSlot
from host.session import PurseSession

__all__ = ["back_up"]

_FILES = ("keys.json", "trust.json", "witness")


def back_up(center: Center, target: Path) -> None:
    """Copy the center into a new folder, whole or not at all, readable by its owner alone; then look at the copy.

    Raises InputError when there is something of that name, StoreError when the float is in use, or the copy is not
    as it must be.
    """
    if target.exists():
        raise InputError(f"{target}: there is something here already; it is never overwritten")
    require_folder(target)
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        _copy(center, partial)
        _verify(center, partial)
        partial.rename(target)
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _copy(center: Center, partial: Path) -> None:
    image = float_image(center)
    slot = ModelSlot("float", path=image)
    try:
        if image.exists():
            slot.connect()
        with center.session() as session:
            float_state(session)  # from now on nobody else writes
            copy_database(center.database, partial / center.database.name)
            for path in (*(center.folder / name for name in _FILES), *center.folder.glob("edition-*"), image):
                if path.exists():
                    write_whole(partial / path.name, path.read_bytes(), PRIVATE)
    finally:
        slot.close()


def _verify(center: Center, partial: Path) -> None:
    """The database is whole, and the float in the copy is where it says; both are opened as they lie there."""
    with closing(sqlite3.connect(partial / center.database.name)) as database:
        (sound,) = database.execute("PRAGMA integrity_check").fetchone()
        (settings,) = database.execute("SELECT value FROM settings WHERE name = 'settings'").fetchone()
        known = database.execute("SELECT serial, record, payments, balance, chain FROM float_state").fetchone()
    if sound != "ok" or Settings.decode(settings) != center.settings:
        raise StoreError(f"the copy of the database is not whole: {sound}")
    slot = ModelSlot("float", path=partial / "float.card")
    try:
        if known is not None:
            state = state_of(PurseSession(slot.connect()))
            if (state.serial, state.record, state.payments, state.balance, state.chain) != known:
                raise StoreError("the float and the database do not agree: saifu center recover")
    finally:
        slot.close()
        (partial / "float.card.lock").unlink(missing_ok=True)
