"""A fleet in an empty directory, for tests of the installed package on real files."""

from __future__ import annotations

import os
import shlex
import sqlite3
import stat
import sys
import time
from pathlib import Path
from typing import Any, Callable

import pytest

import tatmig


def _part(name: str) -> str:
    """A part of a document in packaging/documents, which the tests of the npm package read too."""
    path = Path(__file__).parents[2] / "documents" / f"{name}.md"
    return path.read_text(encoding="utf-8")


BASELINE = _part("baseline")
PINNED = _part("pinned")
UNIQUE = _part("unique")
# Instant in memory, where the table is empty; half a minute for each row of a real database.
SLOW = _part("slow")
#: The line of the statement in the sections above, below the baseline.
STATEMENT_LINE = 33


class FleetDirectory:
    """A directory with a document and databases."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.document = path / "MIGRATIONS.md"
        self.write_document(BASELINE)

    def write_document(self, *sections: str) -> None:
        # A new file under the old name, as deployments do.
        new = self.path / "MIGRATIONS.md.new"
        new.write_text("".join(sections), encoding="utf-8")
        os.replace(new, self.document)

    def settle_document(self) -> None:
        """Gives the document the age that it has in production."""
        # The time of change cannot be set.
        time.sleep(2.1)

    def fleet(self, **settings: Any) -> tatmig.Fleet:
        return tatmig.Fleet(self.document, cwd=self.path, **settings)

    def async_fleet(self, **settings: Any) -> tatmig.AsyncFleet:
        return tatmig.AsyncFleet(self.document, cwd=self.path, **settings)

    def database(self, user: str) -> Path:
        return self.path / f"{user}_longterm.db"

    def query(self, user: str, sql: str) -> list[Any]:
        connection = sqlite3.connect(self.database(user))
        try:
            with connection:
                return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def versions(self, user: str) -> list[str]:
        """The versions of the database's history, oldest first."""
        rows = self.query(user, "SELECT to_version FROM _tatmig_migrations ORDER BY id")
        return [version for (version,) in rows]


@pytest.fixture
def directory(tmp_path: Path) -> FleetDirectory:
    return FleetDirectory(tmp_path)


@pytest.fixture
def users(directory: FleetDirectory) -> FleetDirectory:
    """The directory with the system database, ann and bob at 1.0.0."""
    directory.fleet().init(["ann", "bob"])
    return directory


class ProgramLog:
    """A program that writes down when it starts and ends, and runs the real one."""

    def __init__(self, path: Path) -> None:
        self._log = path / "program.log"
        self._log.touch()
        self.executable = path / "program"
        self.executable.write_text(
            f"""\
#!{sys.executable}
import os, subprocess, sys, time
log = os.open({str(self._log)!r}, os.O_WRONLY | os.O_APPEND)
os.write(log, b"start %s\\n" % os.fsencode(sys.argv[-1]))
time.sleep(float(os.environ.get("TEST_DELAY", "0")))
status = subprocess.run([{tatmig.find_program()!r}, *sys.argv[1:]]).returncode
os.write(log, b"end %s\\n" % os.fsencode(sys.argv[-1]))
sys.exit(status)
""",
            encoding="utf-8",
        )
        self.executable.chmod(self.executable.stat().st_mode | stat.S_IXUSR)

    def lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8").splitlines()

    def starts(self, user: str) -> int:
        return self.lines().count(f"start --user={user}")

    def peak(self, is_counted: Callable[[str], bool] = lambda _: True) -> int:
        """The largest number of processes that ran at once."""
        running = peak = 0
        for line in filter(is_counted, self.lines()):
            running += 1 if line.startswith("start") else -1
            peak = max(peak, running)
        return peak


@pytest.fixture
def program_log(tmp_path_factory: pytest.TempPathFactory) -> ProgramLog:
    return ProgramLog(tmp_path_factory.mktemp("program"))


@pytest.fixture
def overtaken_program(users: FleetDirectory) -> Path:
    """A program whose first run has read 1.0.0 when another run migrates everything to 1.1.0."""
    (users.path / "new.md").write_text(BASELINE + PINNED, encoding="utf-8")
    executable = users.path / "program"
    executable.write_text(
        f"""\
#!/bin/sh
program={shlex.quote(tatmig.find_program())}
if [ -e new.md ]; then
    cp MIGRATIONS.md old.md
    mv new.md MIGRATIONS.md
    "$program" upgrade --all-users --quiet
    for argument; do
        shift
        case $argument in --file=*) argument=--file=old.md ;; esac
        set -- "$@" "$argument"
    done
fi
exec "$program" "$@"
""",
        encoding="utf-8",
    )
    executable.chmod(0o755)
    return executable
