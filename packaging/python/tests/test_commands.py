"""Each method runs its command and returns what the program reports."""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import BASELINE, PINNED, SLOW, STATEMENT_LINE, UNIQUE, FleetDirectory

import tatmig


def test_init_creates_databases_at_head(directory: FleetDirectory) -> None:
    result = directory.fleet().init("ann")
    created = [(database.name, database.outcome) for database in result.databases]
    assert created == [("system", "created"), ("ann", "created")]
    assert directory.versions("ann") == ["1.0.0"]


def test_upgrade_migrates_the_users_named(users: FleetDirectory) -> None:
    users.write_document(BASELINE, PINNED)
    result = users.fleet().upgrade(user="ann")
    assert result.head == result.target == "1.1.0"
    assert result.summary["upgraded"] == 2
    ann = result.databases[1]
    assert (ann.name, ann.scope, ann.outcome) == ("ann", "user", "upgraded")
    assert (ann.from_version, ann.to_version, ann.steps) == ("1.0.0", "1.1.0", ("1.1.0",))
    assert users.versions("ann") == ["1.0.0", "1.1.0"]
    assert users.versions("bob") == ["1.0.0"]


def test_upgrade_takes_several_users_and_all(users: FleetDirectory) -> None:
    users.write_document(BASELINE, PINNED)
    result = users.fleet().upgrade(["ann", b"bob"])
    assert [database.name for database in result.databases] == ["system", "ann", "bob"]
    result = users.fleet().upgrade(all_users=True, backup=True)
    assert {database.outcome for database in result.databases} == {"current"}
    result = users.fleet().upgrade("ann", no_system=True)
    assert [database.name for database in result.databases] == ["ann"]


def test_a_dry_run_lists_migrations_and_changes_nothing(users: FleetDirectory) -> None:
    users.write_document(BASELINE, PINNED)
    result = users.fleet().upgrade(all_users=True, dry_run=True)
    planned = [migration for migration in result.migrations if migration.scope == "user"]
    assert [migration.databases for migration in planned] == [("ann", "bob")]
    assert (planned[0].from_version, planned[0].to_version) == ("1.0.0", "1.1.0")
    assert planned[0].sql is not None
    assert "ADD COLUMN pinned" in planned[0].sql
    assert users.versions("ann") == ["1.0.0"]


def test_status_shows_what_is_pending(users: FleetDirectory) -> None:
    assert users.fleet().status().is_current
    users.write_document(BASELINE, PINNED)
    result = users.fleet().status(user="ann")
    assert not result.is_current
    (ann,) = result.databases
    assert (ann.version, ann.state, ann.pending) == ("1.0.0", "behind", ("1.1.0",))
    (system,) = users.fleet().status(system=True).databases
    assert system.name == "system"


def test_status_detects_the_version_of_a_database_without_history(users: FleetDirectory) -> None:
    connection = sqlite3.connect(users.database("eve"))
    connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
    connection.close()
    (eve,) = users.fleet().status(user="eve").databases
    assert eve.state == "unversioned"
    assert eve.detected is not None
    assert (eve.detected.match, eve.detected.version) == ("matched", "1.0.0")


def test_verify_lists_findings(users: FleetDirectory) -> None:
    assert users.fleet().verify().is_ok
    users.query("ann", "DROP TABLE notes")
    result = users.fleet().verify()
    assert not result.is_ok
    findings = {database.name: database.findings for database in result.databases}
    assert findings["bob"] == ()
    assert "notes" in findings["ann"][0]
    assert users.fleet().verify("bob").is_ok
    assert users.fleet().verify(system=True).is_ok


def test_lint_returns_problems(directory: FleetDirectory) -> None:
    assert directory.fleet().lint().is_ok
    directory.write_document(BASELINE.replace("**Date**: 2026-05-04\n", ""))
    result = directory.fleet().lint()
    assert result.is_ok
    assert [problem.rule for problem in result.problems] == ["missing-date", "not-rerunnable"]
    assert result.problems[0].severity == "warning"
    assert not directory.fleet().lint(deny="missing-date").is_ok
    assert directory.fleet().lint(allow=["missing-date", "not-rerunnable"]).problems == ()


def test_lint_returns_the_errors_of_a_document_that_cannot_be_used(
    directory: FleetDirectory,
) -> None:
    directory.write_document(
        BASELINE.replace("[user:baseline→1.0.0:end]", "[user:baseline→1.0:end]")
    )
    result = directory.fleet().lint()
    assert not result.is_ok
    assert result.problems[0].rule == "malformed-tag"
    assert result.problems[0].line == 15


def test_a_document_that_cannot_be_used_raises(users: FleetDirectory) -> None:
    users.write_document(BASELINE, PINNED.replace("ALTER", "ALTRE"))
    with pytest.raises(tatmig.DocumentError) as caught:
        users.fleet().upgrade(all_users=True)
    error = caught.value
    assert (error.rule, error.line, error.exit_status) == ("sql", STATEMENT_LINE, 2)
    assert error.file == str(users.document)
    assert error.problems[0].severity == "error"
    assert f"{users.document}:{STATEMENT_LINE}:1" in str(error)
    assert users.versions("ann") == ["1.0.0"]


def test_a_failing_database_raises_with_rows_and_the_others_are_migrated(
    users: FleetDirectory,
) -> None:
    users.query("ann", "INSERT INTO notes (body) VALUES ('twice'), ('twice')")
    users.write_document(BASELINE, UNIQUE)
    with pytest.raises(tatmig.MigrationError) as caught:
        users.fleet().upgrade(all_users=True)
    error = caught.value
    assert (error.database, error.exit_status) == ("ann", 1)
    assert (error.rule, error.line) == ("sql", STATEMENT_LINE)
    assert "twice" in error.rows[0]
    assert error.help is not None
    assert str(error).startswith("ann: UNIQUE constraint failed")
    outcomes = {database.name: database.outcome for database in error.result.databases}
    assert outcomes == {"system": "upgraded", "ann": "failed", "bob": "upgraded"}
    assert users.query("ann", "SELECT body FROM notes") == [("twice",), ("twice",)]


def test_an_unknown_user_raises_a_usage_error(users: FleetDirectory) -> None:
    with pytest.raises(tatmig.UsageError, match="no database of user `eve`"):
        users.fleet().upgrade("eve")


def test_a_busy_database_raises_a_busy_error(users: FleetDirectory) -> None:
    users.write_document(BASELINE, PINNED)
    connection = sqlite3.connect(users.database("ann"))
    connection.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(tatmig.BusyError) as caught:
            users.fleet(busy_timeout=0.1).upgrade("ann")
    finally:
        connection.close()
    assert caught.value.database == "ann"
    assert users.versions("ann") == ["1.0.0"]


def test_errors_can_be_pickled(users: FleetDirectory) -> None:
    users.query("ann", "INSERT INTO notes (body) VALUES ('twice'), ('twice')")
    users.write_document(BASELINE, UNIQUE)
    with pytest.raises(tatmig.MigrationError) as caught:
        users.fleet().upgrade("ann")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert copy.result == caught.value.result
    users.write_document("# Nothing")
    with pytest.raises(tatmig.TatmigError) as caught_error:
        users.fleet().upgrade("ann")
    assert str(pickle.loads(pickle.dumps(caught_error.value))) == str(caught_error.value)


@pytest.mark.parametrize(
    "name", ["-x", "--all-users", "a b", "Zoë 🦀", "'; DROP", "$(x)", "file:x", "=", "a\nb"]
)
def test_any_name_is_one_user(directory: FleetDirectory, name: str) -> None:
    fleet = directory.fleet()
    assert fleet.ensure(name, create=True).outcome == "current"
    assert directory.database(name).is_file()
    (database,) = fleet.status(name).databases
    assert database.state == "current"


@pytest.mark.skipif(os.name == "nt", reason="file names are text on Windows")
@pytest.mark.parametrize("name", [b"caf\xe9", os.fsdecode(b"caf\xe9")])
def test_a_name_may_hold_bytes_that_are_not_text(
    directory: FleetDirectory, name: str | bytes
) -> None:
    fleet = directory.fleet()
    fleet.ensure(name, create=True)
    assert os.path.isfile(os.path.join(os.fsencode(directory.path), b"caf\xe9_longterm.db"))
    # The same user, from memory.
    assert fleet.ensure(b"caf\xe9").to_version == "1.0.0"


def test_a_name_that_no_file_can_have_is_refused(directory: FleetDirectory) -> None:
    for name in ["", "a/b", ".."]:
        with pytest.raises(tatmig.UsageError):
            directory.fleet(user_pattern="{username}").ensure(name, create=True)
    with pytest.raises(ValueError, match="null"):
        directory.fleet().ensure("a\0b")
    for no_name in [None, 5, ["ann"]]:
        with pytest.raises(TypeError, match="a user is `str` or `bytes`"):
            directory.fleet().ensure(no_name, create=True)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        directory.fleet().init([None])  # type: ignore[list-item]
    assert list(directory.path.iterdir()) == [directory.document]


def test_settings_become_flags_and_variables(directory: FleetDirectory) -> None:
    (directory.path / "users").mkdir()
    fleet = directory.fleet(
        users_dir="users",
        system_db=directory.path / "all.db",
        user_pattern="{username}.sqlite",
        journal_mode="wal",
        follow_symlinks=False,
        jobs=2,
        busy_timeout=1.5,
    )
    fleet.init("ann")
    assert (directory.path / "all.db").is_file()
    connection = sqlite3.connect(directory.path / "users" / "ann.sqlite")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_settings_override_variables_and_variables_apply(
    directory: FleetDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TATMIG_USER_PATTERN", "{username}.env")
    monkeypatch.setenv("TATMIG_QUIET", "1")
    monkeypatch.setenv("TATMIG_VERBOSE", "1")
    directory.fleet().init("ann")
    assert (directory.path / "ann.env").is_file()
    directory.fleet(user_pattern="{username}.arg").init("ann")
    assert (directory.path / "ann.arg").is_file()


def test_a_wrong_setting_is_a_type_error(directory: FleetDirectory) -> None:
    with pytest.raises(TypeError, match="did you mean `users_dir`"):
        directory.fleet(user_dir="users")
    with pytest.raises(TypeError, match="did you mean `backup`"):
        directory.fleet().upgrade(backups=True)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="max_processes"):
        directory.fleet(max_processes=0)


def test_paths_are_relative_to_the_directory_at_construction(
    users: FleetDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(users.path)
    fleet = tatmig.Fleet("MIGRATIONS.md")
    monkeypatch.chdir("/")
    assert fleet.status().is_current
    assert fleet.ensure("ann").path == "ann_longterm.db"


def test_the_program_finds_the_document_if_none_is_given(users: FleetDirectory) -> None:
    os.rename(users.document, users.path / "OTHER.md")
    (users.path / "tatmig.toml").write_text('file = "OTHER.md"\n')
    assert tatmig.Fleet(cwd=users.path).status().file.endswith("OTHER.md")


def test_a_missing_program_is_a_program_error(directory: FleetDirectory) -> None:
    with pytest.raises(tatmig.ProgramError, match="cannot be started"):
        directory.fleet(executable="/nonexistent/tatmig").status()
    with pytest.raises(tatmig.ProgramError, match="nonexistent"):
        tatmig.Fleet(cwd="/nonexistent").status()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo broken >&2; exit 101", "exit status 101 and printed no JSON document: broken"),
        ("kill -9 $$", "killed by signal 9"),
        ("echo '[]'", "JSON format None"),
        ("""echo '{"format": 2}'""", "JSON format 2"),
    ],
)
def test_an_answer_that_is_not_understood_is_a_program_error(
    directory: FleetDirectory, script: str, message: str
) -> None:
    program = directory.path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(tatmig.ProgramError, match=message):
        directory.fleet(executable=program).status()


def test_unknown_keys_are_ignored(directory: FleetDirectory) -> None:
    program = directory.path / "program"
    program.write_text(
        """#!/bin/sh
echo '{"format": 1, "command": "status", "file": "M.md", "head": "1.0.0", "later": [1],
  "databases": [{"name": "ann", "scope": "user", "path": "a.db", "state": "current", "later": {},
    "error": {"message": "odd", "rule": null, "later": 1}}],
  "problems": [{"severity": "note", "message": "m", "later": 1}],
  "error": null, "summary": {"total": 1, "later": 1}}'
"""
    )
    program.chmod(0o755)
    result = directory.fleet(executable=program).status()
    assert result.databases[0].error == tatmig.ErrorDetail("odd")
    assert result.problems == (tatmig.Problem("m", severity="note"),)


def test_a_run_that_a_signal_ended_raises_a_stopped_error(directory: FleetDirectory) -> None:
    program = directory.path / "program"
    program.write_text(
        """#!/bin/sh
echo '{"format": 1, "command": "upgrade", "file": "M.md", "head": null, "databases": [],
  "problems": [], "error": null, "summary": {"total": 0}}'
exit 143
"""
    )
    program.chmod(0o755)
    for command in ("upgrade", "status", "verify"):
        with pytest.raises(tatmig.StoppedError) as caught:
            getattr(directory.fleet(executable=program), command)()
        assert caught.value.exit_status == 143


@pytest.mark.skipif(os.name == "nt", reason="no SIGALRM")
def test_an_interrupt_ends_the_program_first(users: FleetDirectory) -> None:
    users.query("ann", "INSERT INTO notes (body) VALUES ('slow')")
    users.write_document(BASELINE, SLOW)
    started = time.monotonic()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        with pytest.raises(KeyboardInterrupt):
            users.fleet().upgrade("ann")
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert time.monotonic() - started < 15
    # No process holds the database.
    users.query("ann", "INSERT INTO notes (body) VALUES ('free')")
    assert users.versions("ann") == ["1.0.0"]


def test_the_module_runs_the_program(users: FleetDirectory) -> None:
    command = [sys.executable, "-m", "tatmig", "status", "--exit-code"]
    users.write_document(BASELINE, PINNED)
    ended = subprocess.run(command, cwd=users.path, capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    assert "ann" in ended.stdout


def test_package_and_program_have_one_version() -> None:
    program = tatmig.find_program()
    printed = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert printed.splitlines()[0].split()[1] == tatmig.__version__
    assert (Path(tatmig.__file__).parent / "py.typed").is_file()
