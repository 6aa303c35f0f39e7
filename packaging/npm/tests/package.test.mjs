/** The installed package and its README. */

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "node:test";

import * as tatmig from "tatmig";

import { BASELINE, PINNED, SLOW, directoryWithUsers, sleep } from "./support.mjs";

const directory = dirname(dirname(createRequire(import.meta.url).resolve("tatmig")));
const manifest = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
const cli = join(directory, manifest.bin.tatmig);

test("package and program have one version", () => {
  const printed = execFileSync(tatmig.findProgram(), ["--version"], { encoding: "utf8" });
  assert.equal(printed.split("\n")[0].split(" ")[1], manifest.version);
  for (const version of Object.values(manifest.optionalDependencies)) {
    assert.equal(version, manifest.version);
  }
  const platform = join(dirname(tatmig.findProgram()), "..", "package.json");
  assert.equal(JSON.parse(readFileSync(platform, "utf8")).version, manifest.version);
});

test("the package runs no script and depends on nothing but its platforms", () => {
  assert.equal(manifest.scripts, undefined);
  assert.equal(manifest.dependencies, undefined);
});

test("the command passes on arguments, output and exit status", async () => {
  const { path, ...fleet } = await directoryWithUsers();
  writeFileSync(fleet.document, BASELINE + PINNED);
  const ended = spawnSync(cli, ["status", "--exit-code"], { cwd: path, encoding: "utf8" });
  assert.equal(ended.status, 3);
  assert.match(ended.stdout, /ann/);
});

test("a signal to the command ends the program, which rolls back", async () => {
  const fleet = await directoryWithUsers();
  await fleet.run("seed", "twice", "--user=ann");
  fleet.writeDocument(BASELINE, SLOW);
  const child = spawn(cli, ["upgrade", "--user=ann"], { cwd: fleet.path, stdio: "ignore" });
  const status = new Promise((resolve) => child.on("close", resolve));
  await sleep(1000);
  child.kill("SIGTERM");
  assert.equal(await status, 143);
  assert.deepEqual(await fleet.versions("ann"), ["1.0.0"]);
});

// test.sh copies the project's pages here.
for (const page of [join(directory, "README.md"), "pages/README.md", "pages/packages.md"]) {
  test(`the example of log-in runs: ${page.split("/").slice(-2).join("/")}`, () => {
    const [example] = /(?<=```js\n)[^]*?(?=```)/.exec(readFileSync(page, "utf8"));
    const cwd = mkdtempSync(join(tmpdir(), "tatmig-readme-"));
    mkdirSync(join(cwd, "data/users"), { recursive: true });
    writeFileSync(join(cwd, "MIGRATIONS.md"), BASELINE);
    // An import of this file's neighbours, which resolves the package.
    const script = join(dirname(new URL(import.meta.url).pathname), "readme-example.mjs");
    writeFileSync(script, `${example}\nconsole.log(await databaseOf("ann"));\n`);
    const printed = execFileSync(process.execPath, [script], { cwd, encoding: "utf8" });
    assert.equal(printed.trim(), "data/users/ann_longterm.db");
  });
}

test("the README names every method, error and setting", () => {
  const readme = readFileSync(join(directory, "README.md"), "utf8");
  const methods = Object.getOwnPropertyNames(tatmig.Fleet.prototype);
  const errors = Object.keys(tatmig).filter((name) => name.endsWith("Error"));
  const types = readFileSync(join(directory, "dist/settings.d.ts"), "utf8");
  const settings = [...types.matchAll(/^ {4}(\w+)\?:/gm)].map(([, name]) => name);
  assert(settings.length > 20);
  const isNamed = (name) => new RegExp(`\`[^\`]*\\b${name}\\b[^\`]*\``).test(readme);
  const names = [...methods, ...errors, ...settings].filter((name) => name !== "constructor");
  assert.deepEqual(
    names.filter((name) => !isNamed(name)),
    [],
  );
});
