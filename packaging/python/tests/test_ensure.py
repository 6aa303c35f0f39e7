"""What `ensure` promises to an application that calls it at each log-in."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import BASELINE, PINNED, SLOW, UNIQUE, FleetDirectory, ProgramLog

import tatmig


def test_ensure_migrates_the_user_and_no_other(users: FleetDirectory) -> None:
    users.write_document(BASELINE, PINNED)
    run = users.fleet().ensure("ann")
    assert (run.name, run.outcome, run.to_version) == ("ann", "upgraded", "1.1.0")
    assert users.versions("ann") == ["1.0.0", "1.1.0"]
    assert users.versions("bob") == ["1.0.0"]


def test_a_later_call_starts_no_process(users: FleetDirectory, program_log: ProgramLog) -> None:
    users.write_document(BASELINE, PINNED)
    fleet = users.fleet(executable=program_log.executable)
    first = fleet.ensure("ann")
    second = fleet.ensure("ann")
    assert program_log.starts("ann") == 1
    assert (first.outcome, second.outcome) == ("upgraded", "current")
    assert (second.from_version, second.to_version, second.steps) == ("1.1.0", "1.1.0", ())
    assert second.path == first.path


def test_a_new_document_is_noticed(users: FleetDirectory, program_log: ProgramLog) -> None:
    fleet = users.fleet(executable=program_log.executable)
    fleet.ensure("ann")
    fleet.ensure("bob")
    users.write_document(BASELINE, PINNED)
    assert fleet.ensure("ann").outcome == "upgraded"
    assert fleet.ensure("bob").outcome == "upgraded"
    assert fleet.ensure("ann").outcome == "current"
    assert program_log.starts("ann") == program_log.starts("bob") == 2


def test_a_run_that_a_new_document_has_overtaken_is_repeated(
    users: FleetDirectory, overtaken_program: Path
) -> None:
    run = users.fleet(executable=overtaken_program).ensure("ann")
    assert (users.path / "old.md").exists()
    assert (run.outcome, run.to_version) == ("current", "1.1.0")
    assert users.versions("ann") == ["1.0.0", "1.1.0"]


def test_an_edit_in_place_within_one_tick_is_noticed(users: FleetDirectory) -> None:
    first = BASELINE + PINNED
    fleet = users.fleet()
    users.write_document(first)
    before = os.stat(users.document)
    fleet.ensure("ann")
    # The same size, file and modification time as before.
    second = first.replace("pinned", "marked").replace("1.1.0", "1.2.0")
    assert len(second) == len(first)
    with open(users.document, "r+", encoding="utf-8") as file:
        file.write(second)
    os.utime(users.document, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(tatmig.MigrationError):
        fleet.ensure("ann")


def test_a_document_with_the_same_content_is_no_new_one(
    users: FleetDirectory, program_log: ProgramLog
) -> None:
    fleet = users.fleet(executable=program_log.executable)
    fleet.ensure("ann")
    users.write_document(BASELINE)
    os.utime(users.document, (1, 1))
    fleet.ensure("ann")
    assert program_log.starts("ann") == 1


def test_a_document_that_the_program_found_is_watched_too(
    users: FleetDirectory, program_log: ProgramLog
) -> None:
    users.settle_document()
    fleet = tatmig.Fleet(cwd=users.path, executable=program_log.executable)
    fleet.ensure("ann")
    fleet.ensure("ann")
    assert program_log.starts("ann") == 1
    users.write_document(BASELINE, PINNED)
    assert fleet.ensure("ann").outcome == "upgraded"


def test_a_document_that_was_just_written_is_not_trusted_before_its_path_is_known(
    users: FleetDirectory, program_log: ProgramLog
) -> None:
    users.write_document(BASELINE)
    fleet = tatmig.Fleet(cwd=users.path, executable=program_log.executable)
    for _ in range(3):
        fleet.ensure("ann")
    # The first run may have read an earlier content; the second has seen this one.
    assert program_log.starts("ann") == 2


def test_a_deleted_or_replaced_database_is_noticed(users: FleetDirectory) -> None:
    fleet = users.fleet()
    fleet.ensure("ann")
    os.remove(users.database("ann"))
    with pytest.raises(tatmig.UsageError, match="no database of user `ann`"):
        fleet.ensure("ann")
    # An application that opens the missing file creates an empty one.
    sqlite3.connect(users.database("ann")).execute("PRAGMA user_version").connection.close()
    fleet.ensure("ann", create=True)
    assert users.versions("ann") == ["1.0.0"]


def test_forget_looks_again(users: FleetDirectory, program_log: ProgramLog) -> None:
    fleet = users.fleet(executable=program_log.executable)
    for user in ("ann", "bob"):
        fleet.ensure(user)
    fleet.forget("ann")
    for user in ("ann", "bob"):
        fleet.ensure(user)
    assert (program_log.starts("ann"), program_log.starts("bob")) == (2, 1)
    fleet.forget()
    for user in ("ann", "bob"):
        fleet.ensure(user)
    assert (program_log.starts("ann"), program_log.starts("bob")) == (3, 2)


def test_forget_is_not_undone_by_a_run_that_started_before(
    users: FleetDirectory, program_log: ProgramLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DELAY", "0.3")
    fleet = users.fleet(executable=program_log.executable)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fleet.ensure, "ann")
        while program_log.starts("ann") == 0:
            time.sleep(0.01)
        fleet.forget("ann")
        # Waits for the first run, and is not answered by it.
        pool.submit(fleet.ensure, "ann").result()
        first.result()
    assert program_log.starts("ann") == 2
    assert program_log.peak() == 1
    fleet.ensure("ann")
    assert program_log.starts("ann") == 2


def test_nothing_is_remembered_for_a_document_that_was_deleted(users: FleetDirectory) -> None:
    fleet = users.fleet()
    fleet.ensure("ann")
    os.remove(users.document)
    with pytest.raises(tatmig.UsageError, match=r"MIGRATIONS\.md"):
        fleet.ensure("ann")


def test_a_missing_database_is_created_only_if_asked(directory: FleetDirectory) -> None:
    fleet = directory.fleet()
    with pytest.raises(tatmig.UsageError):
        fleet.ensure("ann")
    assert not directory.database("ann").exists()
    run = fleet.ensure("ann", create=True)
    assert (run.outcome, run.to_version) == ("current", "1.0.0")
    assert fleet.ensure("ann") == run


def test_create_migrates_the_system_database_first(users: FleetDirectory) -> None:
    users.write_document(BASELINE, PINNED)
    users.fleet().ensure("eve", create=True)
    assert users.fleet().status(system=True).is_current
    assert users.versions("eve") == ["1.0.0", "1.1.0"]


def test_a_failure_raises_and_is_not_remembered(users: FleetDirectory) -> None:
    users.query("ann", "INSERT INTO notes (body) VALUES ('twice'), ('twice')")
    users.write_document(BASELINE, UNIQUE)
    fleet = users.fleet()
    for _ in range(2):
        with pytest.raises(tatmig.MigrationError) as caught:
            fleet.ensure("ann")
        assert caught.value.rule == "sql"
        assert caught.value.database == "ann"
    assert users.query("ann", "SELECT body FROM notes") == [("twice",), ("twice",)]
    assert fleet.ensure("bob").outcome == "upgraded"
    users.query("ann", "DELETE FROM notes WHERE id = 2")
    assert fleet.ensure("ann").outcome == "upgraded"


def test_a_failing_system_database_fails_the_user(users: FleetDirectory) -> None:
    users.write_document(BASELINE, PINNED)
    (users.path / "system.db").write_bytes(b"not a database, but long enough to be one" * 100)
    with pytest.raises(tatmig.MigrationError) as caught:
        users.fleet().ensure("ann")
    assert caught.value.database == "system"
    assert users.versions("ann") == ["1.0.0"]


def test_the_failure_of_another_user_is_no_failure(users: FleetDirectory) -> None:
    os.symlink("/nonexistent", users.database("zed"))
    users.write_document(BASELINE, PINNED)
    assert users.fleet().ensure("ann").outcome == "upgraded"


def test_calls_for_one_user_share_one_process(
    users: FleetDirectory, program_log: ProgramLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DELAY", "0.3")
    users.write_document(BASELINE, PINNED)
    fleet = users.fleet(executable=program_log.executable)
    with ThreadPoolExecutor(20) as pool:
        runs = list(pool.map(fleet.ensure, ["ann"] * 20))
    assert program_log.starts("ann") == 1
    assert {run.to_version for run in runs} == {"1.1.0"}


def test_a_call_for_a_newer_document_waits_and_runs_again(
    users: FleetDirectory, program_log: ProgramLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DELAY", "0.5")
    fleet = users.fleet(executable=program_log.executable)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fleet.ensure, "ann")
        while program_log.starts("ann") == 0:
            time.sleep(0.01)
        users.write_document(BASELINE, PINNED)
        second = pool.submit(fleet.ensure, "ann")
        assert second.result().to_version == "1.1.0"
        first.result()
    assert program_log.starts("ann") == 2
    assert program_log.peak() == 1
    assert fleet.ensure("ann").to_version == "1.1.0"


def test_a_call_that_may_create_is_not_answered_by_one_that_may_not(
    users: FleetDirectory, program_log: ProgramLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DELAY", "0.3")
    fleet = users.fleet(executable=program_log.executable)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fleet.ensure, "eve")
        while program_log.starts("eve") == 0:
            time.sleep(0.01)
        second = pool.submit(fleet.ensure, "eve", create=True)
        assert second.result().outcome == "current"
        with pytest.raises(tatmig.UsageError):
            first.result()
    assert program_log.peak() == 1


def test_at_most_max_processes_run_at_once(
    directory: FleetDirectory, program_log: ProgramLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"user{number}" for number in range(12)]
    directory.fleet().init(names)
    monkeypatch.setenv("TEST_DELAY", "0.2")
    fleet = directory.fleet(executable=program_log.executable, max_processes=3)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(fleet.ensure, names))
    assert program_log.peak() == 3


def test_a_hundred_threads_migrate_fifty_users_once_each(directory: FleetDirectory) -> None:
    names = [f"user{number}" for number in range(50)]
    directory.fleet().init(names)
    directory.write_document(BASELINE, PINNED)
    fleets = [directory.fleet(), directory.fleet()]
    barrier = threading.Barrier(100)

    def log_in(thread: int) -> set[str | None]:
        # Two fleets are like two processes of one application: they know nothing of each other.
        fleet = fleets[thread % 2]
        barrier.wait()
        return {fleet.ensure(names[(thread + n) % 50]).to_version for n in range(50)}

    with ThreadPoolExecutor(100) as pool:
        versions = set().union(*pool.map(log_in, range(100)))
    assert versions == {"1.1.0"}
    for name in names:
        assert directory.versions(name) == ["1.0.0", "1.1.0"]


def test_new_users_that_log_in_at_once_are_created_once(directory: FleetDirectory) -> None:
    fleets = [directory.fleet(), directory.fleet()]
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(fleets[n % 2].ensure, f"user{n % 5}", create=True) for n in range(20)]
        assert {call.result().to_version for call in calls} == {"1.0.0"}
    for number in range(5):
        assert directory.versions(f"user{number}") == ["1.0.0"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_of_fork_can_ensure(users: FleetDirectory) -> None:
    fleet = users.fleet()
    fleet.ensure("ann")
    users.write_document(BASELINE, PINNED)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if fleet.ensure("ann").outcome == "upgraded" else 1)
        except BaseException:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert fleet.ensure("ann").to_version == "1.1.0"


def test_a_failure_that_no_caller_waits_for_is_logged(
    users: FleetDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    users.query("ann", "INSERT INTO notes (body) VALUES ('slow')")
    users.write_document(BASELINE, SLOW)
    fleet = users.fleet()
    log_in = fleet._log_in
    flight = log_in.join("ann", log_in.basis(), create=False)
    while not flight.future.running():
        time.sleep(0.01)
    log_in.leave(flight)
    time.sleep(0.2)
    end_the_program(users)
    with caplog.at_level(logging.WARNING, logger="tatmig"), pytest.raises(tatmig.StoppedError):
        flight.future.result()
    assert "'ann'" in caplog.text
    assert users.query("ann", "SELECT body FROM notes") == [("slow",)]


def end_the_program(users: FleetDirectory) -> None:
    """Sends SIGTERM to the program that works in this directory."""
    for process in os.listdir("/proc"):
        try:
            if process.isdigit() and os.readlink(f"/proc/{process}/cwd") == str(users.path):
                os.kill(int(process), signal.SIGTERM)
        except OSError:
            continue
