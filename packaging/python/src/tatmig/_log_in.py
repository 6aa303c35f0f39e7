"""Migrates users as they log in: one process at a time for each user, a few at once, and none for
a user who is known to be at head.

Threads and asyncio tasks share this. Every run of the program is waited for by a thread of a pool,
so that a caller that is cancelled leaves nothing behind: the run ends, and its result is remembered
or logged.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Callable, NamedTuple, Optional

from ._document import Document
from .results import DatabaseRun

_logger = logging.getLogger("tatmig")

#: Migrates a user's database (created first if it is missing and the second argument is true).
Migrate = Callable[[str, bool], DatabaseRun]


class _FileIdentity(NamedTuple):
    device: int
    inode: int
    size: int


class _KnownUser(NamedTuple):
    run: DatabaseRun
    path: str
    #: `None` if the database is not a file, or its name is not text.
    identity: Optional[_FileIdentity]

    def is_unchanged(self) -> bool:
        """Whether the database is the file that was migrated: not deleted, not replaced."""
        if self.identity is None:
            return True
        found = _file_identity(self.path)
        # A file that was deleted and created again can have the inode of the old one, but not
        # yet its size.
        return found is not None and found[:2] == self.identity[:2] and found[2] >= self.identity[2]


class Basis(NamedTuple):
    """What a run must have seen to answer a call."""

    #: The hash of the document; `None` if it is not known.
    digest: Optional[bytes]
    #: How often `forget` was called.
    epoch: int


class _Memory:
    """The users at head, for one content of the document."""

    def __init__(self, digest: Optional[bytes]) -> None:
        self.digest = digest
        self.users: dict[str, _KnownUser] = {}


#: All instances, for `fork`.
_instances: weakref.WeakSet[LogIn] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for log_in in list(_instances):
        log_in.start_empty()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Flight:
    """A run of the program for one user, and how many callers wait for it."""

    def __init__(self, user: str, basis: Basis, create: bool) -> None:
        self.user = user
        self.basis = basis
        self.create = create
        self.waiters = 0
        self.future: Future[DatabaseRun]

    def answers(self, basis: Basis, create: bool) -> bool:
        """Whether the result is one for this document, and of a run that may create."""
        return self.basis == basis and self.create >= create


class LogIn:
    """What one fleet knows about its users."""

    def __init__(self, migrate: Migrate, document: Document, cwd: str, max_processes: int) -> None:
        self._migrate = migrate
        self._document = document
        self._cwd = cwd
        self._max_processes = max_processes
        self._memory = _Memory(None)
        self._epoch = 0
        self.start_empty()
        _instances.add(self)

    def start_empty(self) -> None:
        """A child of `fork` has neither the threads nor the runs of its parent."""
        self._lock = threading.Lock()
        self._flights: dict[str, Flight] = {}
        self._pool = ThreadPoolExecutor(self._max_processes, thread_name_prefix="tatmig")

    def basis(self) -> Basis:
        """What a run must see that starts now."""
        return Basis(self._document.digest(), self._epoch)

    def is_outdated(self, basis: Basis) -> bool:
        """Whether the document changed. A run for the earlier content may have failed only because
        another run had applied the new one to the system database already."""
        return self._document.digest() != basis.digest

    def recall(self, user: str, basis: Basis) -> Optional[DatabaseRun]:
        """The result for a user who is at head of this document already."""
        memory = self._memory
        if basis.digest is None or memory.digest != basis.digest:
            return None
        known = memory.users.get(user)
        return known.run if known is not None and known.is_unchanged() else None

    def forget(self, user: Optional[str]) -> None:
        """Forgets one user, or all. The result of a run that has started is not remembered."""
        with self._lock:
            self._epoch += 1
            if user is None:
                self._memory = _Memory(None)
            else:
                self._memory.users.pop(user, None)

    def join(self, user: str, basis: Basis, create: bool) -> Flight:
        """The run for this user that is going on, or a new one. The caller waits for `future`, and
        calls `leave` if it stops waiting before the run ended."""
        with self._lock:
            flight = self._flights.get(user)
            if flight is None:
                flight = Flight(user, basis, create)
                flight.future = self._pool.submit(self._fly, flight)
                self._flights[user] = flight
            flight.waiters += 1
            return flight

    def leave(self, flight: Flight) -> None:
        """A run that no caller waits for is not started; if it has started, it runs to its end."""
        with self._lock:
            flight.waiters -= 1
            is_abandoned = flight.waiters == 0 and flight.future.cancel()
            if is_abandoned and self._flights.get(flight.user) is flight:
                del self._flights[flight.user]

    def _fly(self, flight: Flight) -> DatabaseRun:
        started_ns = time.time_ns()
        known = None
        try:
            run = self._migrate(flight.user, flight.create)
            known = self._observe(run)
            return run
        except BaseException as error:
            if flight.waiters == 0:
                message = "the migration of user %r, which no caller waits for, failed: %s"
                _logger.warning(message, flight.user, error)
            raise
        finally:
            digest = self._digest_of_run(flight, started_ns)
            with self._lock:
                is_recent = flight.basis.epoch == self._epoch
                if known is not None and digest is not None and is_recent:
                    if self._memory.digest != digest:
                        self._memory = _Memory(digest)
                    self._memory.users[flight.user] = known
                if self._flights.get(flight.user) is flight:
                    del self._flights[flight.user]

    def _digest_of_run(self, flight: Flight, started_ns: int) -> Optional[bytes]:
        """The hash of the document that the program read; `None` if the file changed meanwhile."""
        digest = self._document.digest()
        if flight.basis.digest is None:
            return digest if self._document.is_older_than(started_ns) else None
        return digest if digest == flight.basis.digest else None

    def _observe(self, run: DatabaseRun) -> _KnownUser:
        path = os.path.join(self._cwd, run.path)
        current = replace(
            run, outcome="current", from_version=run.to_version, steps=(), notes=(), duration_ms=0
        )
        return _KnownUser(current, path, _file_identity(path))


def _file_identity(path: str) -> Optional[_FileIdentity]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return _FileIdentity(found.st_dev, found.st_ino, found.st_size)
