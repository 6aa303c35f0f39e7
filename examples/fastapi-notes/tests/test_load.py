"""A hundred log-ins at once, while a new version of the document is released."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from conftest import PASSWORD, Installation, Server, bearer, log_in

from notes.databases import transaction

USERS = [f"user{number}" for number in range(50)]
LOG_INS_EACH = 2
OLD_NOTES = ["first", "second", "third"]
#: The new version is released when so many log-ins were answered.
ANSWERED_BEFORE_RELEASE = 20

COLOURS = """
## 1.1.0 → 1.2.0

**Date**: 2026-07-01
**Description**: Notes have a colour

```sql
-- [user:1.1.0→1.2.0:start]
ALTER TABLE notes ADD COLUMN colour TEXT NOT NULL DEFAULT 'white';
-- [user:1.1.0→1.2.0:end]
```
"""


@pytest.fixture
def workers() -> int:
    return 2


@pytest.fixture
def installation(installation: Installation) -> Installation:
    """The application as the release before this one left it: users at 1.0.0 with notes."""
    document = installation.document.read_text("utf-8")
    installation.release(document[: document.index("## 1.0.0 → 1.1.0")])
    installation.fleet.init(USERS)
    for name in USERS:
        installation.accounts.create(name, PASSWORD)
        with transaction(installation.user_database(name)) as connection:
            rows = [(body,) for body in OLD_NOTES]
            connection.executemany("INSERT INTO notes (body) VALUES (?)", rows)
    installation.release(document)
    return installation


def test_each_user_is_migrated_once_per_version_and_loses_nothing(server: Server) -> None:
    installation = server.installation
    answered = 0
    is_time_to_release = asyncio.Event()

    async def visit(client: httpx.AsyncClient, name: str, number: int) -> None:
        """Logs in, adds a note, and reads all of them."""
        nonlocal answered
        headers = bearer(await log_in(client, name))
        answered += 1
        if answered == ANSWERED_BEFORE_RELEASE:
            is_time_to_release.set()
        added = await client.post("/notes", json={"body": f"visit {number}"}, headers=headers)
        assert added.status_code == 201, added.text
        read = await client.get("/notes", headers=headers)
        assert read.status_code == 200, read.text
        bodies = {note["body"] for note in read.json()}
        assert bodies >= {*OLD_NOTES, f"visit {number}"}

    async def release() -> None:
        await is_time_to_release.wait()
        installation.release(installation.document.read_text("utf-8") + COLOURS)

    async def run() -> None:
        async with server.client() as client:
            visits = [
                visit(client, name, number) for number in range(LOG_INS_EACH) for name in USERS
            ]
            await asyncio.gather(release(), *visits)
            # Whoever was migrated to 1.1.0 before the release is migrated at the next log-in.
            for response in await asyncio.gather(*(log_in(client, name) for name in USERS)):
                assert response.status_code == 200, response.text

    asyncio.run(run())

    histories = installation.histories()
    for name in USERS:
        assert histories[name] == ["1.0.0", "1.1.0", "1.2.0"]
        with transaction(installation.user_database(name)) as connection:
            rows = connection.execute("SELECT body, pinned, colour FROM notes ORDER BY id")
            notes = [tuple(row) for row in rows]
        assert notes[: len(OLD_NOTES)] == [(body, 0, "white") for body in OLD_NOTES]
        visits = {body for body, *_ in notes[len(OLD_NOTES) :]}
        assert visits == {f"visit {number}" for number in range(LOG_INS_EACH)}
        assert len(notes) == len(OLD_NOTES) + LOG_INS_EACH
    assert installation.fleet.verify().is_ok
    assert " 500 " not in installation.log
    assert "Traceback" not in installation.log
