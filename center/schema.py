"""The version of the database's tables, and the way from an earlier one to this one, by Alembic's scripts.

A new database is made as this version wants it, and says so. One of an earlier version is copied beside itself, then
migrated in one transaction; the first version did not write its number down, and is known by that. One of a later
version is refused: what this program does not know it could destroy.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from apdu.errors import StoreError
from center.models import Tables
from host.files import PRIVATE

__all__ = ["NEWEST", "bring_up_to_date", "copy_database", "create"]

NEWEST = "0004"
"""The revision that the models are of; a test holds it to the scripts."""
_FIRST = "0001"
_VERSION_TABLE = "alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
"""As Alembic itself makes it, so that its own tools read it."""
_SCRIPTS = Path(__file__).parent / "migrations"


def create(engine: Engine) -> None:
    """Make all tables in an empty database."""
    with engine.begin() as connection:
        Tables.metadata.create_all(connection)
        connection.execute(text(f"CREATE TABLE {_VERSION_TABLE}"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": NEWEST})


def bring_up_to_date(engine: Engine, database: Path) -> None:
    """Migrate a database of an earlier version; a copy of it stays beside it, as DATABASE.before-REVISION.

    Raises StoreError for a database of a later version; nothing is changed then, nor when a migration fails.
    """
    with engine.connect() as connection:
        version = _version(connection)
    if version == NEWEST:
        return
    if version > NEWEST:
        raise StoreError(
            f"{database}: this database is of version {version}, and this saifu knows versions up to {NEWEST}: "
            "take the saifu that has worked with it, or a newer one"
        )
    _keep_copy(database, database.with_name(f"{database.name}.before-{NEWEST}"))
    _migrate(engine)


def _version(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return _FIRST
    return str(connection.scalar(text("SELECT version_num FROM alembic_version")) or _FIRST)


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, by SQLite's own backup, into a new file of its owner's alone.

    Raises StoreError.
    """
    target.touch(PRIVATE)
    try:
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
    except sqlite3.Error as error:
        raise StoreError(f"{source} cannot be copied: {error}") from None


def _keep_copy(database: Path, copy: Path) -> None:
    """Leave a copy beside the database; one that is there already was made by a try that failed."""
    partial = copy.with_name(f".{copy.name}.{os.getpid()}")
    try:
        copy_database(database, partial)
        partial.replace(copy)
    except OSError as error:
        raise StoreError(f"{copy} cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)


def _migrate(engine: Engine) -> None:
    """Run the scripts, all in one transaction; Alembic is imported here, since hardly any start has to migrate."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        version = _version(connection)  # another process may have been first, and this one has waited for it
        scripts = list(ScriptDirectory(str(_SCRIPTS)).iterate_revisions("head", version))
        for script in reversed(scripts):
            script.module.upgrade()
        connection.execute(text(f"CREATE TABLE IF NOT EXISTS {_VERSION_TABLE}"))
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": NEWEST})
