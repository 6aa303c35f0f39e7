"""A real server in a directory of its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import tatmig

from notes.accounts import Accounts

APPLICATION = Path(__file__).parent.parent
PASSWORD = "correct horse"


@dataclass(frozen=True)
class Installation:
    """The application's directory on a server."""

    path: Path

    @property
    def document(self) -> Path:
        return self.path / "MIGRATIONS.md"

    @property
    def fleet(self) -> tatmig.Fleet:
        return tatmig.Fleet("MIGRATIONS.md", cwd=self.path)

    @property
    def accounts(self) -> Accounts:
        return Accounts(self.path / "data" / "system.db")

    @property
    def log(self) -> str:
        return (self.path / "server.log").read_text("utf-8")

    def user_database(self, name: str) -> Path:
        return self.path / "data" / "users" / f"{name}.db"

    def release(self, document: str) -> None:
        """Replaces the document, as a deployment does: at once, with a complete file."""
        new = self.path / "MIGRATIONS.md.new"
        new.write_text(document, "utf-8")
        new.replace(self.document)

    def histories(self) -> dict[str, list[str]]:
        """The versions that each database reached, in order."""
        command = [tatmig.find_program(), "history", "--all-users", "--json"]
        ended = subprocess.run(command, cwd=self.path, capture_output=True, check=True)
        answer: dict[str, Any] = json.loads(ended.stdout)
        return {
            database["name"]: [entry["to"] for entry in database["history"]]
            for database in answer["databases"]
        }


@dataclass(frozen=True)
class Server:
    installation: Installation
    url: str

    def client(self) -> httpx.AsyncClient:
        """A client that opens a connection for each request, as many at once as it needs."""
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.AsyncClient(base_url=self.url, timeout=120, limits=limits)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    for name in ["MIGRATIONS.md", "tatmig.toml"]:
        shutil.copy(APPLICATION / name, tmp_path)
    (tmp_path / "data" / "users").mkdir(parents=True)
    return Installation(tmp_path)


@pytest.fixture
def workers() -> int:
    """How many processes serve the application."""
    return 1


@pytest.fixture
def server(installation: Installation, workers: int) -> Iterator[Server]:
    command = [sys.executable, "-m", "uvicorn", "notes.app:app", "--port=0"]
    command += [f"--app-dir={APPLICATION}", f"--workers={workers}"]
    # A machine that runs other tests may be slow to answer.
    command += ["--timeout-worker-healthcheck=60"]
    with (
        (installation.path / "server.log").open("wb") as log,
        subprocess.Popen(command, cwd=installation.path, stdout=log, stderr=log) as process,
    ):
        try:
            yield Server(installation, wait_until_served(installation, process, workers))
        finally:
            process.terminate()


def wait_until_served(
    installation: Installation, process: subprocess.Popen[bytes], workers: int
) -> str:
    """The address, when all processes have started."""
    while installation.log.count("Application startup complete") < workers:
        assert process.poll() is None, installation.log
        time.sleep(0.05)
    found = re.search(r"running on (http://127\.0\.0\.1:\d+)", installation.log)
    assert found is not None, installation.log
    return found[1]


async def log_in(client: httpx.AsyncClient, name: str) -> httpx.Response:
    return await client.post("/sessions", json={"name": name, "password": PASSWORD})


def bearer(response: httpx.Response) -> dict[str, str]:
    """The headers of a user who has logged in."""
    assert response.status_code == 200, response.text
    return {"Authorization": f"Bearer {response.json()['token']}"}
