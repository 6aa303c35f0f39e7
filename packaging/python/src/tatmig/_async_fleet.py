"""The class `AsyncFleet`: the methods of `Fleet` as coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Optional, TypeVar

from ._fleet import Call, Fleet, User, Users
from ._settings import Settings, StrPath, UpgradeOptions, to_user
from .errors import TatmigError
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


class AsyncFleet:
    """The databases that one document migrates, for asyncio.

    The arguments and the methods are those of `Fleet`. One instance may be used by several event
    loops and threads at once. `sync` is a `Fleet` that knows the same users.

    If the task that waits for `upgrade`, `init` or another command is cancelled, the process is
    asked to end, the databases that it is migrating are rolled back, and the cancellation continues
    when the process has ended. If the task that waits for `ensure` is cancelled, the migration runs
    to its end: the next `ensure` of this user waits for it or knows its result. A failure that no
    task waits for is logged by the logger `tatmig`.
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
        #: The same fleet for code without asyncio.
        self.sync = Fleet(
            document, cwd=cwd, executable=executable, max_processes=max_processes, **settings
        )

    async def upgrade(self, user: Users = None, **options: Unpack[UpgradeOptions]) -> UpgradeResult:
        """See `Fleet.upgrade`."""
        return await _run(self.sync._upgrade(user, options))

    async def status(self, user: Users = None, *, system: bool = False) -> StatusResult:
        """See `Fleet.status`."""
        return await _run(self.sync._status(user, system))

    async def verify(self, user: Users = None, *, system: bool = False) -> VerifyResult:
        """See `Fleet.verify`."""
        return await _run(self.sync._verify(user, system))

    async def lint(
        self,
        *,
        deny: Iterable[str] = (),
        allow: Iterable[str] = (),
        min_sqlite: Optional[str] = None,
    ) -> LintResult:
        """See `Fleet.lint`."""
        return await _run(self.sync._lint(deny, allow, min_sqlite))

    async def init(self, user: Users = None) -> InitResult:
        """See `Fleet.init`."""
        return await _run(self.sync._init(user))

    async def ensure(self, user: User, *, create: bool = False) -> DatabaseRun:
        """See `Fleet.ensure`."""
        name = to_user(user)
        log_in = self.sync._log_in
        while True:
            basis = log_in.basis()
            run = log_in.recall(name, basis)
            if run is not None:
                return run
            flight = log_in.join(name, basis, create)
            try:
                await _ended(flight.future)
                if flight.answers(basis, create):
                    return flight.future.result()
            except TatmigError:
                if not log_in.is_outdated(basis):
                    raise
            finally:
                log_in.leave(flight)

    def forget(self, user: Optional[User] = None) -> None:
        """See `Fleet.forget`."""
        self.sync.forget(user)


async def _run(call: Call[T]) -> T:
    """Runs the program in a thread of its own; ends it if the task is cancelled."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call.run())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="tatmig").start()
    try:
        await _ended(future)
    except asyncio.CancelledError:
        call.stop()
        while not future.done():
            try:
                await _ended(future)
            except asyncio.CancelledError:
                # The process is ending already.
                continue
        raise
    return future.result()


async def _ended(future: Future[Any]) -> None:
    """Returns when the future is done, whatever its result. A task that is cancelled here does not
    cancel the future, which other tasks and other loops may wait for."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def on_done(_: Future[Any]) -> None:
        # The loop may be closed; then no task waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(wake)

    future.add_done_callback(on_done)
    await waiter
