"""Witnesses: what was found when the center was behind, and what is known of the float."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the tables of ``center.standing`` and of recovery."""
    op.create_table(
        "findings",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.Column("closed", sa.Integer()),
    )
    op.create_table(
        "float_state",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("serial", "record", "payments", "balance")),
        sa.Column("chain", sa.LargeBinary(32), nullable=False),
        sa.Column("replaced_by", sa.Integer()),
    )
    op.create_table(
        "reminded",
        sa.Column("serial", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("seen", sa.Integer(), nullable=False),
    )
    op.create_table(
        "gaps",
        *(sa.Column(name, sa.Integer(), primary_key=True, autoincrement=False) for name in ("serial", "first")),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("request", sa.Integer(), nullable=False),
    )
