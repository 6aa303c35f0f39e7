"""add the currency of payments"""

from alembic import op
import sqlalchemy as sa

revision = "8d3e55b0c4f2"
down_revision = "1f0c2d7a9b31"


def upgrade():
    op.add_column("payments", sa.Column("currency", sa.String(length=3), nullable=True))


def downgrade():
    op.drop_column("payments", "currency")
