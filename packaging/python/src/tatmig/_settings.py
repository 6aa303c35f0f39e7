"""The settings of a fleet, and the arguments that they become."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from typing import TypedDict, Union

StrPath = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]


class Settings(TypedDict, total=False):
    """The settings of `Fleet` and `AsyncFleet`.

    They override environment variables and `tatmig.toml`, as the flags of the same name do.
    """

    #: The system database.
    system_db: StrPath
    #: The directory of the user databases.
    users_dir: StrPath
    #: The file name of a user database, such as `{username}.db`.
    user_pattern: str
    #: The directory of the backups.
    backups_dir: StrPath
    #: The settings file.
    config: StrPath
    #: Whether to open user databases that are symbolic links.
    follow_symlinks: bool
    #: Seconds to wait for a locked database.
    busy_timeout: float
    #: How many databases one process works on at once.
    jobs: int
    #: Only the users of one part, such as `2/8`.
    shard: str
    #: The journal mode of the databases that are created: `delete` or `wal`.
    journal_mode: str
    #: The libSQL servers that hold the databases as namespaces.
    server: Union[str, Sequence[str]]
    #: The admin addresses of the servers, one for each server.
    admin: Union[str, Sequence[str]]
    #: The name of a user's namespace.
    namespace_pattern: str
    #: The namespace of the system database.
    system_namespace: str
    #: The list of users: `query:SELECT …` or `file:PATH`.
    users_from: str
    #: A file that maps users to servers.
    users_on: StrPath
    #: Seconds that a request to a server may take.
    server_timeout: float
    #: The token of the servers.
    auth_token: str
    #: The key of the admin addresses.
    admin_key: str


class UpgradeOptions(TypedDict, total=False):
    """The options of `upgrade`, as the flags of the same name."""

    #: Select the system database and every user.
    all_users: bool
    #: Leave the system database out.
    no_system: bool
    #: Stop at this version.
    to: str
    #: Back up the databases with pending migrations first.
    backup: bool
    #: Run and check everything on the real databases, then roll back.
    rehearse: bool
    #: Rehearse the whole fleet first; commit only if every database passes.
    all_or_nothing: bool
    #: Only report what would run, in `UpgradeResult.migrations`.
    dry_run: bool
    #: Start no other database after a failure.
    fail_fast: bool
    #: Migrate this many users first; continue only if all of them succeed.
    canary: int


#: Settings that a variable passes, not an argument: secrets, a flag of one command only, and a
#: switch that must be able to override `tatmig.toml` with false.
_VARIABLES = {
    "admin_key": "TATMIG_ADMIN_KEY",
    "auth_token": "TATMIG_AUTH_TOKEN",
    "follow_symlinks": "TATMIG_FOLLOW_SYMLINKS",
    "journal_mode": "TATMIG_JOURNAL_MODE",
}


def check_names(given: Mapping[str, object], known: type, kind: str) -> None:
    """Raises `TypeError` for a keyword argument that does not exist, as Python does."""
    for name in given:
        if name not in known.__annotations__:
            similar = difflib.get_close_matches(name, known.__annotations__, n=1)
            hint = f"; did you mean `{similar[0]}`?" if similar else ""
            raise TypeError(f"`{name}` is not {kind}{hint}")


def to_arguments(options: Mapping[str, object]) -> list[str]:
    """The flags of options. A value that begins with `-` is safe, since it follows a `=`."""
    arguments = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if name in _VARIABLES or value is None or value is False:
            continue
        if value is True:
            arguments.append(flag)
            continue
        values = value if isinstance(value, (list, tuple)) else [value]
        arguments += [f"{flag}={to_text(item)}" for item in values]
    return arguments


def to_variables(settings: Mapping[str, object]) -> dict[str, str]:
    """The environment variables of settings."""
    return {
        _VARIABLES[name]: to_text(value)
        for name, value in settings.items()
        if name in _VARIABLES and value is not None
    }


def to_user(name: object) -> str:
    """The name of a user as an argument.

    Raises `TypeError` for anything but text or bytes: `None` must not become the user `None`.
    """
    if isinstance(name, (str, bytes)):
        return os.fsdecode(name)
    raise TypeError(f"a user is `str` or `bytes`, not `{type(name).__name__}`")


def to_text(value: object) -> str:
    """A value as an argument. Bytes that are not text become surrogates, which `subprocess` turns
    into the same bytes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, bytes, os.PathLike)):
        return os.fsdecode(value)
    return str(value)
