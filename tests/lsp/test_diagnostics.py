"""Diagnostics are those of `tatmig lint`, at every moment that a text does not change."""

import asyncio
import random

import pytest

from editor import APPLICATIONS, ROOT, application, utf16_len
from lsprotocol import types


@pytest.mark.parametrize("name", APPLICATIONS)
async def test_the_findings_of_a_document_are_those_of_lint(each_encoding, name):
    document = each_encoding.open_application(name)
    expected = document.linted()
    assert await document.published() == expected
    assert await document.findings() == expected


async def test_the_findings_of_every_fault_are_those_of_lint(open_editor):
    paths = sorted((ROOT / "fixtures/faults").glob("*.md"))
    for path in paths:
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError:
            continue
        document = open_editor.open(text, path.name)
        assert await document.findings() == document.linted(), path.name
    assert len(paths) > 50


async def test_a_finding_links_to_the_explanation_of_its_rule(open_editor):
    document = open_editor.open("## Baseline: 1.0.0\n")
    await document.published()
    found = open_editor.published[(document.uri, 1)][0][0]
    assert found.source == "tatmig"
    assert found.code_description.href.endswith(f"docs/lints.md#{found.code}")
    rules = (ROOT / "docs/lints.md").read_text()
    assert f"### `{found.code}`\n" in rules


async def test_a_change_is_linted_and_earlier_findings_stay_while_it_is_typed(open_editor):
    document = open_editor.open_application("tatlock")
    before = await document.published()
    last = document.text.rindex(":end]")
    line = document.text.rindex("\n", 0, last) + 1
    document.edit(line, line, "ALTER TABLE 'unclosed\n")
    published = await document.published()
    assert any(found[1] == "error" for found in published)
    moved = [found[2] for found in published]
    kept = [found for found in before if found[3][0] < document.positions.position(line).line]
    assert all(found[2] in moved for found in kept), "findings above the edit stay"
    exact = document.linted()
    assert await document.findings() == exact
    await asyncio.sleep(2.5)
    assert await document.published() == exact, "after a pause they are exactly those of lint"


async def test_the_settings_of_the_project_decide_levels(open_editor):
    text = application("synth-mind")
    (open_editor.directory / "tatmig.toml").write_text('[lint]\nallow = ["missing-date", "not-rerunnable"]\n')
    document = open_editor.open(text)
    found = await document.published()
    assert found == document.linted()
    assert not any(finding[0] == "not-rerunnable" for finding in found)
    (open_editor.directory / "tatmig.toml").write_text('[lint]\ndeny = ["warnings"]\n')
    open_editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([]))
    assert await document.findings() == document.linted()
    assert not any(finding[1] == "warning" for finding in await document.findings())


async def test_an_error_in_the_settings_is_shown_and_the_defaults_are_used(open_editor):
    (open_editor.directory / "tatmig.toml").write_text("unknown = 1\n")
    document = open_editor.open(application("bluesky-pds"))
    assert await document.published()
    assert any("unknown" in message for message in open_editor.messages)


async def test_an_error_in_the_settings_leaves_those_that_were_read(open_editor):
    settings = open_editor.directory / "tatmig.toml"
    settings.write_text('[lint]\nallow = ["not-rerunnable"]\n')
    document = open_editor.open("## Baseline 1.0.0\n\n```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE t (a);\n-- [user:baseline→1.0.0:end]\n```\n")
    exact = await document.findings()
    assert not any(finding[0] == "not-rerunnable" for finding in exact)
    for text, message in [("[lint", "unclosed"), ("unknown = 1\n", "unknown")]:
        settings.write_text(text)
        open_editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([]))
        assert await document.findings() == exact
        assert any(message in found for found in open_editor.messages)
    settings.write_text("")
    open_editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([]))
    assert await document.findings() == document.linted() != exact


async def test_several_documents_are_independent(open_editor):
    documents = [open_editor.open(application(name), f"{name}.md") for name in APPLICATIONS]
    for document in documents:
        document.edit(0, 0, "A paragraph.\n\n")
    for document in documents:
        assert await document.findings() == document.linted()
    open_editor.client.text_document_did_close(
        types.DidCloseTextDocumentParams(documents[0].identifier)
    )
    assert await documents[1].findings() == documents[1].linted()


PIECES = [
    "\n", ";", "'", '"', "`", "-- ", "```\n", "```sql\n", "/*", "*/", "(", ")", "é", "→", "😀",
    "\ud83d", "\ude00", "\u200b", "\x00", "\r", "\r\n", "\t", "> ", "## 1.0.0 → 9.0.0\n",
    "-- [user:1.0.0→1.1.0:start]\n", "-- [user:1.0.0→1.1.0:end]\n", "DROP TABLE notes;\n",
    "CREATE TABLE x (a);\n", "ALTER TABLE x ADD COLUMN b;\n", " (Planned)", "-- tatmig:allow ",
    "<!--", "-->", "<<<<<<< a\n", "INSERT INTO x SELECT * FROM x;\n", "x" * 500,
]


def random_change(random, document):
    """A change of the document's text: its range and its text, and what the text becomes."""
    positions = document.positions
    line = random.randrange(len(positions.starts) + 1)
    length = utf16_len(positions.line(line)) if line < len(positions.starts) else 0
    start = types.Position(line, random.randrange(length + 3))
    end = start
    if random.random() < 0.5:
        lines = random.choice([0, 0, 0, 1, 2, 6])
        last = min(line + lines, len(positions.starts))
        length = utf16_len(positions.line(last)) if last < len(positions.starts) else 0
        end = types.Position(last, random.randrange(length + 3))
    low, high = sorted([positions.index(start), positions.index(end)])
    new = random.choice(PIECES) if random.random() < 0.8 else document.text[low : low + 40]
    # Half of a pair is no text.
    stored = "".join("\ufffd" if 0xD800 <= ord(char) < 0xE000 else char for char in new)
    text = document.text[:low] + stored + document.text[high:]
    return types.TextDocumentContentChangePartial(range=types.Range(start, end), text=new), text


async def edit_at_random(open_editor, seed, edits, comparisons):
    rng = random.Random(seed)
    name = rng.choice(APPLICATIONS)
    document = open_editor.open_application(name)
    for number in range(edits):
        change, document.text = random_change(rng, document)
        document.send([change])
        if rng.random() < 0.02:
            # A whole text instead of a part of one.
            document.text = application(rng.choice(APPLICATIONS))
            document.send([types.TextDocumentContentChangeWholeDocument(document.text)])
        if rng.random() < 0.2:
            await asyncio.sleep(rng.random() * 0.05)
        if (number + 1) % (edits // comparisons) == 0:
            assert await document.findings() == document.linted(), (seed, number)


@pytest.mark.parametrize("seed", range(4))
async def test_random_edits_end_with_the_findings_of_lint(open_editor, seed, request):
    # `--edits 10000` by hand; see docs/editors.md.
    edits = request.config.getoption("--edits")
    await edit_at_random(open_editor, seed, edits // 4, max(edits // 80, 3))
