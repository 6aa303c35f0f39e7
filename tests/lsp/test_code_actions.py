"""Each code action, applied: its finding is gone, the document lints no worse, and nothing else changed."""

import functools
import json
import re

import pytest
from lsprotocol import types

from editor import APPLICATIONS, ROOT, application, run
from test_requests import PLANNED, apply


async def actions(document, place=None, kind=None):
    """The actions at a place, or in the whole document, by their titles."""
    if place is None:
        last = document.positions.position(len(document.text))
        within = types.Range(types.Position(0, 0), last)
    else:
        position = document.at(*place) if isinstance(place, tuple) else document.at(place)
        within = types.Range(position, position)
    context = types.CodeActionContext(diagnostics=[], only=[kind] if kind else None)
    found = await document.client.text_document_code_action_async(
        types.CodeActionParams(document.identifier, within, context)
    )
    for action in found or []:
        assert action.edit.document_changes[0].text_document.version == document.version
    return found or []


@functools.cache
def migrations(text, directory):
    """The versions of the released migrations but the last; None with errors."""
    path = directory / "checked.md"
    path.write_bytes(text.encode())
    result = run(["history", "--json", "--file", str(path)], directory)
    found = json.loads(result.stdout).get("migrations")
    if not found:
        return None
    released = [migration for migration in found if not migration.get("planned")]
    return [f"{migration['from']}→{migration['to']}" for migration in released[:-1]]


def sql_of(text, migrations):
    """The SQL of migrations, without comments."""
    sql = []
    for versions in migrations:
        for block in re.findall(rf"-- \[\w+:{versions}:start\]\n(.*?)-- \[", text, re.S):
            sql.append((versions, " ".join(re.sub(r"--.*", "", block).split())))
    return sql


def lines_outside(text, edits, positions):
    """The lines that no edit touches."""
    touched = set()
    for edit in edits:
        touched.update(range(edit.range.start.line, edit.range.end.line + 1))
    return [line for number, line in enumerate(text.split("\n")) if number not in touched]


async def check(document, action, directory):
    """Applies an action and checks its promises. Returns the new text."""
    before = await document.findings()
    old_text, old_migrations = document.text, migrations(document.text, directory)
    text = apply(document, action.edit)
    document.edit(0, len(document.text), text)
    after = await document.findings()
    rules = [found[0] for found in after]
    for diagnostic in action.diagnostics or []:
        count = [found[0] for found in before].count(diagnostic.code)
        assert rules.count(diagnostic.code) < count, (action.title, after)
    was_readable = old_migrations is not None
    if was_readable and action.diagnostics:
        assert len(after) <= len(before), (action.title, before, after)
    if was_readable:
        assert (sql_of(text, old_migrations)) == sql_of(old_text, old_migrations), action.title
    (change,) = action.edit.document_changes
    kept = lines_outside(old_text, change.edits, document.positions)
    remaining = iter(text.split("\n"))
    assert all(any(line == other for other in remaining) for line in kept), action.title
    document.edit(0, len(document.text), old_text)
    return text


@pytest.mark.parametrize("name", APPLICATIONS)
async def test_every_action_on_the_applications(open_editor, name):
    document = open_editor.open_application(name)
    found = await actions(document)
    for action in found:
        await check(document, action, open_editor.directory)


async def test_every_action_on_the_faults(open_editor):
    titles = set()
    for path in sorted((ROOT / "fixtures/faults").glob("*.md")):
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError:
            continue
        document = open_editor.open(text, path.name)
        for action in await actions(document, kind=types.CodeActionKind.QuickFix):
            await check(document, action, open_editor.directory)
            titles.add(action.title.split("`")[0].strip())
    assert len(titles) >= 6, titles


HEAD = PLANNED.replace("CREATE TABLE IF NOT EXISTS tags", "CREATE TABLE tags")

CASES = [
    # The text, the place, the title, and what the new text contains.
    (PLANNED.replace("[user:1.0.0→1.1.0:start]", "[user:1.0.0 > 1.1.0:strat]"), "strat", "write the tag", "-- [user:1.0.0→1.1.0:start]\nCREATE"),
    (PLANNED.replace("```sql\n-- [user:1.0.0", "```mysql\n-- [user:1.0.0"), "-- [user:1.0.0→1.1.0:start]", "label the fence", "```sql\n-- [user:1.0.0"),
    ("```\n```sql\n-- [user:FROM→TO:start]\n```\n```\n\n" + PLANNED, None, "lengthen", "````\n```sql\n-- [user:FROM→TO:start]\n```\n````\n"),
    (HEAD, "tags (note INTEGER", "add `IF NOT EXISTS`", "CREATE TABLE IF NOT EXISTS tags (note"),
    (PLANNED.replace("INSERT INTO tags", "DELETE FROM notes;\nINSERT INTO tags"), "DELETE FROM", "allow `destructive`", ":start]\n-- tatmig:allow destructive because …\n"),
    (PLANNED.replace("INSERT INTO tags (note, tag) SELECT id, body FROM notes", "INSERT INTO notes SELECT * FROM notes"), "notes SELECT *", "name the columns", "INSERT INTO notes (id, body) SELECT id, body FROM notes"),
    (PLANNED.replace("**Date**: 2026-02-01\n", ""), "## 1.0.0 → 1.1.0", "add the date", "**Date**: 20"),
    (PLANNED.replace("**Description**: tags\n", ""), "## 1.0.0 → 1.1.0", "add a description", "**Description**: what it is for"),
    (PLANNED + "\n```sql\n-- [user:1.1.0→1.0.0:start]\n-- [user:1.1.0→1.0.0:end]\n```\n", "-- [user:1.1.0→1.0.0:start]", "write the reverse block", "DROP TABLE IF EXISTS tags;"),
    (PLANNED.replace("INSERT INTO tags (note, tag) SELECT id, body FROM notes WHERE 0;", "ALTER TABLE tags ADD CONSTRAINT one UNIQUE (note);"), "CONSTRAINT one", "rebuild the table `tags`", "CONSTRAINT one UNIQUE (note)"),
    (PLANNED.replace("INSERT INTO tags (note, tag) SELECT id, body FROM notes WHERE 0;", "ALTER TABLE notes ALTER COLUMN body TYPE BLOB;"), "ALTER COLUMN", "rebuild the table `notes`", "body BLOB NOT NULL"),
    (PLANNED.replace("INSERT INTO tags (note, tag) SELECT id, body FROM notes WHERE 0;", "ALTER TABLE notes ADD COLUMN made TEXT DEFAULT CURRENT_TIMESTAMP;"), "made TEXT", "rebuild the table `notes`", "made TEXT DEFAULT CURRENT_TIMESTAMP"),
    (PLANNED + "\n## 1.0.0 → 1.1.0\n\n**Date**: 2026-02-02\n**Description**: links\n\n```sql\n-- [user:1.0.0→1.1.0:start]\nCREATE TABLE IF NOT EXISTS links (url TEXT);\n-- [user:1.0.0→1.1.0:end]\n```\n", None, "renumber", "## 1.1.0 → 1.1.1"),
]


@pytest.mark.parametrize(("text", "place", "title", "expected"), CASES, ids=[case[2] for case in CASES])
async def test_each_kind_of_action(open_editor, text, place, title, expected):
    document = open_editor.open(text)
    found = await actions(document, place, types.CodeActionKind.QuickFix)
    chosen = [action for action in found if action.title.startswith(title)]
    assert chosen, [action.title for action in found]
    edited = await check(document, chosen[0], open_editor.directory)
    assert expected in edited, edited


async def test_a_reverse_block_is_written_that_leads_back(open_editor):
    document = open_editor.open(PLANNED)
    found = await actions(document, "## 1.0.0 → 1.1.0", types.CodeActionKind.RefactorRewrite)
    assert [action.title for action in found] == ["write the reverse block `user:1.1.0 → 1.0.0` from the schemas"]
    edited = await check(document, found[0], open_editor.directory)
    assert "-- [user:1.1.0→1.0.0:start]\nDROP TABLE IF EXISTS tags;\n-- [user:1.1.0→1.0.0:end]" in edited


async def test_a_planned_migration_is_released(open_editor):
    text = PLANNED.replace("→ 1.1.0\n", "→ 1.1.0 (Planned)\n").replace("**Date**: 2026-02-01\n", "")
    text = text.replace("\nINSERT", "\n-- INSERT").replace("\nCREATE TABLE IF NOT EXISTS tags", "\n-- CREATE TABLE IF NOT EXISTS tags")
    document = open_editor.open(text)
    found = await actions(document, "## 1.0.0 → 1.1.0", types.CodeActionKind.RefactorRewrite)
    assert [action.title for action in found] == ["release the planned migration `1.0.0 → 1.1.0`"]
    edited = apply(document, found[0].edit)
    assert "(Planned)" not in edited and "\nCREATE TABLE IF NOT EXISTS tags" in edited and "**Date**: 20" in edited


async def test_sql_of_settled_migrations_is_left_alone(open_editor):
    last = "\n## 1.1.0 → 1.2.0\n\n**Date**: 2026-03-01\n**Description**: last\n\n```sql\n-- [user:1.1.0→1.2.0:start]\nSELECT 1;\n-- [user:1.1.0→1.2.0:end]\n```\n"
    document = open_editor.open(HEAD + last)
    found = await actions(document, "tags (note INTEGER", types.CodeActionKind.QuickFix)
    assert [action.title for action in found] == ["allow `not-rerunnable` in this block, with a reason"]
