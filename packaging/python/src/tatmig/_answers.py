"""Turns answers of the program into results, or into the exception that describes the failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional, TypeVar

from ._program import Answer
from .errors import (
    BusyError,
    DocumentError,
    MigrationError,
    ProgramError,
    StoppedError,
    UsageError,
)
from .results import (
    CreatedDatabase,
    DatabaseCheck,
    DatabaseRun,
    DatabaseStatus,
    Detected,
    ErrorDetail,
    InitResult,
    LintResult,
    PlannedMigration,
    Problem,
    StatusResult,
    UpgradeResult,
    VerifyResult,
    build,
    build_error,
)

#: Ended by SIGHUP, SIGINT or SIGTERM.
_SIGNAL_STATUSES = (129, 130, 143)

_T = TypeVar("_T")


def read_upgrade(answer: Answer) -> UpgradeResult:
    envelope = _checked(answer)
    migrations = tuple(
        build(PlannedMigration, migration) for migration in envelope.get("migrations", ())
    )
    result = build(
        UpgradeResult,
        envelope,
        **_shared(envelope),
        databases=_databases(DatabaseRun, envelope),
        migrations=migrations,
    )
    _raise_failure(answer, result, result.databases)
    return result


def read_user_run(answer: Answer) -> DatabaseRun:
    """The one user of an `upgrade --user`. The state of other databases does not matter if the user
    is at head."""
    envelope = _checked(answer)
    runs = _databases(DatabaseRun, envelope)
    result = build(UpgradeResult, envelope, **_shared(envelope), databases=runs, migrations=())
    for run in runs:
        if run.scope == "user" and run.outcome in ("upgraded", "current"):
            return run
    _raise_failure(answer, result, runs)
    message = "the program did not report what became of the user"
    raise ProgramError(ErrorDetail(message), answer.exit_status)


def read_status(answer: Answer) -> StatusResult:
    envelope = _checked(answer)
    databases = tuple(
        build(
            DatabaseStatus,
            database,
            error=build_error(database.get("error")),
            detected=build(Detected, database["detected"]) if database.get("detected") else None,
        )
        for database in envelope["databases"]
    )
    _raise_if_stopped(answer)
    return build(StatusResult, envelope, **_shared(envelope), databases=databases)


def read_verify(answer: Answer) -> VerifyResult:
    envelope = _checked(answer)
    databases = _databases(DatabaseCheck, envelope)
    _raise_if_stopped(answer)
    is_ok = answer.exit_status == 0
    return build(VerifyResult, envelope, **_shared(envelope), databases=databases, is_ok=is_ok)


def read_lint(answer: Answer) -> LintResult:
    envelope = answer.envelope
    # A document that cannot be used is what `lint` is for.
    if not envelope["problems"]:
        _checked(answer)
    _raise_if_stopped(answer)
    return build(LintResult, envelope, **_shared(envelope), is_ok=answer.exit_status == 0)


def read_init(answer: Answer) -> InitResult:
    envelope = _checked(answer)
    databases = _databases(CreatedDatabase, envelope)
    result = build(InitResult, envelope, **_shared(envelope), databases=databases)
    _raise_failure(answer, result, databases)
    return result


def _checked(answer: Answer) -> Mapping[str, Any]:
    """The envelope of a command that was not refused as a whole."""
    envelope = answer.envelope
    error = build_error(envelope["error"])
    if error is None:
        return envelope
    if answer.exit_status in _SIGNAL_STATUSES:
        raise StoppedError(error, answer.exit_status, None, None)
    problems = _problems(envelope)
    found = next((problem for problem in problems if problem.severity == "error"), None)
    if found is None:
        raise UsageError(error, answer.exit_status)
    raise DocumentError(found, answer.exit_status, problems)


def _raise_failure(answer: Answer, result: Any, databases: tuple[Any, ...]) -> None:
    """Raises the exception for an exit status that is not 0."""
    if answer.exit_status == 0:
        return
    failures = [database for database in databases if database.error is not None]
    detail, name = _first_error(answer, failures)
    cls: type[MigrationError] = MigrationError
    if answer.exit_status in _SIGNAL_STATUSES:
        cls = StoppedError
    elif failures and all(getattr(failure, "outcome", "") == "busy" for failure in failures):
        cls = BusyError
    raise cls(detail, answer.exit_status, result, name)


def _first_error(answer: Answer, failures: list[Any]) -> tuple[ErrorDetail, Optional[str]]:
    """The error of the first database that failed, or else of the whole run."""
    if failures:
        return failures[0].error, failures[0].name
    for problem in _problems(answer.envelope):
        if problem.severity == "error":
            return problem, None
    return ErrorDetail(f"the program ended with exit status {answer.exit_status}"), None


def _raise_if_stopped(answer: Answer) -> None:
    if answer.exit_status in _SIGNAL_STATUSES:
        detail = ErrorDetail("the program was ended by a signal")
        raise StoppedError(detail, answer.exit_status, None, None)


def _shared(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that every result has and that are objects in JSON."""
    return {"problems": _problems(envelope), "summary": dict(envelope["summary"])}


def _problems(envelope: Mapping[str, Any]) -> tuple[Problem, ...]:
    return tuple(build(Problem, problem) for problem in envelope["problems"])


def _databases(cls: type[_T], envelope: Mapping[str, Any]) -> tuple[_T, ...]:
    return tuple(
        build(cls, database, error=build_error(database.get("error")))
        for database in envelope["databases"]
    )
