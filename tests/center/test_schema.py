"""Databases of earlier versions are migrated, and those of later ones refused."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Engine, create_engine

from apdu.errors import StoreError
from apdu.identity import CardId
from apdu.messages import Outcome
from center import schema
from center.center import Center
from center.editions import is_listed, publish
from center.models import RecordRow, Tables
from center.resolution import decide
from center.schema import NEWEST
from tests.center.bank import PASSPHRASE
from tests.issuer import NOW

OLD = Path(__file__).parent.parent / "vectors" / "center-without-version"
"""A center of the first version: four cards, a payment that waits, a theft report, an edition and a decision."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "center"
    folder.mkdir(mode=0o700)
    for name in ("keys.json", "high-water.json", "trust.json"):
        shutil.copy(OLD / name, folder)
    with closing(sqlite3.connect(folder / "center.sqlite")) as database:
        database.executescript((OLD / "center.sql").read_text())
    return folder


def engine(folder: Path) -> Engine:
    return create_engine(URL.create("sqlite", database=str(folder / "center.sqlite")))


def version(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "center.sqlite")) as database:
        return str(database.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def test_a_database_of_the_first_version_is_migrated_and_all_of_it_is_there(old: Path) -> None:
    center = Center.open(old, PASSPHRASE, lambda: NOW + 1000)
    assert version(old) == NEWEST
    assert len(center.registered()) == 4
    stolen = next(card for card, _, _ in center.registered() if is_listed(center, card))
    with center.session() as session:
        records = session.query(RecordRow).all()
        assert (len(records), {record.order for record in records}) == (3, {1})
    assert publish(center).serials.tolist() == [stolen.serial]
    decide(center, CardId.of(1, 2), 2, Outcome.RECEIVED, "as before")
    center.close()


def test_a_copy_of_the_old_database_stays_beside_it(old: Path) -> None:
    before = sqlite3.connect(old / "center.sqlite").execute("SELECT * FROM records").fetchall()
    Center.open(old, PASSPHRASE, lambda: NOW + 1000).close()
    copy = old / f"center.sqlite.before-{NEWEST}"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert sqlite3.connect(copy).execute("SELECT * FROM records").fetchall() == before


def test_seconds_of_before_are_no_order(old: Path) -> None:
    """Or an attestation of the old days would come after everything that the center hears from now on."""
    center = Center.open(old, PASSPHRASE, lambda: NOW + 1000)
    with center.session() as session:
        for card, _, _ in center.registered():
            row = center.row(session, card)
            assert (row.attested, row.challenged, row.challenge) == (0, 0, None)
    center.close()


def test_the_scripts_lead_to_what_the_models_say(old: Path, tmp_path: Path) -> None:
    Center.open(old, PASSPHRASE, lambda: NOW + 1000).close()
    made = tmp_path / "made"
    made.mkdir()
    schema.create(engine(made))
    for folder in (old, made):
        with engine(folder).connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, Tables.metadata) == []
        assert version(folder) == NEWEST


def test_the_newest_script_is_the_one_that_is_named() -> None:
    assert ScriptDirectory(str(Path(schema.__file__).parent / "migrations")).get_current_head() == NEWEST


def test_a_database_of_a_later_version_is_refused_and_left_alone(old: Path) -> None:
    Center.open(old, PASSPHRASE, lambda: NOW + 1000).close()
    with closing(sqlite3.connect(old / "center.sqlite")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = (old / "center.sqlite").read_bytes()
    with pytest.raises(StoreError, match=f"version 9999, and this saifu knows versions up to {NEWEST}"):
        Center.open(old, PASSPHRASE)
    assert (old / "center.sqlite").read_bytes() == before


def test_a_migration_that_fails_leaves_the_database_as_it_was(old: Path) -> None:
    with closing(sqlite3.connect(old / "center.sqlite")) as database, database:
        database.execute("CREATE TABLE marks (name INTEGER)")
    with pytest.raises(StoreError, match="cannot be used"):
        Center.open(old, PASSPHRASE)
    with closing(sqlite3.connect(old / "center.sqlite")) as database:
        assert "order" not in [row[1] for row in database.execute("PRAGMA table_info(records)")]
        assert database.execute("SELECT count(*) FROM records").fetchone() == (3,)
