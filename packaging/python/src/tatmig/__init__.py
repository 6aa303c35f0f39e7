"""Migrates SQLite databases, one per user, from one Markdown file.

`Fleet` and `AsyncFleet` run the program `tatmig`, which is installed with this package, as a
process. https://pypi.org/project/tatmig describes how to use them.
"""

from importlib.metadata import PackageNotFoundError, version

from ._async_fleet import AsyncFleet
from ._fleet import Fleet
from ._program import find_program
from ._settings import Settings, UpgradeOptions
from .errors import (
    BusyError,
    DocumentError,
    MigrationError,
    ProgramError,
    StoppedError,
    TatmigError,
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
)

__all__ = [
    "AsyncFleet",
    "BusyError",
    "CreatedDatabase",
    "DatabaseCheck",
    "DatabaseRun",
    "DatabaseStatus",
    "Detected",
    "DocumentError",
    "ErrorDetail",
    "Fleet",
    "InitResult",
    "LintResult",
    "MigrationError",
    "PlannedMigration",
    "Problem",
    "ProgramError",
    "Settings",
    "StatusResult",
    "StoppedError",
    "TatmigError",
    "UpgradeOptions",
    "UpgradeResult",
    "UsageError",
    "VerifyResult",
    "find_program",
]

try:
    __version__ = version("tatmig")
except PackageNotFoundError:  # The source was imported without being installed.
    __version__ = "0"
