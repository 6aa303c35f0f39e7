"""What names mean inside aliases, subqueries, common table expressions, triggers and upserts, and what is
completed there."""

import pytest
from lsprotocol import types

from test_requests import rename

TABLES = """# Migrations

## Baseline: 1.0.0

**Date**: 2026-01-01
**Description**: tables

```sql
-- [user:baseline→1.0.0:start]
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT DEFAULT '');
CREATE TABLE IF NOT EXISTS tags (id INTEGER PRIMARY KEY, note_id INTEGER REFERENCES notes (id), tag TEXT);
CREATE TABLE IF NOT EXISTS "we""ird" (a INTEGER, [b c] TEXT, `d``e` TEXT);
CREATE VIEW IF NOT EXISTS titles AS SELECT id, title AS heading, upper(body) AS loud FROM notes;
CREATE VIEW IF NOT EXISTS listed (one, two) AS SELECT t.* FROM (SELECT tag, note_id FROM tags) AS t;
CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5(title, body);
CREATE VIRTUAL TABLE IF NOT EXISTS boxes USING rtree(box, x1, x2);
-- [user:baseline→1.0.0:end]
```

## 1.0.0 → 1.1.0

**Date**: 2026-02-01
**Description**: SQL

```sql
-- [user:1.0.0→1.1.0:start]
{sql}
-- [user:1.0.0→1.1.0:end]
```
"""


def document_with(editor, sql):
    """A document whose last block has SQL with one `|`, and the place of the mark."""
    text = TABLES.replace("{sql}", sql)
    at = text.index("|")
    return editor.open(text.replace("|", "")), at


@pytest.mark.parametrize(
    ("sql", "meaning"),
    [
        ("SELECT |t.id FROM tags AS t JOIN notes n ON n.id = t.note_id;", "table `tags`"),
        ("SELECT t.|id FROM tags AS t JOIN notes n ON n.id = t.note_id;", "column `id` of the table `tags`"),
        ("SELECT 1 FROM tags AS t JOIN notes n ON n.|id = t.note_id;", "column `id` of the table `notes`"),
        ("SELECT 1 FROM tags JOIN notes ON |title = tag;", "column `title` of the table `notes`"),
        ("SELECT (SELECT |id FROM notes WHERE title = tag) FROM tags;", "column `id` of the table `notes`"),
        ("SELECT (SELECT title FROM notes WHERE title = |tag) FROM tags;", "column `tag` of the table `tags`"),
        ("SELECT 1 FROM tags WHERE EXISTS (SELECT 1 FROM notes WHERE tags.|id = notes.id);", "column `id` of the table `tags`"),
        ("SELECT x.|name FROM (SELECT title AS name FROM notes) AS x;", "column `title` of the table `notes`"),
        ("SELECT x.|name FROM (SELECT upper(title) AS name FROM notes) AS x;", None),
        ("WITH x AS (SELECT |id FROM notes) SELECT id FROM x;", "column `id` of the table `notes`"),
        ("WITH x (key) AS (SELECT tag FROM tags) SELECT |key FROM x UNION SELECT 1;", "column `tag` of the table `tags`"),
        ("WITH x (key) AS (SELECT tag FROM tags) SELECT 1 UNION SELECT |key FROM x;", "column `tag` of the table `tags`"),
        ("WITH tags AS (SELECT title FROM notes) SELECT 1 FROM |tags;", None),
        ("WITH RECURSIVE n (id) AS (SELECT 1 UNION SELECT n.|id + 1 FROM n WHERE n.id < 3) SELECT id FROM n;", None),
        ("SELECT |heading FROM titles;", "column `title` of the table `notes`"),
        ("SELECT |loud FROM TITLES;", None),
        ("SELECT heading FROM |TITLES;", "view `titles`"),
        ("SELECT |two FROM listed;", "column `note_id` of the table `tags`"),
        ("UPDATE tags SET tag = N.|title FROM main.notes AS N WHERE N.id = note_id;", "column `title` of the table `notes`"),
        ("UPDATE tags SET tag = 1 FROM main.|notes AS N WHERE N.id = note_id;", "table `notes`"),
        ("INSERT INTO search (|title) SELECT title FROM notes;", "column `title` of the table `search`"),
        ("INSERT INTO search (title) SELECT |title FROM notes;", "column `title` of the table `notes`"),
        ("INSERT INTO boxes (box, |x1) SELECT id, 1 FROM notes WHERE 0;", "column `x1` of the table `boxes`"),
        ("INSERT INTO notes (title) SELECT tag FROM tags WHERE true ON CONFLICT (|id) DO NOTHING;", "column `id` of the table `notes`"),
        ("INSERT INTO notes (title) VALUES (1) ON CONFLICT (id) DO UPDATE SET title = excluded.|body;", "column `body` of the table `notes`"),
        ("INSERT INTO tags (tag) SELECT title FROM notes WHERE 0 RETURNING |id;", "column `id` of the table `tags`"),
        ("SELECT sum(n.id) OVER (PARTITION BY |tag ORDER BY t.id) FROM tags t, notes n;", "column `tag` of the table `tags`"),
        ("SELECT j.|value FROM notes, json_each(notes.body) AS j;", None),
        ("SELECT [|b c] FROM \"we\"\"ird\";", "column `b c` of the table `we\"ird`"),
        ("SELECT \"|d`e\" FROM [we\"ird];", "column `d`e` of the table `we\"ird`"),
        ("SELECT ID AS |title FROM tags;", None),
        ("DELETE FROM tags WHERE |NOTE_ID IN (SELECT id FROM notes);", "column `note_id` of the table `tags`"),
        ("CREATE TRIGGER g AFTER UPDATE OF |title ON notes BEGIN DELETE FROM tags; END;", "column `title` of the table `notes`"),
        ("CREATE TRIGGER g AFTER UPDATE ON notes BEGIN DELETE FROM tags; UPDATE tags SET tag = 1 WHERE |id = 1; END;", "column `id` of the table `tags`"),
        ("CREATE TRIGGER g AFTER UPDATE ON notes BEGIN DELETE FROM tags WHERE tag = 1; UPDATE tags SET tag = 1 WHERE id = new.|id; END;", "column `id` of the table `notes`"),
        ("CREATE TRIGGER g AFTER UPDATE ON notes BEGIN INSERT INTO tags (|id) VALUES (old.id); END;", "column `id` of the table `tags`"),
        ("CREATE TRIGGER g INSTEAD OF INSERT ON titles BEGIN SELECT new.|heading; END;", "column `title` of the table `notes`"),
        ("CREATE INDEX i ON tags (|note_id);", "column `note_id` of the table `tags`"),
        ("CREATE TABLE x (id INTEGER, n INTEGER REFERENCES notes (|id));", "column `id` of the table `notes`"),
        ("CREATE TABLE x (id INTEGER, n INTEGER AS (|id + 1));", "column `id` of the table `x`"),
        ("ALTER TABLE tags RENAME COLUMN |tag TO name;", "column `tag` of the table `tags`"),
        ("ALTER TABLE tags RENAME COLUMN tag TO |name;", "column `name` of the table `tags`"),
    ],
)
async def test_a_name_means_what_sqlite_takes_it_for(open_editor, sql, meaning):
    document, at = document_with(open_editor, sql)
    hover = await document.client.text_document_hover_async(
        types.HoverParams(document.identifier, document.positions.position(at))
    )
    assert (hover and hover.contents.value.splitlines()[0]) == meaning


async def test_a_column_is_shown_as_it_was_written(open_editor):
    document, at = document_with(open_editor, "SELECT |id, [b c] FROM notes, [we\"ird];")
    for place, written in [(at, "id INTEGER PRIMARY KEY"), (at + 5, "[b c] TEXT")]:
        hover = await document.client.text_document_hover_async(
            types.HoverParams(document.identifier, document.positions.position(place))
        )
        assert f"```sql\n{written}\n```" in hover.contents.value


async def test_references_are_the_places_that_mean_the_column(open_editor):
    document, at = document_with(
        open_editor, "SELECT t.id, n.|id FROM tags t JOIN notes n ON n.id = t.note_id;\nSELECT id FROM tags;\nSELECT loud FROM titles;"
    )
    found = await document.client.text_document_references_async(
        types.ReferenceParams(types.ReferenceContext(True), document.identifier, document.positions.position(at))
    )
    lines = document.text.splitlines()
    places = [(lines[place.range.start.line].split(" (")[0][:24], place.range.start.character) for place in found]
    assert places == [
        ("CREATE TABLE IF NOT EXIS", 34),
        ("CREATE TABLE IF NOT EXIS", 91),
        ("CREATE VIEW IF NOT EXIST", 43),
        ("SELECT t.id, n.id FROM t", 15),
        ("SELECT t.id, n.id FROM t", 48),
        # Through the view, as the authorizer reports.
        ("SELECT loud FROM titles;", 0),
    ]


async def test_a_column_is_renamed_where_another_table_has_one_of_the_same_name(open_editor):
    document, at = document_with(
        open_editor,
        "CREATE TABLE IF NOT EXISTS links (|id INTEGER, url TEXT);\n"
        "INSERT INTO links (id) SELECT n.id FROM notes n WHERE n.id NOT IN (SELECT id FROM links);\n"
        "CREATE VIEW IF NOT EXISTS urls AS SELECT id AS number, l.url FROM links l;\n"
        "DELETE FROM links WHERE id IN (SELECT number FROM urls JOIN tags ON tags.id = number);",
    )
    text = await rename(document, document.positions.position(at), "key")
    assert text.split("1.1.0:start]\n")[1].split("\n-- [")[0] == (
        "CREATE TABLE IF NOT EXISTS links (\"key\" INTEGER, url TEXT);\n"
        "INSERT INTO links (\"key\") SELECT n.id FROM notes n WHERE n.id NOT IN (SELECT \"key\" FROM links);\n"
        "CREATE VIEW IF NOT EXISTS urls AS SELECT \"key\" AS number, l.url FROM links l;\n"
        "DELETE FROM links WHERE \"key\" IN (SELECT number FROM urls JOIN tags ON tags.id = number);"
    ).replace('"key"', "key")


async def test_an_alias_is_not_renamed_in_place_of_its_table(open_editor):
    document, at = document_with(
        open_editor, "CREATE TABLE IF NOT EXISTS links (id INTEGER);\nSELECT |l.id FROM links AS l;"
    )
    with pytest.raises(Exception, match="can be renamed"):
        await rename(document, document.positions.position(at), "urls")


@pytest.mark.parametrize(
    ("typed", "columns"),
    [
        ("SELECT t.| FROM tags t JOIN notes n ON n.id = t.note_id;", ["id", "note_id", "tag"]),
        ("SELECT 1 FROM tags WHERE EXISTS (SELECT 1 FROM notes n WHERE n.|", ["id", "title", "body"]),
        ("SELECT notes.|", ["id", "title", "body"]),
        ("SELECT x.| FROM (SELECT id AS number, title FROM notes) AS x;", ["number", "title"]),
        ("WITH x AS (SELECT tag AS word FROM tags) SELECT x.| FROM x;", ["word"]),
        ("WITH x (a, b) AS (VALUES (1, 2)) SELECT x.| FROM x;", ["a", "b"]),
        ("SELECT titles.| FROM titles;", ["id", "heading", "loud"]),
        ("SELECT listed.| FROM listed;", ["one", "two"]),
        ("INSERT INTO tags (tag) VALUES (1) ON CONFLICT DO UPDATE SET tag = excluded.|;", ["id", "note_id", "tag"]),
        ("CREATE TRIGGER g AFTER UPDATE ON notes BEGIN DELETE FROM tags; UPDATE tags SET tag = new.|; END;", ["id", "title", "body"]),
        ("CREATE TRIGGER g AFTER INSERT ON notes BEGIN UPDATE tags SET tag = old.|; END;", []),
    ],
)
async def test_the_columns_behind_a_dot_are_those_of_the_qualifier(open_editor, typed, columns):
    found = await completed(open_editor, typed)
    assert [label for label, kind in found] == columns


@pytest.mark.parametrize(
    ("typed", "columns"),
    [
        ("SELECT | FROM titles;", ["id", "heading", "loud"]),
        ("SELECT | FROM search;", ["title", "body", "search", "rank"]),
        ("WITH x AS (SELECT tag AS word FROM tags) SELECT | FROM x;", ["word"]),
        ("INSERT INTO tags (|) SELECT title FROM notes;", ["id", "note_id", "tag"]),
        ("INSERT INTO tags (tag) SELECT | FROM notes;", ["id", "title", "body"]),
        ("CREATE TRIGGER g AFTER UPDATE ON notes BEGIN DELETE FROM tags; UPDATE tags SET |; END;", ["id", "note_id", "tag"]),
        ("CREATE TABLE x (n INTEGER REFERENCES notes (|));", ["id", "title", "body"]),
        ("CREATE INDEX i ON tags (|);", ["id", "note_id", "tag"]),
    ],
)
async def test_columns_are_those_that_the_query_reads(open_editor, typed, columns):
    found = await completed(open_editor, typed)
    assert [label for label, kind in found if kind == types.CompletionItemKind.Field] == columns


async def test_tables_of_main_and_of_with_are_completed(open_editor):
    found = await completed(open_editor, "DELETE FROM main.|;")
    assert {"notes", "titles"} < {label for label, kind in found}
    assert types.CompletionItemKind.Field not in {kind for label, kind in found}
    found = await completed(open_editor, "WITH words AS (SELECT tag FROM tags) SELECT * FROM |;")
    assert "words" in {label for label, kind in found}
    found = await completed(open_editor, "CREATE TRIGGER g AFTER UPDATE ON notes BEGIN SELECT |; END;")
    assert {"new", "old"} < {label for label, kind in found}


@pytest.mark.parametrize(
    ("sql", "offered", "missing"),
    [
        ("-- SELECT n.| FROM notes n;", ["id", "title", "body"], ["tag"]),
        ("-- ALTER TABLE notes ADD COLUMN pin;\n-- UPDATE |", ["notes", "tags"], ["-- [system:1.0.0→1.1.0:start]"]),
        ("-- ALTER TABLE notes ADD COLUMN pin;\n-- UPDATE notes SET t|", ["pin", "title"], ["tag"]),
        ("-- |", ["SELECT", "notes"], []),
        ("-- t|", ["-- tatmig:allow"], []),
        ("-- [|", ["-- [system:1.0.0→1.1.0:start]"], ["notes"]),
    ],
)
async def test_the_commented_sql_of_a_planned_migration_is_completed(open_editor, sql, offered, missing):
    text = TABLES.replace("## 1.0.0 → 1.1.0", "## 1.0.0 → 1.1.0 (Planned)").replace("{sql}", sql)
    at = text.index("|")
    document = open_editor.open(text.replace("|", ""))
    found = await document.client.text_document_completion_async(
        types.CompletionParams(document.identifier, document.positions.position(at))
    )
    labels = [item.label for item in found.items]
    assert [label for label in offered if label not in labels] == []
    assert [label for label in missing if label in labels] == []


async def test_a_comment_of_a_released_migration_is_not_completed(open_editor):
    for comment in ["-- SELECT |", "-- the |", "SELECT 1; -- SELECT |"]:
        assert await completed(open_editor, comment) == []


@pytest.mark.parametrize("quotes", ['""', "[]", "``"])
async def test_a_name_is_completed_between_quotes(open_editor, quotes):
    document, at = document_with(open_editor, f"SELECT {quotes[0]}b|{quotes[1]} FROM \"we\"\"ird\";")
    found = await document.client.text_document_completion_async(
        types.CompletionParams(document.identifier, document.positions.position(at))
    )
    labels = [item.label for item in found.items]
    assert labels[:3] == ["a", '"b c"', '"d`e"'] and "SELECT" not in labels
    item = found.items[1]
    start, end = [document.positions.index(place) for place in (item.text_edit.range.start, item.text_edit.range.end)]
    assert item.filter_text.startswith(document.text[start:at]), "the editor keeps the item"
    text = document.text[:start] + item.text_edit.new_text + document.text[end:]
    assert 'SELECT "b c" FROM' in text


async def test_links_are_addresses(open_editor):
    text = "[a](sub/x%20y.md#b) [c](<sub/x é.md>) [d](/abs/p.md) [e](https://example.org/x) [f](#here)\n"
    document = open_editor.open(text)
    links = await document.client.text_document_document_link_async(types.DocumentLinkParams(document.identifier))
    directory = open_editor.directory.as_uri()
    assert [link.target for link in links] == [
        f"{directory}/sub/x%20y.md#b",
        f"{directory}/sub/x%20%C3%A9.md",
        "file:///abs/p.md",
        "https://example.org/x",
    ]


async def completed(editor, typed):
    """The labels and kinds of what is offered in place of `|`."""
    document, at = document_with(editor, typed)
    found = await document.client.text_document_completion_async(
        types.CompletionParams(document.identifier, document.positions.position(at))
    )
    return [(item.label, item.kind) for item in found.items]
