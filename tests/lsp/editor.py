"""An editor for the tests: documents with their texts, and what `tatmig lint` says of them."""

import asyncio
import bisect
import json
import os
import pathlib
import subprocess
import tempfile

from lsprotocol import types

ROOT = pathlib.Path(__file__).resolve().parents[2]
TATMIG = os.environ.get("TATMIG_BIN", str(ROOT / "target/debug/tatmig"))
APPLICATIONS = ["bluesky-pds", "edgesoul", "reddit-agent", "synth-mind", "tatlock"]


def application(name):
    return (ROOT / "fixtures" / name / "MIGRATIONS.md").read_text()


def utf16_len(text):
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class Positions:
    """Maps between positions and indexes of a Python string, by UTF-16 or UTF-8 units."""

    def __init__(self, text, encoding):
        self.text = text
        self.encoding = encoding
        self.starts = [0]
        for index, char in enumerate(text):
            if char == "\n" or char == "\r" and text[index + 1 : index + 2] != "\n":
                self.starts.append(index + 1)

    def units(self, text):
        return len(text.encode()) if self.encoding == "utf-8" else utf16_len(text)

    def line(self, line):
        start = self.starts[line]
        end = self.starts[line + 1] if line + 1 < len(self.starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")

    def position(self, index):
        line = bisect.bisect_right(self.starts, index) - 1
        return types.Position(line, self.units(self.text[self.starts[line] : index]))

    def index(self, position):
        if position.line >= len(self.starts):
            return len(self.text)
        units = 0
        for offset, char in enumerate(self.line(position.line)):
            units += self.units(char)
            if units > position.character:
                return self.starts[position.line] + offset
        return self.starts[position.line] + len(self.line(position.line))

    def range(self, start, end):
        return types.Range(self.position(start), self.position(end))

    def slice(self, range):
        return self.text[self.index(range.start) : self.index(range.end)]


class Document:
    """An open document."""

    def __init__(self, editor, uri, path, text):
        self.editor = editor
        self.client = editor.client
        self.uri = uri
        self.path = path
        self.text = text
        self.version = 1
        self._positions = None
        self.client.text_document_did_open(
            types.DidOpenTextDocumentParams(
                types.TextDocumentItem(uri=uri, language_id="markdown", version=1, text=text)
            )
        )

    @property
    def positions(self):
        if self._positions is None or self._positions.text is not self.text:
            self._positions = Positions(self.text, self.editor.encoding)
        return self._positions

    @property
    def identifier(self):
        return types.TextDocumentIdentifier(self.uri)

    def send(self, changes):
        self.version += 1
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(uri=self.uri, version=self.version), changes
            )
        )

    def replace(self, old, new):
        """Replaces the only occurrence of a text."""
        assert self.text.count(old) == 1, (old, self.text.count(old))
        start = self.text.index(old)
        self.edit(start, start + len(old), new)

    def edit(self, start, end, new):
        range = self.positions.range(start, end)
        self.text = self.text[:start] + new + self.text[end:]
        self.send([types.TextDocumentContentChangePartial(range=range, text=new)])

    def at(self, text, offset=0):
        """The position in a text that occurs once; `offset` characters behind its start."""
        assert self.text.count(text) == 1, (text, self.text.count(text))
        return self.positions.position(self.text.index(text) + offset)

    async def findings(self):
        """The diagnostics of the text as it is."""
        report = await self.client.text_document_diagnostic_async(
            types.DocumentDiagnosticParams(self.identifier)
        )
        return [finding_key(found) for found in report.items]

    async def published(self, version=None):
        """The diagnostics that the server published for a version."""
        version = version or self.version
        for _ in range(600):
            found = self.editor.published.get((self.uri, version))
            if found is not None:
                return [finding_key(finding) for finding in found[-1]]
            await asyncio.sleep(0.05)
        raise AssertionError(f"no diagnostics for version {version}")

    def linted(self):
        """What `tatmig lint --json` reports of the text."""
        return lint(self.text, self.editor.encoding, self.path)


def finding_key(finding):
    """A diagnostic as a value that can be compared with one of `lint --json`."""
    names = {1: "error", 2: "warning", 3: "note"}
    range = finding.range
    return (
        finding.code,
        names[finding.severity],
        finding.message,
        (range.start.line, range.start.character),
        (range.end.line, range.end.character),
    )


def run(arguments, directory):
    environment = {key: value for key, value in os.environ.items() if key != "TATMIG_JSON"}
    return subprocess.run(
        [TATMIG, *arguments], cwd=directory, capture_output=True, env=environment, check=False
    )


def lint(text, encoding, path):
    # In a directory below that of the settings.
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        (pathlib.Path(directory) / path.name).write_bytes(text.encode())
        result = run(["lint", "--json", "--file", path.name], directory)
    positions = Positions(text, encoding)
    line_starts = [0] + [index + 1 for index, char in enumerate(text) if char == "\n"]
    keys = []
    for problem in json.loads(result.stdout)["problems"]:
        message = problem["message"]
        if problem["help"]:
            message += f"\nhelp: {problem['help']}"
        ends = []
        for line, column in [("line", "column"), ("end_line", "end_column")]:
            # The lines of lint end with line feeds only.
            index = line_starts[problem[line] - 1] + problem[column] - 1
            position = positions.position(index)
            ends.append((position.line, position.character))
        keys.append((problem["rule"], problem["severity"], message, *ends))
    return keys


class Editor:
    """A client with its documents."""

    def __init__(self, client, encoding, directory):
        self.client = client
        self.encoding = encoding
        self.directory = directory
        self.published = {}
        self.messages = []

        @client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def publish(params):
            key = (params.uri, params.version)
            self.published.setdefault(key, []).append(params.diagnostics)

        @client.feature(types.WINDOW_SHOW_MESSAGE)
        def show(params):
            self.messages.append(params.message)

        @client.feature(types.WORKSPACE_CODE_LENS_REFRESH)
        def refresh_lenses(*_):
            return None

        @client.feature(types.WORKSPACE_INLAY_HINT_REFRESH)
        def refresh_hints(*_):
            return None

        @client.feature(types.CLIENT_REGISTER_CAPABILITY)
        def register(*_):
            return None

    def open(self, text, name="MIGRATIONS.md"):
        path = self.directory / name
        return Document(self, path.as_uri(), path, text)

    def open_application(self, name):
        settings = ROOT / "fixtures" / name / "tatmig.toml"
        if settings.exists():
            (self.directory / "tatmig.toml").write_bytes(settings.read_bytes())
        return self.open(application(name))
