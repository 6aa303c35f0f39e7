"""Every kind of request on the documents of the applications, compared with goldens."""

import asyncio
import contextlib
import re
import sqlite3

import pytest
from lsprotocol import types

from editor import APPLICATIONS, ROOT, Positions, application, run

GOLDENS = ROOT / "tests/lsp/goldens"


@pytest.fixture
def golden(request):
    """Compares lines with a file; `--write-goldens` writes it."""

    def compare(name, lines):
        path = GOLDENS / f"{name}.txt"
        text = "\n".join(lines) + "\n"
        if request.config.getoption("--write-goldens"):
            GOLDENS.mkdir(exist_ok=True)
            path.write_text(text)
        assert path.read_text().splitlines() == text.splitlines()

    return compare


def named(text, position=types.Position(0, 0)):
    return types.TextDocumentPositionParams(text, position)


def words(document):
    """Each name in the SQL of the document with its first place."""
    found = {}
    for block in re.finditer(r":start\]\n(.*?)-- \[", document.text, re.S):
        for word in re.finditer(r"[A-Za-z_][A-Za-z_0-9]*", block.group(1)):
            found.setdefault(word.group().lower(), block.start(1) + word.start())
    return found


@pytest.mark.parametrize("name", APPLICATIONS)
async def test_outline_folds_links_and_lenses(each_encoding, golden, name):
    document = each_encoding.open_application(name)
    lines = []

    def show(symbols, depth):
        for symbol in symbols:
            text = document.positions.slice(symbol.selection_range).splitlines()
            start, end = symbol.range.start.line, symbol.range.end.line
            lines.append(f"{'  ' * depth}{symbol.kind.name} {symbol.name} {start}-{end} | {text[0] if text else ''}")
            assert symbol.range.start <= symbol.selection_range.start
            assert symbol.selection_range.end <= symbol.range.end
            show(symbol.children or [], depth + 1)

    client = document.client
    show(await client.text_document_document_symbol_async(types.DocumentSymbolParams(document.identifier)), 0)
    folds = await client.text_document_folding_range_async(types.FoldingRangeParams(document.identifier))
    lines.append("folds " + " ".join(f"{fold.start_line}-{fold.end_line}" for fold in folds))
    links = await client.text_document_document_link_async(types.DocumentLinkParams(document.identifier))
    for link in links:
        target = link.target.replace(each_encoding.directory.as_uri(), "DIRECTORY")
        lines.append(f"link {document.positions.slice(link.range)!r} {target}")
    lenses = await client.text_document_code_lens_async(types.CodeLensParams(document.identifier))
    for lens in lenses:
        lines.append(f"lens {lens.range.start.line} {lens.command.title} {lens.command.command} {lens.command.arguments[1:]}")
    golden(f"{name}-outline", lines)


@pytest.mark.parametrize("name", APPLICATIONS)
async def test_tokens_cover_the_sql(each_encoding, golden, name):
    document = each_encoding.open_application(name)
    tokens = await document.client.text_document_semantic_tokens_full_async(
        types.SemanticTokensParams(document.identifier)
    )
    kinds = "comment keyword string number operator variable function macro".split()
    line = character = 0
    lines = []
    for index in range(0, len(tokens.data), 5):
        delta_line, delta, length, kind, _ = tokens.data[index : index + 5]
        character = delta if delta_line else character + delta
        line += delta_line
        place = types.Range(types.Position(line, character), types.Position(line, character + length))
        lines.append(f"{line} {kinds[kind]} {document.positions.slice(place)}")
    assert len(lines) > 100
    golden(f"{name}-tokens", lines)


@pytest.mark.parametrize("name", APPLICATIONS)
async def test_hover_definition_and_references_of_every_name(open_editor, golden, name):
    document = open_editor.open_application(name)
    client = document.client
    lines, unused = [], []
    for word, index in sorted(words(document).items()):
        position = document.positions.position(index)
        hover = await client.text_document_hover_async(types.HoverParams(document.identifier, position))
        if hover is None or hover.contents.value.startswith("**"):
            # No name, or the rule of a directive.
            continue
        lines.append(f"== {word} {position.line}")
        lines.extend(f"  {line}" for line in hover.contents.value.splitlines() if line.strip())
        found = await client.text_document_definition_async(types.DefinitionParams(document.identifier, position))
        lines.append("  definitions " + " ".join(str(place.range.start.line) for place in found or []))
        context = types.ReferenceContext(include_declaration=True)
        found = await client.text_document_references_async(
            types.ReferenceParams(context, document.identifier, position)
        )
        lines.append("  references " + " ".join(str(place.range.start.line) for place in found or []))
        if not found:
            unused.append(word)
    assert unused == [], "each is used where it is named"
    golden(f"{name}-names", lines)


@pytest.mark.parametrize("name", APPLICATIONS)
async def test_hover_on_tags_and_headings(open_editor, golden, name):
    document = open_editor.open_application(name)
    lines = []
    for number, line in enumerate(document.text.splitlines()):
        if re.match(r"-- \[.*:start\]|#+ .*→", line):
            hover = await document.client.text_document_hover_async(
                types.HoverParams(document.identifier, types.Position(number, 5))
            )
            lines.append(f"== {number} {line}")
            lines.extend(f"  {found}" for found in (hover.contents.value.splitlines() if hover else []))
    golden(f"{name}-migrations", lines)


@pytest.mark.parametrize("name", APPLICATIONS)
async def test_selections_grow(each_encoding, name):
    document = each_encoding.open_application(name)
    places = [index for _, index in sorted(words(document).items())][:20]
    positions = [document.positions.position(index) for index in places]
    found = await document.client.text_document_selection_range_async(
        types.SelectionRangeParams(document.identifier, positions)
    )
    assert len(found) == len(positions)
    for selection, position in zip(found, positions):
        steps = 0
        assert selection.range.start <= position <= selection.range.end
        while selection.parent:
            assert selection.parent.range.start <= selection.range.start
            assert selection.range.end <= selection.parent.range.end
            selection, steps = selection.parent, steps + 1
        assert steps >= 3, "the word, the block, the code, the document"


async def test_a_trigger_is_one_statement_in_the_outline_folds_and_selections(open_editor):
    trigger = """CREATE TRIGGER IF NOT EXISTS on_note AFTER INSERT ON notes BEGIN
  INSERT INTO tags (note, tag) VALUES (new.id, 'new');
  DELETE FROM tags WHERE note IS NULL;
END;"""
    document = open_editor.open(PLANNED.replace("INSERT INTO tags (note, tag) SELECT", trigger + "\nINSERT INTO tags (note, tag) SELECT"))
    client, identifier = document.client, document.identifier

    def flat(symbols):
        return [found for symbol in symbols or [] for found in [symbol, *flat(symbol.children)]]

    outline = await client.text_document_document_symbol_async(types.DocumentSymbolParams(identifier))
    (symbol,) = [symbol for symbol in flat(outline) if symbol.name == "on_note"]
    assert document.positions.slice(symbol.range) == trigger
    folds = await client.text_document_folding_range_async(types.FoldingRangeParams(identifier))
    lines = (symbol.range.start.line, symbol.range.end.line)
    assert lines in [(fold.start_line, fold.end_line) for fold in folds]
    place = document.at("DELETE FROM tags", 3)
    (selection,) = await client.text_document_selection_range_async(types.SelectionRangeParams(identifier, [place]))
    assert document.positions.slice(selection.range) == "DELETE"
    assert document.positions.slice(selection.parent.range) == trigger


async def test_workspace_symbols_are_those_of_all_documents(open_editor, golden):
    for name in APPLICATIONS:
        open_editor.open(application(name), f"{name}.md")
    found = await open_editor.client.workspace_symbol_async(types.WorkspaceSymbolParams("user"))
    golden("workspace-symbols", sorted(f"{symbol.container_name} {symbol.kind.name} {symbol.name}" for symbol in found))


async def test_hover_on_a_rule_explains_it(open_editor):
    text = application("tatlock") + "\n```sql\n-- tatmig:allow row-loss because\n```\n"
    document = open_editor.open(text)
    hover = await document.client.text_document_hover_async(
        types.HoverParams(document.identifier, document.at("row-loss because", 2))
    )
    assert "**row-loss**" in hover.contents.value and len(hover.contents.value) > 60


PLANNED = """# Migrations

## Baseline: 1.0.0

**Date**: 2026-01-01
**Description**: tables

```sql
-- [user:baseline→1.0.0:start]
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS notes_by_body ON notes (body);
CREATE VIEW IF NOT EXISTS titles AS SELECT body FROM notes;
-- [user:baseline→1.0.0:end]
```

## 1.0.0 → 1.1.0

**Date**: 2026-02-01
**Description**: tags

```sql
-- [user:1.0.0→1.1.0:start]
CREATE TABLE IF NOT EXISTS tags (note INTEGER REFERENCES notes (id), tag TEXT);
INSERT INTO tags (note, tag) SELECT id, body FROM notes WHERE 0;
-- [user:1.0.0→1.1.0:end]
```
"""


async def complete(document, typed):
    """What is offered behind a text that is inserted above the last end tag."""
    at = document.text.rindex("-- [user:")
    before = document.text
    document.edit(at, at, typed + "\n")
    position = document.positions.position(at + len(typed))
    found = await document.client.text_document_completion_async(
        types.CompletionParams(document.identifier, position)
    )
    applied = {}
    for item in found.items:
        edit = item.text_edit
        start, end = document.positions.index(edit.range.start), document.positions.index(edit.range.end)
        applied[item.label] = (document.text[:start] + edit.new_text + document.text[end:])[at:]
    document.edit(0, len(document.text), before)
    return {label: text.split("\n")[0] for label, text in applied.items()}


@pytest.mark.parametrize(
    ("typed", "offered", "missing"),
    [
        ("SELECT * FROM no", ["notes", "titles", "tags"], ["SELECT", "notes_by_body"]),
        ("DROP INDEX IF EXISTS ", ["notes_by_body"], ["notes"]),
        ("DROP VIEW ", ["titles"], ["notes"]),
        ("INSERT INTO ", ["notes", "tags"], ["notes_by_body"]),
        ("SELECT notes.", ["id", "body"], ["tag", "SELECT"]),
        ("UPDATE tags SET ", ["note", "tag", "coalesce", "NULL"], ["body"]),
        ("SELECT n. FROM notes n", [], []),
        ("CREATE TABLE x (a TE", ["TEXT", "INTEGER", "NOT"], []),
        ("SELECT body COLLATE ", ["NOCASE", "BINARY"], ["SELECT"]),
        ("ALTER TABLE ", ["tags"], ["titles"]),
        ("-- tatmig:allow ", ["destructive", "row-loss"], ["sql", "SELECT"]),
        ("-- t", ["-- tatmig:allow", "-- tatmig:assert"], []),
        ("SELECT 'a ", [], ["notes"]),
        ("-- a comment ", [], ["notes"]),
    ],
)
async def test_sql_is_completed_with_what_exists(open_editor, typed, offered, missing):
    document = open_editor.open(PLANNED)
    found = await complete(document, typed)
    assert [label for label in offered if label not in found] == []
    assert [label for label in missing if label in found] == []
    for label in offered:
        assert label.strip() in found[label], "the typed part is replaced"


async def test_names_of_later_statements_and_versions_are_not_offered(open_editor):
    document = open_editor.open(PLANNED)
    at = document.text.index("CREATE INDEX")
    document.edit(at, at, "SELECT * FROM ;\n")
    found = await document.client.text_document_completion_async(
        types.CompletionParams(document.identifier, document.positions.position(at + 14))
    )
    assert [item.label for item in found.items] == ["notes"]


async def test_functions_and_collations_of_the_application_are_offered(open_editor):
    (open_editor.directory / "tatmig.toml").write_text('[functions]\ndeclared = ["slug/1"]\n\n[collations]\ndeclared = ["UNICODE_CI"]\n')
    document = open_editor.open(PLANNED)
    assert "slug" in await complete(document, "SELECT sl")
    assert "UNICODE_CI" in await complete(document, "SELECT body COLLATE ")


@pytest.mark.parametrize("typed", ["-- [", "[", "-- ", ""])
async def test_tags_of_the_next_version_are_completed_in_pairs(open_editor, typed):
    document = open_editor.open(PLANNED + f"\n## Next\n\n```sql\n{typed}\n```\n")
    at = document.text.rindex(f"{typed}\n```")
    found = await document.client.text_document_completion_async(
        types.CompletionParams(document.identifier, document.positions.position(at + len(typed)))
    )
    labels = [item.label for item in found.items]
    assert labels == [
        "-- [user:1.1.0→1.1.1:start]",
        "-- [system:1.1.0→1.1.1:start]",
        "-- [user:1.1.0→1.2.0:start]",
        "-- [system:1.1.0→1.2.0:start]",
    ]
    edit = found.items[0].text_edit
    start = document.positions.index(edit.range.start)
    text = document.text[:start] + edit.new_text + document.text[document.positions.index(edit.range.end) :]
    assert "```sql\n-- [user:1.1.0→1.1.1:start]\n\n-- [user:1.1.0→1.1.1:end]\n```" in text


async def test_the_versions_of_the_heading_and_the_end_tag_are_completed(open_editor):
    document = open_editor.open(PLANNED + "\n## 1.1.0 → 1.5.0\n\n```sql\n-- [\n```\n")
    at = document.text.rindex("-- [\n```") + 4
    found = await document.client.text_document_completion_async(
        types.CompletionParams(document.identifier, document.positions.position(at))
    )
    assert [item.label for item in found.items][:2] == [
        "-- [user:1.1.0→1.5.0:start]",
        "-- [system:1.1.0→1.5.0:start]",
    ]


async def rename(document, position, new_name):
    edit = await document.client.text_document_rename_async(
        types.RenameParams(document.identifier, position, new_name)
    )
    assert edit.document_changes[0].text_document.version == document.version
    return apply(document, edit)


def apply(document, edit):
    """The text with the edit of the only document."""
    (change,) = edit.document_changes
    text = document.text
    positions = Positions(text, document.editor.encoding)
    places = [(positions.index(edit.range.start), positions.index(edit.range.end), edit.new_text) for edit in change.edits]
    for start, end, new in sorted(places, reverse=True):
        text = text[:start] + new + text[end:]
    return text


async def test_a_version_is_renamed_in_headings_and_tags(open_editor):
    document = open_editor.open(PLANNED)
    text = await rename(document, document.at("## 1.0.0 → 1.1.0", 12), "1.2.0")
    assert text.count("1.2.0") == PLANNED.count("1.1.0") == 3 and "1.1.0" not in text
    text = await rename(document, document.at("[user:baseline→1.0.0:start]", 17), "0.9.0")
    assert text.count("0.9.0") == PLANNED.count("1.0.0") and "→ 1.1.0" in text
    for wrong in ["", "1.x", "2.0.0"]:
        with pytest.raises(Exception, match="version|error"):
            await rename(document, document.at("[user:baseline→1.0.0:start]", 17), wrong)


async def test_the_release_of_a_pre_release_keeps_its_version_when_that_is_renamed(open_editor):
    document = open_editor.open(PLANNED.replace("1.1.0", "1.1.0-rc.1") + """
## 1.1.0-rc.1 → 1.1.0

**Date**: 2026-03-01
**Description**: release

```sql
-- [user:1.1.0-rc.1→1.1.0:start]
DROP TABLE tags;
-- [user:1.1.0-rc.1→1.1.0:end]
-- [user:1.1.0→1.1.0-rc.1:start]
CREATE TABLE tags (note INTEGER REFERENCES notes (id), tag TEXT);
-- [user:1.1.0→1.1.0-rc.1:end]
```
""")
    count = document.text.count("1.1.0-rc.1")
    places = [document.at("## 1.1.0-rc.1", 4), document.at("[user:1.1.0→1.1.0-rc.1:start]", 14)]
    for place in places:
        text = await rename(document, place, "1.0.9")
        assert text.count("1.0.9") == count and "rc" not in text
        assert "## 1.0.9 → 1.1.0\n" in text and "[user:1.1.0→1.0.9:end]" in text
    text = await rename(document, document.at("[user:1.1.0→1.1.0-rc.1:start]", 8), "1.2.0")
    assert text.count("1.1.0-rc.1") == count and text.count("1.2.0") == 5
    assert "## 1.1.0-rc.1 → 1.2.0\n" in text and "[user:1.2.0→1.1.0-rc.1:start]" in text


async def test_a_column_that_is_named_like_a_renamed_table_keeps_its_name(open_editor):
    document = open_editor.open(PLANNED.replace("INSERT INTO tags", "ALTER TABLE tags RENAME COLUMN tag TO tags;\nINSERT INTO tags").replace("(note, tag) SELECT", "(note, tags) SELECT"))
    text = await rename(document, document.at("EXISTS tags", 8), "labels")
    assert "ALTER TABLE labels RENAME COLUMN tag TO tags;" in text
    assert "INSERT INTO labels (note, tags) SELECT" in text


async def test_a_table_and_a_column_of_an_unreleased_migration_are_renamed(open_editor):
    document = open_editor.open(PLANNED)
    text = await rename(document, document.at("TABLE IF NOT EXISTS tags", 21), "labels")
    assert "EXISTS labels (note" in text and "INTO labels (note, tag)" in text and "tags" not in text.split("tags\n", 1)[1]
    text = await rename(document, document.at("tag TEXT", 1), "the label")
    assert '"the label" TEXT' in text and '(note, "the label") SELECT' in text
    place = document.at("EXISTS notes (id", 8)
    with pytest.raises(Exception, match="may have applied"):
        await rename(document, place, "papers")
    with pytest.raises(Exception, match="may have applied"):
        await document.client.text_document_prepare_rename_async(
            types.PrepareRenameParams(document.identifier, place)
        )


def create_fleet(directory, notes):
    """Users at 1.0.0 of `PLANNED`, each with its notes."""
    settings = 'system_db = "system.db"\nusers_dir = "users"\nuser_pattern = "{username}.db"\n'
    (directory / "tatmig.toml").write_text(settings)
    (directory / "users").mkdir()
    (directory / "MIGRATIONS.md").write_text(PLANNED.split("## 1.0.0 → 1.1.0")[0])
    for user, bodies in notes.items():
        result = run(["init", "--user", user], directory)
        assert result.returncode == 0, result.stderr
        set_notes(directory, user, bodies)


def set_notes(directory, user, bodies):
    with contextlib.closing(sqlite3.connect(directory / "users" / f"{user}.db")) as database, database:
        database.execute("DELETE FROM notes")
        database.executemany("INSERT INTO notes (body) VALUES (?)", [(body,) for body in bodies])


async def lenses(document):
    """The commands of the lenses, once the status of the fleet is known."""
    for _ in range(200):
        found = await document.client.text_document_code_lens_async(types.CodeLensParams(document.identifier))
        commands = [lens.command for lens in found]
        if any("pending" in command.title for command in commands):
            return commands
        await asyncio.sleep(0.05)
    raise AssertionError("the status of the fleet is not shown")


async def execute(document, command):
    return await document.client.workspace_execute_command_async(
        types.ExecuteCommandParams(command.command, arguments=command.arguments)
    )


async def hints(document):
    whole = types.Range(types.Position(0, 0), types.Position(999, 0))
    found = await document.client.text_document_inlay_hint_async(types.InlayHintParams(document.identifier, whole))
    return [re.sub(r"\d+ ms", "N ms", hint.label) for hint in found]


async def test_lenses_count_the_databases_and_rehearse(open_editor):
    create_fleet(open_editor.directory, {"ann": ["tea", "rain"], "bob": []})
    text = PLANNED.replace(" WHERE 0", "")
    (open_editor.directory / "MIGRATIONS.md").write_text(text)
    document = open_editor.open(text)
    commands = await lenses(document)
    titles = [command.title for command in commands]
    assert titles == ["pending on no database", "rehearse", "test", "pending on 2 databases", "rehearse", "test"]
    assert await execute(document, commands[4]) == "`1.1.0` was rehearsed on 2 databases"
    assert await hints(document) == ["rehearsed: 2 databases, 2 rows, N ms"]
    assert "1.1.0" in await execute(document, commands[5])
    assert [command.title for command in await lenses(document)] == titles, "the status is as before"


async def test_a_failed_rehearsal_shows_its_failures_once(open_editor):
    create_fleet(open_editor.directory, {"ann": ["tea"], "bob": ["rain"], "cat": []})
    text = PLANNED.replace(" WHERE 0", "").replace("tag TEXT)", "tag TEXT UNIQUE)")
    (open_editor.directory / "MIGRATIONS.md").write_text(text)
    document = open_editor.open(text)
    rehearse = (await lenses(document))[4]
    assert await execute(document, rehearse) == "`1.1.0` was rehearsed on 3 databases"
    assert await hints(document) == ["rehearsed: 3 databases, 2 rows, N ms"]

    reason = "UNIQUE constraint failed: tags.tag"
    for failing, summary, hint in [
        ("ann bob", "3 databases, 2 failed", "rehearsed: 3 databases, 2 failed, 0 rows, N ms"),
        ("ann bob cat", "3 databases, 3 failed", "rehearsed: 3 databases, 3 failed"),
    ]:
        for user in failing.split():
            set_notes(open_editor.directory, user, ["tea", "tea"])
        open_editor.messages.clear()
        result = await execute(document, rehearse)
        headline, *errors = result.splitlines()
        assert headline == f"`1.1.0` was rehearsed on {summary}"
        assert len(errors) == 1 and errors[0].startswith(f"`ann`: {reason}"), result
        assert open_editor.messages == [result], "the message is shown once"
        assert await hints(document) == [hint]
        # The status that runs when the document is saved leaves the rehearsal as it is.
        document.client.text_document_did_save(types.DidSaveTextDocumentParams(document.identifier))
        assert "pending on 3 databases" in [command.title for command in await lenses(document)]
        assert await hints(document) == [hint]


async def test_requests_that_make_no_sense_are_answered(open_editor):
    document = open_editor.open(PLANNED)
    far = types.Position(100_000, 100_000)
    client = document.client
    assert await client.text_document_hover_async(types.HoverParams(document.identifier, far)) is None
    other = types.TextDocumentIdentifier("file:///nowhere/x.md")
    assert await client.text_document_hover_async(types.HoverParams(other, far)) is None
    with pytest.raises(Exception, match="not one of tatmig's"):
        await client.workspace_execute_command_async(types.ExecuteCommandParams("rm"))
    with pytest.raises(Exception, match="not a version"):
        arguments = [document.uri, "latest"]
        await client.workspace_execute_command_async(types.ExecuteCommandParams("tatmig.rehearse", arguments=arguments))
    with pytest.raises(Exception, match="not offered"):
        options = types.FormattingOptions(tab_size=4, insert_spaces=True)
        await client.text_document_formatting_async(
            types.DocumentFormattingParams(document.identifier, options)
        )
    assert await document.findings() == document.linted()
