"""fill the currency of payments"""

from alembic import op
import sqlalchemy as sa

revision = "c2a96e1f7d04"
down_revision = "8d3e55b0c4f2"

payments = sa.table("payments", sa.column("currency", sa.String))


def upgrade():
    op.execute(payments.update().where(payments.c.currency.is_(None)).values(currency="EUR"))


def downgrade():
    op.execute(payments.update().values(currency=None))
