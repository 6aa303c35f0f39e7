"""The exceptions that `Fleet` and `AsyncFleet` raise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from .results import ErrorDetail, Problem

__all__ = [
    "BusyError",
    "DocumentError",
    "MigrationError",
    "ProgramError",
    "StoppedError",
    "TatmigError",
    "UsageError",
]


class TatmigError(Exception):
    """A command failed.

    The base class of all exceptions of this package. The attributes have the same meaning as the
    keys of `error` in the program's JSON; each is `None` (`rows`: empty) if it does not apply.
    """

    #: What the program reported.
    detail: ErrorDetail
    #: The exit status of the program; `None` if it could not be started.
    exit_status: Optional[int]

    def __init__(self, detail: ErrorDetail, exit_status: Optional[int] = None) -> None:
        # The arguments of the base class are what pickle passes to the copy.
        super().__init__(detail, exit_status)
        self.detail = detail
        self.exit_status = exit_status

    @property
    def message(self) -> str:
        """What failed and why, without the position."""
        return self.detail.message

    @property
    def rule(self) -> Optional[str]:
        """The name of a rule, such as `foreign-keys`."""
        return self.detail.rule

    @property
    def file(self) -> Optional[str]:
        """The path of the document, if the error has a position in it."""
        return self.detail.file

    @property
    def line(self) -> Optional[int]:
        """The line in the document, from 1."""
        return self.detail.line

    @property
    def column(self) -> Optional[int]:
        """The column in the document, from 1, in characters."""
        return self.detail.column

    @property
    def help(self) -> Optional[str]:
        """What to do next."""
        return self.detail.help

    @property
    def rows(self) -> tuple[str, ...]:
        """The first rows that the error is about."""
        return self.detail.rows

    def __str__(self) -> str:
        return str(self.detail)


class UsageError(TatmigError):
    """The command cannot be run: a setting, a user or a file is wrong. Nothing was changed."""


class DocumentError(TatmigError):
    """The document cannot be used. No database was changed."""

    #: Everything that the program found in the document, warnings included.
    problems: tuple[Problem, ...]

    def __init__(
        self, detail: ErrorDetail, exit_status: Optional[int], problems: tuple[Problem, ...]
    ) -> None:
        super().__init__(detail, exit_status)
        self.problems = problems
        self.args = (detail, exit_status, problems)


class MigrationError(TatmigError):
    """At least one database failed. Each database that failed was left as it was.

    The position, the help and the rows are those of the first failure; `result` has them all.
    """

    #: What became of every database: the result that the method returns on success. `None` if
    #: the failure does not belong to a database.
    result: Any
    #: The name of the first database that failed: a user, or `system`.
    database: Optional[str]

    def __init__(
        self, detail: ErrorDetail, exit_status: Optional[int], result: Any, database: Optional[str]
    ) -> None:
        super().__init__(detail, exit_status)
        self.result = result
        self.database = database
        self.args = (detail, exit_status, result, database)

    def __str__(self) -> str:
        text = super().__str__()
        return f"{self.database}: {text}" if self.database is not None else text


class BusyError(MigrationError):
    """Another process kept the database locked for longer than `busy_timeout`; try again later."""


class StoppedError(MigrationError):
    """The program was ended by a signal. Running databases were rolled back."""


class ProgramError(TatmigError):
    """The program is missing, cannot be started, or did not answer with a JSON document."""
