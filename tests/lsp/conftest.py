"""Starts the server for each test."""

import asyncio
import contextlib

import pytest
from lsprotocol import types
import pytest_lsp
from pytest_lsp.client import default_converter

import editor


EDITORS = {"utf-16": "visual-studio-code", "utf-8": "neovim"}


@contextlib.asynccontextmanager
async def started(encoding, directory):
    client = pytest_lsp.LanguageClient(converter_factory=default_converter)
    await client.start_io(editor.TATMIG, "lsp", cwd=directory)
    # pytest-lsp checks that no answer uses what the editor did not announce.
    capabilities = pytest_lsp.client_capabilities(EDITORS[encoding])
    encodings = [types.PositionEncodingKind(encoding)]
    capabilities.general = capabilities.general or types.GeneralClientCapabilities()
    capabilities.general.position_encodings = encodings
    result = await client.initialize_session(types.InitializeParams(capabilities=capabilities))
    assert result.capabilities.position_encoding == encoding
    # Diagnostics are published: an editor that requested them too would show each one twice.
    assert result.capabilities.diagnostic_provider is None
    found = editor.Editor(client, encoding, directory)
    yield found
    await asyncio.wait_for(client.shutdown_session(), 60)
    await asyncio.wait_for(client._server.wait(), 10)
    assert client._server.returncode == 0, "the server ends with success after a shutdown"
    await client.stop()


@pytest.fixture(params=["utf-16", "utf-8"])
async def each_encoding(request, tmp_path):
    async with started(request.param, tmp_path) as found:
        yield found


@pytest.fixture
async def open_editor(tmp_path):
    async with started("utf-16", tmp_path) as found:
        yield found


def pytest_addoption(parser):
    parser.addoption("--edits", type=int, default=480, help="how many random edits are made")
    parser.addoption("--write-goldens", action="store_true", help="write the expected answers")
