"""require the currency of payments"""

from alembic import op
import sqlalchemy as sa

revision = "e7b418d2a650"
down_revision = "c2a96e1f7d04"


def payments(nullable):
    return sa.Table(
        "payments",
        sa.MetaData(),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Numeric(10, 2), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=nullable),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_payments_account", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_payments"),
        sa.Index("ix_payments_account_id", "account_id"),
    )


def upgrade():
    with op.batch_alter_table("payments", copy_from=payments(nullable=True)) as batch:
        batch.alter_column("currency", existing_type=sa.String(length=3), nullable=False)


def downgrade():
    with op.batch_alter_table("payments", copy_from=payments(nullable=False)) as batch:
        batch.alter_column("currency", existing_type=sa.String(length=3), nullable=True)
