"""Transcript editing, for v2.5.0: a column that v2.4.5 neither reads nor has to fill.

Revision ID: 1a2b3c4d5e6f
Revises: 0a1b2c3d4e5f
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1a2b3c4d5e6f"
down_revision = "0a1b2c3d4e5f"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the nullable column, so both releases work with the schema."""
    op.add_column("segments", sa.Column("edited_text", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop the column; for staging, production only rolls forward."""
    op.drop_column("segments", "edited_text")
