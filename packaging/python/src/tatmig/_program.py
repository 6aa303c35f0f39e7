"""Runs the program `tatmig` as a process and reads its answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from .errors import ProgramError
from .results import ErrorDetail

#: The version of the JSON format that this package reads.
JSON_FORMAT = 1

#: Variables that change what the program prints, and nothing that it does.
_OUTPUT_VARIABLES = ("TATMIG_COLOR", "TATMIG_JSON", "TATMIG_QUIET", "TATMIG_VERBOSE")

# A child of a service without a console would open a window of its own.
_CREATION_FLAGS: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)


def find_program() -> str:
    """The path of the program that was installed with this package.

    Raises `ProgramError` if the package was not installed from a wheel.
    """
    name = "tatmig" + (sysconfig.get_config_var("EXE") or "")
    package = os.path.dirname(os.path.abspath(__file__))
    directories = [
        # The scripts of this environment, and of `pip install --user`.
        sysconfig.get_path("scripts"),
        sysconfig.get_path("scripts", scheme=_user_scheme()),
        # `pip install --prefix DIR`: DIR/lib/python3.x/site-packages/tatmig.
        os.path.join(package, *[os.pardir] * 4, "bin"),
        # The same on Windows: DIR/Lib/site-packages/tatmig.
        os.path.join(package, *[os.pardir] * 3, "Scripts"),
        # `pip install --target DIR`: DIR/tatmig.
        os.path.join(package, os.pardir, "bin"),
    ]
    for directory in directories:
        path = os.path.normpath(os.path.join(directory, name))
        if os.path.isfile(path):
            return path
    message = "the program `tatmig` was not found beside the package"
    help_text = "install the package with pip, or pass the path of the program as `executable`"
    raise ProgramError(ErrorDetail(message, help=help_text))


def _user_scheme() -> str:
    if sys.version_info >= (3, 10):
        return sysconfig.get_preferred_scheme("user")
    if os.name == "nt":
        return "nt_user"
    if sys.platform == "darwin" and sysconfig.get_config_var("PYTHONFRAMEWORK"):
        return "osx_framework_user"
    return "posix_user"


class Answer:
    """What the program printed, and its exit status."""

    def __init__(self, envelope: Mapping[str, Any], exit_status: int) -> None:
        self.envelope = envelope
        self.exit_status = exit_status


class Program:
    """The program with the settings of a fleet."""

    def __init__(
        self,
        executable: Optional[str],
        cwd: str,
        arguments: Sequence[str],
        variables: Mapping[str, str],
    ) -> None:
        self._executable = executable
        self._arguments = list(arguments)
        self._variables = dict(variables)
        self.cwd = cwd

    def process(self, command: str, *arguments: str) -> Process:
        """A process that is not started yet."""
        if self._executable is None:
            self._executable = find_program()
        argv = [self._executable, command, "--json", *self._arguments, *arguments]
        return Process(argv, self.cwd, self._environment())

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        for name in _OUTPUT_VARIABLES:
            environment.pop(name, None)
        environment.update(self._variables)
        return environment


class Process:
    """One run of the program. `run` and `stop` may be called from different threads."""

    def __init__(self, argv: list[str], cwd: str, environment: dict[str, str]) -> None:
        self._argv = argv
        self._cwd = cwd
        self._environment = environment
        self._lock = threading.Lock()
        self._is_stopped = False
        self._popen: Optional[subprocess.Popen[bytes]] = None

    def run(self) -> Answer:
        """Runs the process to its end.

        An exception such as `KeyboardInterrupt` ends the process first: the database that is
        being migrated is rolled back.
        """
        popen = self._start()
        with popen:
            try:
                output, messages = popen.communicate()
            except BaseException:
                self.stop()
                # The program must not wait for a reader of its output.
                for pipe in (popen.stdout, popen.stderr):
                    if pipe is not None:
                        pipe.close()
                popen.wait()
                raise
        return _read_answer(output, messages, popen.returncode)

    def stop(self) -> None:
        """Asks the process to end. It rolls back the databases that are being migrated."""
        with self._lock:
            self._is_stopped = True
            if self._popen is not None:
                self._popen.terminate()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_stopped:
                raise ProgramError(ErrorDetail("stopped before the program was started"))
            try:
                self._popen = subprocess.Popen(
                    self._argv,
                    cwd=self._cwd,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    creationflags=_CREATION_FLAGS,
                )
            except OSError as error:
                message = f"the program `{self._argv[0]}` cannot be started: {error}"
                raise ProgramError(ErrorDetail(message)) from error
            return self._popen


def _read_answer(output: bytes, messages: bytes, exit_status: int) -> Answer:
    try:
        envelope = json.loads(output.decode("utf-8"))
    except ValueError as error:
        message = f"the program ended with exit status {exit_status} and printed no JSON document"
        if exit_status < 0:
            message = f"the program was killed by signal {-exit_status}"
        printed = messages.decode("utf-8", "backslashreplace").strip()
        if printed:
            message += f": {printed[-2000:]}"
        raise ProgramError(ErrorDetail(message), exit_status) from error
    found = envelope.get("format") if isinstance(envelope, dict) else None
    if found != JSON_FORMAT:
        message = f"the program prints JSON format {found}; this package reads {JSON_FORMAT}"
        help_text = "install the package and the program in the same version"
        raise ProgramError(ErrorDetail(message, help=help_text), exit_status)
    return Answer(envelope, exit_status)
