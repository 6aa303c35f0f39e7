"""The class `Fleet`: the commands of the program as methods."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Callable, Generic, Optional, TypeVar, Union

from . import _answers
from ._document import Document
from ._log_in import LogIn
from ._program import Answer, Process, Program
from ._settings import (
    Settings,
    StrPath,
    UpgradeOptions,
    check_names,
    to_arguments,
    to_text,
    to_user,
    to_variables,
)
from .errors import TatmigError, UsageError
from .results import (
    DatabaseRun,
    InitResult,
    LintResult,
    StatusResult,
    UpgradeResult,
    VerifyResult,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")

#: A user's name as text, or as bytes if it is not UTF-8.
User = Union[str, bytes]
Users = Union[User, Iterable[User], None]


class Call(Generic[T]):
    """One run of the program, and how its answer becomes a result."""

    def __init__(self, process: Process, read: Callable[[Answer], T]) -> None:
        self._process = process
        self._read = read

    def run(self) -> T:
        return self._read(self._process.run())

    def stop(self) -> None:
        self._process.stop()


class Fleet:
    """The databases that one document migrates.

    Each method runs the program `tatmig` as a process, never SQLite in this process: two copies of
    SQLite in one process do not see each other's locks. All methods may be called from several
    threads at once.

    `document` is the path of the Markdown file. Without it the program decides, as on the command
    line: `TATMIG_FILE`, then `file` in `tatmig.toml`, then `MIGRATIONS.md`. Paths are relative to
    `cwd`, which is the current directory at the time of this call by default. `executable` is the
    program; by default the one that was installed with this package. `max_processes` is how many
    processes `ensure` runs at once. `Settings` lists the other keyword arguments.
    """

    def __init__(
        self,
        document: Optional[StrPath] = None,
        *,
        cwd: Optional[StrPath] = None,
        executable: Optional[StrPath] = None,
        max_processes: int = 8,
        **settings: Unpack[Settings],
    ) -> None:
        check_names(settings, Settings, "a setting of a fleet")
        if max_processes < 1:
            raise ValueError("max_processes must be at least 1")
        # The current directory may change later.
        directory = os.path.abspath(os.fsdecode(cwd) if cwd is not None else os.curdir)
        arguments = to_arguments(settings)
        path = None
        if document is not None:
            arguments.append(f"--file={to_text(document)}")
            path = os.path.join(directory, to_text(document))
        self._program = Program(
            None if executable is None else os.path.join(os.getcwd(), os.fsdecode(executable)),
            directory,
            arguments,
            to_variables(settings),
        )
        self._document = Document(path)
        self._log_in = LogIn(self._migrate, self._document, directory, max_processes)

    def upgrade(self, user: Users = None, **options: Unpack[UpgradeOptions]) -> UpgradeResult:
        """Applies pending migrations: to the system database first, then to the selected users.

        `user` is one name or several; `UpgradeOptions` lists the other keyword arguments. Raises
        `MigrationError` if a database failed; the others were migrated all the same, and
        `MigrationError.result` has all of them.
        """
        return self._upgrade(user, options).run()

    def status(self, user: Users = None, *, system: bool = False) -> StatusResult:
        """Reads the versions of databases and what is pending: of all, of the users named, or of
        the system database. Changes nothing.

        A database that cannot be read has the state `error`; no exception is raised for it.
        """
        return self._status(user, system).run()

    def verify(self, user: Users = None, *, system: bool = False) -> VerifyResult:
        """Checks integrity, foreign keys, history and schema: of all databases, of the users named,
        or of the system database. Changes nothing.

        What is wrong with a database is in its `findings`; no exception is raised for it.
        """
        return self._verify(user, system).run()

    def lint(
        self,
        *,
        deny: Iterable[str] = (),
        allow: Iterable[str] = (),
        min_sqlite: Optional[str] = None,
    ) -> LintResult:
        """Checks the document. No database is opened.

        What is wrong is in `problems`; an exception is raised only if the file cannot be read.
        """
        return self._lint(deny, allow, min_sqlite).run()

    def init(self, user: Users = None) -> InitResult:
        """Creates the system database, if it is missing, and the databases of the users named.

        Existing databases are left unchanged. Raises `MigrationError` if one cannot be created.
        """
        return self._init(user).run()

    def ensure(self, user: User, *, create: bool = False) -> DatabaseRun:
        """Returns when the user's database is at head: call it at log-in.

        The first call for a user runs the program. Later calls return at once, from memory, until
        the document changes or the database's file is deleted or replaced. Calls for one user at
        the same time wait for the same process. A failure is raised in each of them, and is not
        remembered. With `create=True` a missing database is created.
        """
        name = to_user(user)
        while True:
            basis = self._log_in.basis()
            run = self._log_in.recall(name, basis)
            if run is not None:
                return run
            flight = self._log_in.join(name, basis, create)
            try:
                if flight.answers(basis, create):
                    return flight.future.result()
                # A run for an earlier document, or one that may not create: the next is ours.
                flight.future.exception()
            except TatmigError:
                if not self._log_in.is_outdated(basis):
                    raise
            finally:
                self._log_in.leave(flight)

    def forget(self, user: Optional[User] = None) -> None:
        """Makes the next `ensure` of this user, or of all users, look at the database again.

        Call it after you changed a database's version yourself, for example with
        `tatmig restore`.
        """
        self._log_in.forget(None if user is None else to_user(user))

    def _migrate(self, name: str, create: bool) -> DatabaseRun:
        """What `ensure` runs for a user who is not known to be at head."""
        try:
            answer = self._program.process("upgrade", f"--user={name}").run()
            run = _answers.read_user_run(answer)
        except UsageError:
            if not create:
                raise
            # The user or the system database does not exist. If the cause is another one, `init`
            # fails for the same reason.
            self.init(name)
            answer = self._program.process("upgrade", f"--user={name}").run()
            run = _answers.read_user_run(answer)
        if self._document.path is None:
            self._document.path = os.path.join(self._program.cwd, answer.envelope["file"])
        return run

    def _upgrade(self, user: Users, options: UpgradeOptions) -> Call[UpgradeResult]:
        check_names(options, UpgradeOptions, "an option of `upgrade`")
        arguments = _user_arguments(user) + to_arguments(options)
        return self._call(_answers.read_upgrade, "upgrade", arguments)

    def _status(self, user: Users, system: bool) -> Call[StatusResult]:
        arguments = _user_arguments(user) + to_arguments({"system": system})
        return self._call(_answers.read_status, "status", arguments)

    def _verify(self, user: Users, system: bool) -> Call[VerifyResult]:
        arguments = _user_arguments(user) + to_arguments({"system": system})
        return self._call(_answers.read_verify, "verify", arguments)

    def _lint(
        self, deny: Iterable[str], allow: Iterable[str], min_sqlite: Optional[str]
    ) -> Call[LintResult]:
        arguments = [f"--deny={rule}" for rule in _each(deny)]
        arguments += [f"--allow={rule}" for rule in _each(allow)]
        if min_sqlite is not None:
            arguments.append(f"--min-sqlite={min_sqlite}")
        return self._call(_answers.read_lint, "lint", arguments)

    def _init(self, user: Users) -> Call[InitResult]:
        return self._call(_answers.read_init, "init", _user_arguments(user))

    def _call(self, read: Callable[[Answer], T], command: str, arguments: list[str]) -> Call[T]:
        return Call(self._program.process(command, *arguments), read)


def _user_arguments(user: Users) -> list[str]:
    return [f"--user={to_user(name)}" for name in _each(user)]


def _each(values: Any) -> Iterable[Any]:
    """One value or several: a text is one value, not its characters."""
    if values is None:
        return ()
    return (values,) if isinstance(values, (str, bytes)) else values
