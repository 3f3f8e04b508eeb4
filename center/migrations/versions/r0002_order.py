"""Order comes from a counter: every table that tells what came before what gets its number.

All that is there before was known to the center before anything that comes: it gets the order 1. Seconds are no
order, so the times of challenges and attestations are forgotten; a card that was waiting for a challenge's answer
asks for another one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ORDERED = ("reports", "editions", "records", "decisions")


def upgrade() -> None:
    """Add the order, the marks, and what was signed about transfers."""
    for table in _ORDERED:
        op.add_column(table, sa.Column("order", sa.Integer(), nullable=False, server_default="1"))
    op.execute("UPDATE cards SET challenge = NULL, challenged = 0, attested = 0")
    op.create_table(
        "marks",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
    )
    op.execute("INSERT INTO marks (name, number) VALUES ('order', 1)")
    op.create_table(
        "resolutions",
        *(sa.Column(name, sa.Integer(), primary_key=True, autoincrement=False) for name in ("serial", "counter")),
        sa.Column("outcome", sa.Integer(), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.Column("order", sa.Integer(), nullable=False),
    )
    op.drop_index("ix_records_counter", "records")
    op.create_index("ix_records_transfer", "records", ["serial", "kind", "counter", "other"])
    op.create_index("ix_records_other", "records", ["other", "kind", "counter"])
