"""Cases: what does not agree in what cards have told; from this version on, of what comes in."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table, and the index by which a closed request's payments are found."""
    op.create_table(
        "cases",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("order", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("counter", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
    )
    op.create_index("ix_cases_transfer", "cases", ["serial", "counter", "kind"])
    op.create_index("ix_records_request", "records", ["other", "kind", "request"])
