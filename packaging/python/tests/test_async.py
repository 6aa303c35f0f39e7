"""`AsyncFleet`: the same promises, for tasks, and what becomes of a task that is cancelled."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from pathlib import Path

import pytest
from conftest import BASELINE, PINNED, SLOW, UNIQUE, FleetDirectory, ProgramLog

import tatmig


def test_both_classes_have_the_same_methods() -> None:
    for name, method in vars(tatmig.Fleet).items():
        if not name.startswith("_"):
            twin = getattr(tatmig.AsyncFleet, name)
            assert inspect.signature(twin).parameters == inspect.signature(method).parameters


def test_each_method_can_be_awaited(users: FleetDirectory) -> None:
    async def main() -> None:
        fleet = users.async_fleet()
        assert (await fleet.status()).is_current
        assert (await fleet.verify()).is_ok
        assert (await fleet.lint()).is_ok
        assert (await fleet.init("eve")).summary["created"] == 1
        users.write_document(BASELINE, PINNED)
        assert (await fleet.upgrade("ann")).databases[1].outcome == "upgraded"
        assert (await fleet.ensure("bob")).outcome == "upgraded"
        assert fleet.sync.ensure("bob").outcome == "current"
        with pytest.raises(tatmig.UsageError):
            await fleet.upgrade("fay")
        fleet.forget("bob")

    asyncio.run(main())


def test_a_run_that_a_new_document_has_overtaken_is_repeated(
    users: FleetDirectory, overtaken_program: Path
) -> None:
    run = asyncio.run(users.async_fleet(executable=overtaken_program).ensure("ann"))
    assert (run.outcome, run.to_version) == ("current", "1.1.0")


def test_tasks_share_one_process_and_a_failure(
    users: FleetDirectory, program_log: ProgramLog
) -> None:
    users.query("ann", "INSERT INTO notes (body) VALUES ('twice'), ('twice')")
    users.write_document(BASELINE, UNIQUE)

    async def main() -> None:
        fleet = users.async_fleet(executable=program_log.executable)
        calls = [fleet.ensure(user) for user in ("ann", "bob") * 10]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results[0::2]} == {tatmig.MigrationError}
        assert {type(result) for result in results[1::2]} == {tatmig.DatabaseRun}

    asyncio.run(main())
    assert program_log.starts("ann") == program_log.starts("bob") == 1


def test_several_event_loops_and_threads_share_one_fleet(
    directory: FleetDirectory, program_log: ProgramLog
) -> None:
    names = [f"user{number}" for number in range(10)]
    directory.fleet().init(names)
    directory.write_document(BASELINE, PINNED)
    fleet = directory.async_fleet(executable=program_log.executable)

    async def log_in_all() -> None:
        runs = await asyncio.gather(*[fleet.ensure(name) for name in names])
        assert {run.to_version for run in runs} == {"1.1.0"}

    failures = []

    def run_loop() -> None:
        try:
            asyncio.run(log_in_all())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run_loop) for _ in range(5)]
    for thread in threads:
        thread.start()
    for name in names:
        assert fleet.sync.ensure(name).to_version == "1.1.0"
    for thread in threads:
        thread.join()
    assert failures == []
    for name in names:
        assert program_log.starts(name) == 1
        assert directory.versions(name) == ["1.0.0", "1.1.0"]


def test_a_cancelled_ensure_lets_the_migration_end(
    users: FleetDirectory, program_log: ProgramLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DELAY", "0.5")
    users.write_document(BASELINE, PINNED)
    fleet = users.async_fleet(executable=program_log.executable)

    async def main() -> None:
        impatient = asyncio.create_task(fleet.ensure("ann"))
        patient = asyncio.create_task(fleet.ensure("ann"))
        while program_log.starts("ann") == 0:
            await asyncio.sleep(0.01)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        assert not patient.done()
        assert (await patient).outcome == "upgraded"

    asyncio.run(main())
    assert program_log.starts("ann") == 1


def test_a_cancelled_ensure_is_remembered_after_its_loop_is_closed(
    users: FleetDirectory, program_log: ProgramLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DELAY", "0.5")
    users.write_document(BASELINE, PINNED)
    fleet = users.async_fleet(executable=program_log.executable)

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(fleet.ensure("ann"), 0.1)

    asyncio.run(main())
    # The next call waits for the same process.
    assert fleet.sync.ensure("ann").to_version == "1.1.0"
    assert program_log.starts("ann") == 1
    assert users.versions("ann") == ["1.0.0", "1.1.0"]


def test_a_cancelled_ensure_that_has_not_started_starts_no_process(
    users: FleetDirectory, program_log: ProgramLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DELAY", "0.5")
    fleet = users.async_fleet(executable=program_log.executable, max_processes=1)

    async def main() -> None:
        first = asyncio.create_task(fleet.ensure("ann"))
        while program_log.starts("ann") == 0:
            await asyncio.sleep(0.01)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(fleet.ensure("bob"), 0.05)
        await first
        assert program_log.starts("bob") == 0
        await fleet.ensure("bob")

    asyncio.run(main())
    assert program_log.starts("bob") == 1


def test_a_cancelled_upgrade_has_ended_and_is_rolled_back(users: FleetDirectory) -> None:
    users.query("ann", "INSERT INTO notes (body) VALUES ('slow')")
    users.write_document(BASELINE, SLOW)

    async def main() -> None:
        started = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(users.async_fleet().upgrade("ann"), 1)
        assert time.monotonic() - started < 15
        # No process holds the database: another can be migrated, and this one can be written.
        users.query("ann", "INSERT INTO notes (body) VALUES ('free')")

    asyncio.run(main())
    assert not [thread for thread in threading.enumerate() if thread.name == "tatmig"]
    assert users.versions("ann") == ["1.0.0"]
    assert users.query("ann", "SELECT body FROM notes") == [("slow",), ("free",)]


def test_the_event_loop_is_not_blocked(
    users: FleetDirectory, program_log: ProgramLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DELAY", "0.5")
    fleet = users.async_fleet(executable=program_log.executable)

    async def main() -> None:
        call = asyncio.create_task(fleet.ensure("ann"))
        ticks = 0
        while not call.done():
            await asyncio.sleep(0.01)
            ticks += 1
        await call
        assert ticks > 10

    asyncio.run(main())


def test_a_hundred_tasks_migrate_fifty_users_once_each(directory: FleetDirectory) -> None:
    names = [f"user{number}" for number in range(50)]
    directory.fleet().init(names)
    directory.write_document(BASELINE, PINNED)
    fleet = directory.async_fleet()

    async def log_in(task: int) -> None:
        for number in range(50):
            run = await fleet.ensure(names[(task + number) % 50])
            assert run.to_version == "1.1.0"

    async def main() -> None:
        await asyncio.gather(*[log_in(task) for task in range(100)])

    asyncio.run(main())
    for name in names:
        assert directory.versions(name) == ["1.0.0", "1.1.0"]
