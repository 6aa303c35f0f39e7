/** Each method runs its command and returns what the program reports. */

import assert from "node:assert/strict";
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

import {
  DocumentError,
  Fleet,
  MigrationError,
  ProgramError,
  StoppedError,
  TatmigError,
  UsageError,
} from "tatmig";

import {
  BASELINE,
  FleetDirectory,
  PINNED,
  SLOW,
  STATEMENT_LINE,
  UNIQUE,
  directoryWithUsers,
  scriptedProgram,
} from "./support.mjs";

test("init creates databases at head", async () => {
  const directory = new FleetDirectory();
  const { databases } = await directory.fleet().init({ user: "ann" });
  assert.deepEqual(
    databases.map(({ name, outcome }) => [name, outcome]),
    [
      ["system", "created"],
      ["ann", "created"],
    ],
  );
  assert.deepEqual(await directory.versions("ann"), ["1.0.0"]);
});

test("upgrade migrates the users named", async () => {
  const directory = await directoryWithUsers();
  directory.writeDocument(BASELINE, PINNED);
  const result = await directory.fleet().upgrade({ user: "ann" });
  assert.equal(result.head, "1.1.0");
  assert.equal(result.target, "1.1.0");
  assert.equal(result.summary.upgraded, 2);
  const { name, scope, outcome, from, to, steps } = result.databases[1];
  assert.deepEqual([name, scope, outcome, from, to], ["ann", "user", "upgraded", "1.0.0", "1.1.0"]);
  assert.deepEqual(steps, ["1.1.0"]);
  assert.deepEqual(await directory.versions("ann"), ["1.0.0", "1.1.0"]);
  assert.deepEqual(await directory.versions("bob"), ["1.0.0"]);
  const all = await directory.fleet().upgrade({ allUsers: true, backup: true });
  assert.deepEqual(
    all.databases.map((database) => [database.name, database.outcome]),
    [
      ["system", "current"],
      ["ann", "current"],
      ["bob", "upgraded"],
    ],
  );
});

test("a dry run lists migrations and changes nothing", async () => {
  const directory = await directoryWithUsers();
  directory.writeDocument(BASELINE, PINNED);
  const result = await directory.fleet().upgrade({ allUsers: true, dryRun: true });
  const planned = result.migrations.find(({ scope }) => scope === "user");
  assert.deepEqual(planned?.databases, ["ann", "bob"]);
  assert.match(planned?.sql ?? "", /ADD COLUMN pinned/);
  assert.deepEqual(await directory.versions("ann"), ["1.0.0"]);
});

test("status shows what is pending", async () => {
  const directory = await directoryWithUsers();
  assert.equal((await directory.fleet().status()).isCurrent, true);
  directory.writeDocument(BASELINE, PINNED);
  const result = await directory.fleet().status({ user: "ann" });
  assert.equal(result.isCurrent, false);
  const [ann] = result.databases;
  assert.deepEqual([ann.version, ann.state, ann.pending], ["1.0.0", "behind", ["1.1.0"]]);
  const system = await directory.fleet().status({ system: true });
  assert.deepEqual(
    system.databases.map(({ name }) => name),
    ["system"],
  );
});

test("verify lists findings", async () => {
  const directory = await directoryWithUsers();
  assert.equal((await directory.fleet().verify()).isOk, true);
  directory.writeDocument(BASELINE.replace("CREATE TABLE IF NOT EXISTS notes (", "$&extra, "));
  const result = await directory.fleet().verify();
  assert.equal(result.isOk, false);
  assert.match(result.databases.map(({ findings }) => findings.join()).join(), /edited|extra/);
  const { databases, isOk } = await directory.fleet().verify({ system: true });
  assert.deepEqual([databases.length, isOk], [1, true]);
});

test("lint returns problems", async () => {
  const directory = new FleetDirectory();
  assert.equal((await directory.fleet().lint()).isOk, true);
  directory.writeDocument(BASELINE.replace("**Date**: 2026-05-04\n", ""));
  const result = await directory.fleet().lint();
  assert.equal(result.isOk, true);
  const isDate = ({ rule, severity }) => rule === "missing-date" && severity === "warning";
  assert(result.problems.some(isDate));
  assert.equal((await directory.fleet().lint({ deny: ["missing-date"] })).isOk, false);
  assert(!(await directory.fleet().lint({ allow: "missing-date" })).problems.some(isDate));
});

test("lint returns the errors of a document that cannot be used", async () => {
  const directory = new FleetDirectory();
  directory.writeDocument(BASELINE.replace("[user:baseline→1.0.0:end]", "[user:baseline→1.0:end]"));
  const result = await directory.fleet().lint();
  assert.equal(result.isOk, false);
  assert.deepEqual([result.problems[0].rule, result.problems[0].line], ["malformed-tag", 15]);
});

test("a document that cannot be used is a document error", async () => {
  const directory = await directoryWithUsers();
  directory.writeDocument(BASELINE, PINNED.replace("ALTER", "ALTRE"));
  await assert.rejects(directory.fleet().upgrade({ allUsers: true }), (error) => {
    assert(error instanceof DocumentError);
    assert.deepEqual([error.rule, error.line, error.exitStatus], ["sql", STATEMENT_LINE, 2]);
    assert.equal(error.file, directory.document);
    assert.equal(error.problems[0].severity, "error");
    assert(error.message.includes(`${directory.document}:${STATEMENT_LINE}:1`));
    return true;
  });
  assert.deepEqual(await directory.versions("ann"), ["1.0.0"]);
});

test("a failing database is an error with rows, and the others are migrated", async () => {
  const directory = await directoryWithUsers();
  await directory.run("seed", "twice", "--user=ann");
  directory.writeDocument(BASELINE, UNIQUE);
  await assert.rejects(directory.fleet().upgrade({ allUsers: true }), (error) => {
    assert(error instanceof MigrationError && error instanceof TatmigError);
    assert.equal(error.name, "MigrationError");
    assert.deepEqual([error.database, error.exitStatus], ["ann", 1]);
    assert.deepEqual([error.rule, error.line], ["sql", STATEMENT_LINE]);
    assert.match(error.rows[0], /twice/);
    assert.match(error.message, /^ann: UNIQUE constraint failed/);
    const outcomes = error.result?.databases.map(({ name, outcome }) => [name, outcome]);
    assert.deepEqual(outcomes, [
      ["system", "upgraded"],
      ["ann", "failed"],
      ["bob", "upgraded"],
    ]);
    return true;
  });
  assert.deepEqual(await directory.versions("ann"), ["1.0.0"]);
});

test("an unknown user is a usage error", async () => {
  const directory = await directoryWithUsers();
  await assert.rejects(directory.fleet().upgrade({ user: "eve" }), UsageError);
  await assert.rejects(directory.fleet().ensure(""), UsageError);
});

for (const name of [
  "-x",
  "--all-users",
  "a b",
  "Zoë 🦀",
  "'; DROP",
  "$(x)",
  "file:x",
  "=",
  "a\nb",
  "__proto__",
]) {
  test(`any name is one user: ${JSON.stringify(name)}`, async () => {
    const directory = new FleetDirectory();
    const fleet = directory.fleet();
    assert.equal((await fleet.ensure(name, { create: true })).outcome, "current");
    assert(existsSync(directory.database(name)));
    const { databases } = await fleet.status({ user: name });
    assert.equal(databases[0].state, "current");
  });
}

test("a name that would reach the program as another name is refused", async () => {
  const fleet = new FleetDirectory().fleet();
  await assert.rejects(fleet.ensure("a\ud800", { create: true }), TypeError);
  await assert.rejects(fleet.ensure("a\0b", { create: true }), TypeError);
  await assert.rejects(fleet.upgrade({ user: "\udc00" }), TypeError);
  await assert.rejects(fleet.ensure(undefined, { create: true }), TypeError);
  await assert.rejects(fleet.init({ user: ["ann", undefined] }), TypeError);
});

test("settings become flags and variables", async () => {
  const directory = new FleetDirectory();
  mkdirSync(join(directory.path, "users"));
  const fleet = directory.fleet({
    usersDir: "users",
    systemDb: join(directory.path, "all.db"),
    userPattern: "{username}.sqlite",
    journalMode: "wal",
    followSymlinks: false,
    jobs: 2,
    busyTimeout: 1.5,
  });
  await fleet.init({ user: "ann" });
  assert(existsSync(join(directory.path, "all.db")));
  assert(existsSync(join(directory.path, "users", "ann.sqlite")));
});

test("a wrong setting is refused", () => {
  assert.throws(() => new Fleet({ userDir: "users" }), /`userDir` is not a setting/);
  assert.throws(() => new Fleet({ maxProcesses: 0 }), RangeError);
});

test("the program finds the document if none is given", async () => {
  const directory = await directoryWithUsers();
  renameSync(directory.document, join(directory.path, "OTHER.md"));
  writeFileSync(join(directory.path, "tatmig.toml"), 'file = "OTHER.md"\n');
  const { file } = await new Fleet({ cwd: directory.path }).status();
  assert.match(file, /OTHER\.md$/);
});

test("a missing program or directory is a program error", async () => {
  const executable = "/nonexistent/tatmig";
  await assert.rejects(new FleetDirectory().fleet({ executable }).status(), (error) => {
    return error instanceof ProgramError && /cannot be started/.test(error.message);
  });
  await assert.rejects(new Fleet({ cwd: "/nonexistent" }).status(), /`\/nonexistent` does not exist/);
});

for (const [script, message] of [
  ["echo broken >&2; exit 101", /exit status 101 and printed no JSON document: broken/],
  ["kill -9 $$", /killed by SIGKILL/],
  ["echo '[]'", /JSON format undefined/],
  [`echo '{"format": 2}'`, /JSON format 2/],
]) {
  test(`an answer that is not understood is a program error: ${script}`, async () => {
    const fleet = new FleetDirectory().fleet({ executable: scriptedProgram(script) });
    await assert.rejects(fleet.status(), (error) => {
      assert(error instanceof ProgramError);
      assert.match(error.message, message);
      return true;
    });
  });
}

test("unknown keys are ignored", async () => {
  const executable = scriptedProgram(`\
echo '{"format": 1, "command": "status", "file": "M.md", "head": "1.0.0", "later": [1],
  "databases": [{"name": "ann", "scope": "user", "path": "a.db", "state": "current", "later": {},
    "error": {"message": "odd", "later": 1}}],
  "problems": [], "error": null, "summary": {"total": 1}}'`);
  const { databases } = await new FleetDirectory().fleet({ executable }).status();
  assert(!("later" in databases[0]));
  assert.deepEqual([databases[0].error?.message, databases[0].error?.rows], ["odd", []]);
});

test("a run that a signal ended is a stopped error", async () => {
  const executable = scriptedProgram(`\
echo '{"format": 1, "command": "upgrade", "file": "M.md", "head": null, "databases": [],
  "problems": [], "error": null, "summary": {"total": 0}}'
exit 143`);
  const fleet = new FleetDirectory().fleet({ executable });
  const calls = [fleet.upgrade(), fleet.status(), fleet.verify(), fleet.ensure("ann")];
  for (const { reason } of await Promise.allSettled(calls)) {
    assert(reason instanceof StoppedError);
    assert.equal(reason.exitStatus, 143);
  }
});

test("an aborted upgrade has ended and is rolled back", async () => {
  const directory = await directoryWithUsers();
  await directory.run("seed", "twice", "--user=ann");
  directory.writeDocument(BASELINE, SLOW);
  const started = Date.now();
  const signal = AbortSignal.timeout(1000);
  await assert.rejects(directory.fleet().upgrade({ user: "ann", signal }), { name: "TimeoutError" });
  assert(Date.now() - started < 15_000);
  // No process holds the database.
  directory.writeDocument(BASELINE, PINNED);
  const { databases } = await directory.fleet({ busyTimeout: 0 }).upgrade({ user: "ann" });
  assert.equal(databases[1].outcome, "upgraded");
  await assert.rejects(directory.fleet().status({ signal: AbortSignal.abort() }), {
    name: "AbortError",
  });
});
