"""What one user does, and what a user sees whose database cannot be migrated."""

from __future__ import annotations

import asyncio

import httpx
from conftest import PASSWORD, Installation, Server, bearer, log_in

from notes.databases import transaction

ONE_NOTE_EACH = """
## 1.1.0 → 1.2.0

**Date**: 2026-07-01
**Description**: A text can be noted only once

```sql
-- [user:1.1.0→1.2.0:start]
CREATE UNIQUE INDEX IF NOT EXISTS one_note_each ON notes (body);
-- [user:1.1.0→1.2.0:end]
```
"""


async def sign_up(client: httpx.AsyncClient, name: str) -> dict[str, str]:
    created = await client.post("/accounts", json={"name": name, "password": PASSWORD})
    assert created.status_code == 201, created.text
    return bearer(await log_in(client, name))


async def add(client: httpx.AsyncClient, headers: dict[str, str], *bodies: str) -> None:
    for body in bodies:
        added = await client.post("/notes", json={"body": body}, headers=headers)
        assert added.status_code == 201, added.text


async def bodies(client: httpx.AsyncClient, headers: dict[str, str]) -> list[str]:
    response = await client.get("/notes", headers=headers)
    assert response.status_code == 200, response.text
    return [note["body"] for note in response.json()]


def test_a_user_signs_up_logs_in_and_keeps_notes(server: Server) -> None:
    async def run() -> None:
        async with server.client() as client:
            ann = await sign_up(client, "ann")
            await add(client, ann, "buy milk", "call bob")
            pinned = {"body": "be kind", "pinned": True}
            await client.post("/notes", json=pinned, headers=ann)
            await add(client, ann, "sleep")
            assert await bodies(client, ann) == ["be kind", "sleep", "call bob", "buy milk"]
            # Another user has other notes.
            assert await bodies(client, await sign_up(client, "bob")) == []

    asyncio.run(run())
    assert server.installation.fleet.verify().is_ok


def test_requests_that_are_wrong_are_refused(server: Server) -> None:
    async def run() -> None:
        async with server.client() as client:
            await sign_up(client, "ann")
            again = await client.post("/accounts", json={"name": "ann", "password": PASSWORD})
            assert again.status_code == 409
            wrong = await client.post("/sessions", json={"name": "ann", "password": "wrong horse"})
            assert wrong.status_code == 401
            assert (await log_in(client, "nemo")).status_code == 401
            assert (await log_in(client, "../system")).status_code == 422
            unknown = {"Authorization": "Bearer unknown"}
            assert (await client.get("/notes", headers=unknown)).status_code == 401

    asyncio.run(run())


def test_a_failing_migration_stops_one_user_only(server: Server) -> None:
    installation = server.installation

    async def run() -> None:
        async with server.client() as client:
            ann, bob = await sign_up(client, "ann"), await sign_up(client, "bob")
            await add(client, ann, "tea", "milk")
            await add(client, bob, "tea", "tea")
            document = installation.document.read_text("utf-8") + ONE_NOTE_EACH
            installation.release(document)

            for response in [await client.get("/notes", headers=bob), await log_in(client, "bob")]:
                assert response.status_code == 503
                assert response.json()["detail"].startswith("Your notes cannot be opened")
                assert response.headers["Retry-After"] == "60"
            assert await bodies(client, ann) == ["milk", "tea"]
            assert installation.histories()["ann"] == ["1.0.0", "1.1.0", "1.2.0"]

            # The log has the cause, and the line of the statement.
            line = document[: document.index("CREATE UNIQUE INDEX")].count("\n") + 1
            assert "bob: UNIQUE constraint failed: notes.body" in installation.log
            assert f"at MIGRATIONS.md:{line}:" in installation.log

            # Nothing of bob's is lost. When the rows are repaired, the next request migrates them.
            assert installation.histories()["bob"] == ["1.0.0", "1.1.0"]
            with transaction(installation.user_database("bob")) as connection:
                rows = connection.execute("SELECT id, body FROM notes").fetchall()
                assert [tuple(row) for row in rows] == [(1, "tea"), (2, "tea")]
                connection.execute("UPDATE notes SET body = 'green tea' WHERE id = 2")
            assert await bodies(client, bob) == ["green tea", "tea"]
            assert installation.histories()["bob"] == ["1.0.0", "1.1.0", "1.2.0"]

    asyncio.run(run())


def test_a_document_with_an_error_stops_no_process(server: Server) -> None:
    installation = server.installation
    document = installation.document.read_text("utf-8")

    async def run() -> None:
        async with server.client() as client:
            ann = await sign_up(client, "ann")
            await add(client, ann, "tea")
            installation.release(document + ONE_NOTE_EACH.replace("notes (body)", "notes (text)"))
            assert (await client.get("/notes", headers=ann)).status_code == 503
            assert "at MIGRATIONS.md:" in installation.log
            installation.release(document + ONE_NOTE_EACH)
            assert await bodies(client, ann) == ["tea"]

    asyncio.run(run())


def test_a_database_that_was_lost_is_not_replaced_by_an_empty_one(server: Server) -> None:
    installation: Installation = server.installation

    async def run() -> None:
        async with server.client() as client:
            ann = await sign_up(client, "ann")
            installation.user_database("ann").rename(installation.path / "lost.db")
            assert (await client.get("/notes", headers=ann)).status_code == 503
            assert (await log_in(client, "ann")).status_code == 503
            assert not installation.user_database("ann").exists()

    asyncio.run(run())
