// Checks that the manifest, the code, the README and the packed extension agree.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path) => readFileSync(join(root, path), "utf8");
const manifest = JSON.parse(read("package.json"));
const { problemOf, programOf } = require("../src/program.js");

test("the version is that of the program", () => {
  const [, version] = read("../../Cargo.toml").match(/^version = "(.*)"$/m);
  assert.equal(manifest.version, version, "write the version of Cargo.toml into editors/vscode/package.json");
  assert.equal(JSON.parse(read("package-lock.json")).version, version, "run `npm install` in editors/vscode");
});

test("every file that the manifest names exists", () => {
  const { grammars, snippets } = manifest.contributes;
  for (const { path } of [...grammars, ...snippets]) assert.ok(existsSync(join(root, path)), path);
  for (const { scopeName, path } of grammars) assert.equal(JSON.parse(read(path)).scopeName, scopeName);
});

test("the commands are those of the server and of the extension", () => {
  const source = read("../../src/lsp/features/commands.rs");
  const ofServer = [...source.matchAll(/const [A-Z]+: &str = "(tatmig\.\w+)"/g)].map((found) => found[1]);
  const extension = read("src/extension.js");
  const known = [...extension.match(/SERVER_COMMANDS = \[(.*?)\]/)[1].matchAll(/"(.*?)"/g)].map((found) => found[1]);
  const registered = [...extension.matchAll(/registerCommand\("(.*?)"/g)].map((found) => found[1]);
  assert.ok(ofServer.length >= 3);
  assert.deepEqual(known.sort(), ofServer.sort());
  const contributed = manifest.contributes.commands.map(({ command }) => command);
  assert.deepEqual(contributed.sort(), [...ofServer, ...registered].sort());
});

test("the README lists every setting with its default, and every snippet", () => {
  const readme = read("README.md");
  for (const [name, { default: value }] of Object.entries(manifest.contributes.configuration.properties)) {
    const shown = value === "" ? "empty" : `\`${Array.isArray(value) ? JSON.stringify(value) : value}\``;
    assert.ok(readme.includes(`| \`${name}\` | ${shown} |`), `${name} with ${shown}`);
  }
  for (const { path } of manifest.contributes.snippets) {
    for (const { prefix, body, description } of Object.values(JSON.parse(read(path)))) {
      assert.ok([prefix].flat().some((word) => readme.includes(`\`${word}\``)), `${prefix}`);
      assert.ok(description && body.length > 0);
    }
  }
});

/** A snippet as it is inserted, with its defaults. */
function inserted(body) {
  const values = {};
  const today = { CURRENT_YEAR: "2026", CURRENT_MONTH: "06", CURRENT_DATE: "01" };
  return [body].flat().join("\n")
    .replace(/\$\{(\d):([^}]*)\}/g, (_, number, value) => (values[number] = value))
    .replace(/\$\{(\d)\|(\w+)[^}]*\}/g, (_, number, value) => (values[number] = value))
    .replace(/\$(\d)/g, (_, number) => values[number] ?? "")
    .replace(/\$([A-Z_]+)/g, (_, name) => today[name]);
}

test("the snippets are what tatmig reads", { skip: !process.env.TATMIG_BIN }, () => {
  const snippets = JSON.parse(read("snippets/markdown.json"));
  const directory = mkdtempSync(join(tmpdir(), "tatmig-snippets-"));
  const baseline = "## Baseline: 1.0.0\n**Date**: 2026-05-04\n**Description**: First\n\n```sql\n" +
    ["user", "system"].map((scope) => `-- [${scope}:baseline→1.0.0:start]\nCREATE TABLE IF NOT EXISTS t (a);\n-- [${scope}:baseline→1.0.0:end]\n`).join("") + "```\n";
  const migration = inserted(snippets["Migration of the user databases"].body);
  try {
    for (const [name, { body }] of Object.entries(snippets)) {
      const before = name === "Reverse block" ? `${baseline}\n${migration}\n` : baseline;
      const text = `${before}\n${inserted(body)}\n`.replace(/^(-- \[\w+:[^\]]*:start\]\n)\n/gm, "$1SELECT 1;\n");
      writeFileSync(join(directory, "MIGRATIONS.md"), text);
      let found;
      try {
        found = execFileSync(process.env.TATMIG_BIN, ["lint", "--json"], { cwd: directory, encoding: "utf8" });
      } catch (error) {
        assert.fail(`${name}: ${error.stdout}\n${text}`);
      }
      assert.ok(JSON.parse(found), name);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("the package holds the bundle and what the manifest names, and nothing else", () => {
  const vsix = join(root, "dist/tatmig.vsix");
  const script = "import sys, zipfile; print('\\n'.join(zipfile.ZipFile(sys.argv[1]).namelist()))";
  const names = execFileSync("python3", ["-c", script, vsix], { encoding: "utf8" }).trim().split("\n");
  assert.deepEqual(names.sort(), [
    "[Content_Types].xml",
    "extension.vsixmanifest",
    "extension/LICENSE.txt",
    "extension/dist/extension.js",
    "extension/package.json",
    "extension/readme.md",
    "extension/snippets/markdown.json",
    "extension/snippets/sql.json",
    "extension/syntaxes/fence.json",
    "extension/syntaxes/tag.json",
  ]);
});

test("the bundle needs nothing but VS Code and Node", () => {
  const needed = [...read("dist/extension.js").matchAll(/\brequire\("([^"]+)"\)/g)].map((found) => found[1]);
  const { builtinModules } = require("node:module");
  const others = needed.filter((name) => !builtinModules.includes(name.replace(/^node:/, "")));
  assert.deepEqual([...new Set(others)], ["vscode"]);
});

test("a missing or wrong program is explained", async () => {
  assert.equal(programOf("  ", "/home/ann"), "tatmig");
  assert.equal(programOf("~/bin/tatmig", "/home/ann"), "/home/ann/bin/tatmig");
  assert.equal(programOf("/opt/tatmig", "/home/ann"), "/opt/tatmig");
  assert.match(await problemOf("/missing/tatmig"), /`\/missing\/tatmig` does not exist: correct the setting `tatmig.path`/);
  assert.match(await problemOf(process.execPath), /is not tatmig/);
  const path = process.env.PATH;
  process.env.PATH = "/missing";
  try {
    assert.match(await problemOf("tatmig"), /not on PATH: install it, or set `tatmig.path`/);
  } finally {
    process.env.PATH = path;
  }
  const directory = mkdtempSync(join(tmpdir(), "tatmig-program-"));
  const program = join(directory, "tatmig");
  try {
    writeFileSync(program, '#!/bin/sh\n[ "$1" = --version ] && echo tatmig 0.0.1\n');
    chmodSync(program, 0o755);
    assert.match(await problemOf(program), /tatmig 0.0.1 has no language server: install a newer version/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("the program of this repository is accepted", { skip: !process.env.TATMIG_BIN }, async () => {
  assert.equal(await problemOf(process.env.TATMIG_BIN), undefined);
});
