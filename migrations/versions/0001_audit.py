"""The audit table."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "mina_ops_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; it grows by a row for each change that somebody makes."""
    op.create_table(
        "mina_ops_audit",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("address", sa.String(100), nullable=False),
        sa.Column("correlation_id", sa.String(200), nullable=False),
        sa.Column("environment", sa.String(32), nullable=False),
        sa.Column("version", sa.String(100), nullable=False),
    )
    op.create_index("ix_mina_ops_audit_at", "mina_ops_audit", ["at"])


def downgrade() -> None:
    """Drop the table with all entries."""
    op.drop_index("ix_mina_ops_audit_at", table_name="mina_ops_audit")
    op.drop_table("mina_ops_audit")
