"""The databases: migrated by tatmig, opened with `sqlite3`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tatmig import AsyncFleet

#: One for the life of the application: it remembers which users are at the latest version.
#: `tatmig.toml` says where the databases are.
fleet = AsyncFleet("MIGRATIONS.md")


async def migrate_system_database() -> Path:
    """Creates the system database if it is missing, and applies its pending migrations."""
    await fleet.init()
    result = await fleet.upgrade()
    return Path(result.databases[0].path)


async def migrate_user(name: str, *, create: bool = False) -> Path:
    """Applies the pending migrations of a user's database, and returns its path.

    The first call for a user takes 10 ms, later calls microseconds. No thread waits meanwhile,
    so that a long migration of one user does not keep the others from being served.
    """
    run = await fleet.ensure(name, create=create)
    return Path(run.path)


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for one transaction, which is rolled back on an exception."""
    # Without `mode=rw` SQLite would create a missing file, which has no tables.
    uri = f"{path.resolve().as_uri()}?mode=rw"
    # While tatmig migrates this database, a write waits for it.
    with closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        with connection:
            yield connection
