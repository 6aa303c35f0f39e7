"""The results of commands, made from the program's JSON. Keys that are not known are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Optional, TypeVar

__all__ = [
    "CreatedDatabase",
    "DatabaseCheck",
    "DatabaseRun",
    "DatabaseStatus",
    "Detected",
    "ErrorDetail",
    "InitResult",
    "LintResult",
    "PlannedMigration",
    "Problem",
    "StatusResult",
    "UpgradeResult",
    "VerifyResult",
]

Scope = Literal["system", "user"]
State = Literal["new", "current", "behind", "unversioned", "ahead", "edited", "error"]
RunOutcome = Literal["upgraded", "current", "failed", "busy", "skipped", "rehearsed", "planned"]
CreateOutcome = Literal["created", "exists", "failed"]
Severity = Literal["error", "warning", "note"]
Match = Literal["matched", "ambiguous", "partial", "unrelated"]


@dataclass(frozen=True)
class ErrorDetail:
    """An error, with its position in the document if it has one."""

    message: str
    #: The name of a rule, such as `foreign-keys`.
    rule: Optional[str] = None
    #: What to do next.
    help: Optional[str] = None
    file: Optional[str] = None
    #: From 1.
    line: Optional[int] = None
    #: From 1, in characters.
    column: Optional[int] = None
    end_line: Optional[int] = None
    #: The column after the last character.
    end_column: Optional[int] = None
    #: The first rows that the error is about.
    rows: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = self.message
        if self.rule is not None:
            text += f" [{self.rule}]"
        if self.file is not None and self.line is not None:
            text += f"\n  at {self.file}:{self.line}:{self.column or 1}"
        if self.help is not None:
            text += f"\n  help: {self.help}"
        return text


@dataclass(frozen=True)
class Problem(ErrorDetail):
    """A diagnostic of the document, or a failure that does not belong to one database."""

    severity: Severity = "error"


@dataclass(frozen=True)
class Detected:
    """How the schema of a database without a history compares with the document."""

    match: Match
    version: Optional[str] = None
    candidates: tuple[str, ...] = ()
    #: The objects of the document that exist in the database.
    there: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Database:
    #: The user, or `system`. Bytes that are not UTF-8 are escaped.
    name: str
    scope: Scope
    #: Relative to the directory of the fleet (`cwd`); `NAMESPACE @ URL` on a server.
    path: str
    error: Optional[ErrorDetail] = None


@dataclass(frozen=True)
class DatabaseStatus(_Database):
    """A database in the result of `status`."""

    version: Optional[str] = None
    state: State = "error"
    #: The versions that `upgrade` would reach, in order.
    pending: tuple[str, ...] = ()
    detected: Optional[Detected] = None


@dataclass(frozen=True)
class DatabaseRun(_Database):
    """A database in the result of `upgrade`, and the result of `ensure`."""

    outcome: RunOutcome = "failed"
    #: The version before the run.
    from_version: Optional[str] = None
    #: The version after the run.
    to_version: Optional[str] = None
    #: The versions that were reached, in order.
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    duration_ms: int = 0
    #: Where the database was copied to before the run (`backup=True`).
    copy: Optional[str] = None


@dataclass(frozen=True)
class DatabaseCheck(_Database):
    """A database in the result of `verify`."""

    version: Optional[str] = None
    #: What is wrong. Empty if the database is as the document says.
    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CreatedDatabase(_Database):
    """A database in the result of `init`."""

    outcome: CreateOutcome = "failed"


@dataclass(frozen=True)
class PlannedMigration:
    """A migration that `upgrade(dry_run=True)` would run, and where."""

    scope: Scope
    from_version: str
    to_version: str
    #: The line of the document.
    line: Optional[int] = None
    #: The names of the databases.
    databases: tuple[str, ...] = ()
    #: The SQL, verbatim; `None` if the document has no block for this scope.
    sql: Optional[str] = None


@dataclass(frozen=True)
class _Result:
    #: The path of the document.
    file: str
    #: The last released version.
    head: Optional[str] = None
    problems: tuple[Problem, ...] = ()
    #: Counts; `total` is the number of databases.
    summary: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class StatusResult(_Result):
    """What `status` returns."""

    databases: tuple[DatabaseStatus, ...] = ()
    #: The versions of planned migrations.
    planned: tuple[str, ...] = ()

    @property
    def is_current(self) -> bool:
        """Whether every database is at head."""
        return all(database.state == "current" for database in self.databases)


@dataclass(frozen=True)
class UpgradeResult(_Result):
    """What `upgrade` returns."""

    databases: tuple[DatabaseRun, ...] = ()
    #: The version that was to be reached.
    target: Optional[str] = None
    #: With `dry_run=True`: the migrations that would run.
    migrations: tuple[PlannedMigration, ...] = ()


@dataclass(frozen=True)
class VerifyResult(_Result):
    """What `verify` returns."""

    databases: tuple[DatabaseCheck, ...] = ()
    #: Whether nothing is wrong with any database.
    is_ok: bool = False


@dataclass(frozen=True)
class LintResult(_Result):
    """What `lint` returns."""

    #: Whether the document can be used and breaks no rule that is an error or denied.
    is_ok: bool = False


@dataclass(frozen=True)
class InitResult(_Result):
    """What `init` returns."""

    databases: tuple[CreatedDatabase, ...] = ()


#: The keys of attributes whose key is not a name in Python, or is unclear as one.
_KEYS = {"from_version": "from", "to_version": "to"}

_T = TypeVar("_T")


def build(cls: type[_T], data: Mapping[str, Any], **converted: Any) -> _T:
    """An instance of the dataclass `cls` from a JSON object.

    Values in `converted` replace those of the object. Keys of the object without a field are
    ignored, and a missing or null key leaves the field at its default.
    """
    values: dict[str, Any] = {}
    for attribute in fields(cls):  # type: ignore[arg-type]
        value = data.get(_KEYS.get(attribute.name, attribute.name))
        if value is not None:
            values[attribute.name] = tuple(value) if isinstance(value, list) else value
    values.update(converted)
    return cls(**values)


def build_error(data: Optional[Mapping[str, Any]]) -> Optional[ErrorDetail]:
    """The value of a key `error`."""
    return None if data is None else build(ErrorDetail, data)
