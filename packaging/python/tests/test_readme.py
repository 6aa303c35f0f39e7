"""The README of the package is true, and so are the examples of the project's pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import FleetDirectory

import tatmig
from tatmig import errors

README = Path(__file__).parent.parent / "README.md"
ROOT = README.parent.parent.parent
PAGES = [README, ROOT / "README.md", ROOT / "docs" / "packages.md"]


@pytest.mark.parametrize("page", PAGES, ids=["package", "project", "book"])
def test_the_example_of_log_in_runs(
    page: Path, directory: FleetDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(directory.path)
    (directory.path / "data" / "users").mkdir(parents=True)
    example, *others = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    for other in others:
        compile(other, page.name, "exec")
    names: dict[str, object] = {}
    exec(example, names)
    open_database = names["open_database"]
    assert callable(open_database)
    connection = open_database("ann")
    assert connection.execute("SELECT count(*) FROM notes").fetchone() == (0,)
    connection.close()
    assert (directory.path / "data" / "system.db").is_file()


def test_it_names_every_method_exception_and_setting() -> None:
    text = README.read_text("utf-8")
    methods = [name for name in vars(tatmig.Fleet) if not name.startswith("_")]
    settings = tatmig.Settings.__annotations__
    options = tatmig.UpgradeOptions.__annotations__
    missing = [
        name
        for name in [*methods, *errors.__all__, *settings, *options]
        if not re.search(rf"`[^`]*\b{name}\b[^`]*`", text)
    ]
    assert missing == []
