"""The tables as the first version had them; it did not write down which version they are."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "settings",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.String(), nullable=False),
    )
    op.create_table(
        "cards",
        sa.Column("serial", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("allotted", sa.Integer(), nullable=False),
        sa.Column("certificate", sa.LargeBinary()),
        sa.Column("credit_serial", sa.Integer(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("chain", sa.LargeBinary(32), nullable=False),
        sa.Column("balance", sa.Integer(), nullable=False),
        sa.Column("attestation", sa.LargeBinary()),
        sa.Column("challenge", sa.LargeBinary(16)),
        sa.Column("challenged", sa.Integer(), nullable=False),
        sa.Column("attested", sa.Integer(), nullable=False),
        sa.Column("unlocked_from", sa.Integer()),
    )
    op.create_table(
        "reports",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("date", sa.Integer(), nullable=False),
    )
    op.create_table(
        "listed",
        sa.Column("serial", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
    )
    op.create_table(
        "editions",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("date", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )
    _make_tables_of_transfers_and_air()


def _make_tables_of_transfers_and_air() -> None:
    op.create_table(
        "cipher_keys",
        sa.Column("group", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("created", sa.Integer(), nullable=False),
        sa.Column("retired", sa.Integer()),
    )
    op.create_table(
        "on_air",
        sa.Column("group", sa.String(40), primary_key=True),
        *(sa.Column(name, sa.Integer(), primary_key=True, autoincrement=False) for name in ("key", "edition", "span")),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
    )
    counted = ("kind", "other", "counter", "request", "amount", "balance", "date", "uploaded")
    op.create_table(
        "records",
        *(sa.Column(name, sa.Integer(), primary_key=True, autoincrement=False) for name in ("serial", "number")),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in counted),
    )
    op.create_index("ix_records_counter", "records", ["counter"])
    op.create_table(
        "decisions",
        *(sa.Column(name, sa.Integer(), primary_key=True, autoincrement=False) for name in ("serial", "counter")),
        sa.Column("outcome", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("date", sa.Integer(), nullable=False),
    )
