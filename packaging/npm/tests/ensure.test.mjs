/** What `ensure` promises to an application that calls it at each log-in. */

import assert from "node:assert/strict";
import { existsSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

import { Fleet, MigrationError, StoppedError, UsageError, findProgram } from "tatmig";

import {
  BASELINE,
  FleetDirectory,
  PINNED,
  ProgramLog,
  UNIQUE,
  directoryWithUsers,
  scriptedProgram,
  sleep,
} from "./support.mjs";

test("ensure migrates the user and no other", async () => {
  const directory = await directoryWithUsers();
  directory.writeDocument(BASELINE, PINNED);
  const run = await directory.fleet().ensure("ann");
  assert.deepEqual([run.name, run.outcome, run.to], ["ann", "upgraded", "1.1.0"]);
  assert.deepEqual(await directory.versions("ann"), ["1.0.0", "1.1.0"]);
  assert.deepEqual(await directory.versions("bob"), ["1.0.0"]);
});

test("a later call starts no process", async () => {
  const directory = await directoryWithUsers();
  const log = new ProgramLog();
  directory.writeDocument(BASELINE, PINNED);
  const fleet = directory.fleet({ executable: log.executable });
  const first = await fleet.ensure("ann");
  const second = await fleet.ensure("ann");
  assert.equal(log.starts("ann"), 1);
  assert.deepEqual([first.outcome, second.outcome], ["upgraded", "current"]);
  assert.deepEqual([second.from, second.to, second.steps], ["1.1.0", "1.1.0", []]);
  assert.equal(second.path, first.path);
});

test("a new document is noticed", async () => {
  const directory = await directoryWithUsers();
  const fleet = directory.fleet();
  await fleet.ensure("ann");
  await fleet.ensure("bob");
  directory.writeDocument(BASELINE, PINNED);
  assert.equal((await fleet.ensure("ann")).outcome, "upgraded");
  assert.equal((await fleet.ensure("bob")).outcome, "upgraded");
  assert.equal((await fleet.ensure("ann")).outcome, "current");
});

test("a run that a new document has overtaken is repeated", async () => {
  const directory = await directoryWithUsers();
  const path = (name) => join(directory.path, name);
  writeFileSync(path("new.md"), BASELINE + PINNED);
  // The first run has read 1.0.0 when another run migrates everything to 1.1.0.
  const executable = scriptedProgram(`\
program='${findProgram()}'
if [ -e new.md ]; then
    cp MIGRATIONS.md old.md
    mv new.md MIGRATIONS.md
    "$program" upgrade --all-users --quiet
    for argument; do
        shift
        case $argument in --file=*) argument=--file=old.md ;; esac
        set -- "$@" "$argument"
    done
fi
exec "$program" "$@"`);
  const run = await directory.fleet({ executable }).ensure("ann");
  assert(existsSync(path("old.md")));
  assert.deepEqual([run.outcome, run.to], ["current", "1.1.0"]);
  assert.deepEqual(await directory.versions("ann"), ["1.0.0", "1.1.0"]);
});

test("a document with the same content is no new one", async () => {
  const directory = await directoryWithUsers();
  const log = new ProgramLog();
  const fleet = directory.fleet({ executable: log.executable });
  await fleet.ensure("ann");
  directory.writeDocument(BASELINE);
  utimesSync(directory.document, 1, 1);
  await fleet.ensure("ann");
  assert.equal(log.starts("ann"), 1);
});

test("a document that the program found is watched too", async () => {
  const directory = await directoryWithUsers();
  const log = new ProgramLog();
  // A document that was just written may have been another one for the first run.
  await sleep(2100);
  const fleet = new Fleet({ cwd: directory.path, executable: log.executable });
  await fleet.ensure("ann");
  await fleet.ensure("ann");
  assert.equal(log.starts("ann"), 1);
  directory.writeDocument(BASELINE, PINNED);
  assert.equal((await fleet.ensure("ann")).outcome, "upgraded");
});

test("a deleted or replaced database is noticed", async () => {
  const directory = await directoryWithUsers();
  const fleet = directory.fleet();
  await fleet.ensure("ann");
  rmSync(directory.database("ann"));
  await assert.rejects(fleet.ensure("ann"), UsageError);
  // An application that opens the missing file creates an empty one.
  writeFileSync(directory.database("ann"), "");
  await fleet.ensure("ann", { create: true });
  assert.deepEqual(await directory.versions("ann"), ["1.0.0"]);
});

test("forget looks again", async () => {
  const directory = await directoryWithUsers();
  const log = new ProgramLog();
  const fleet = directory.fleet({ executable: log.executable });
  const ensureBoth = () => Promise.all([fleet.ensure("ann"), fleet.ensure("bob")]);
  await ensureBoth();
  fleet.forget("ann");
  await ensureBoth();
  assert.deepEqual([log.starts("ann"), log.starts("bob")], [2, 1]);
  fleet.forget();
  await ensureBoth();
  assert.deepEqual([log.starts("ann"), log.starts("bob")], [3, 2]);
});

test("forget is not undone by a run that started before", async () => {
  const directory = await directoryWithUsers();
  const log = new ProgramLog(300);
  const fleet = directory.fleet({ executable: log.executable });
  const first = fleet.ensure("ann");
  await log.started("ann");
  fleet.forget("ann");
  // Waits for the first run, and is not answered by it.
  await fleet.ensure("ann");
  await first;
  assert.deepEqual([log.starts("ann"), log.peak()], [2, 1]);
  await fleet.ensure("ann");
  assert.equal(log.starts("ann"), 2);
});

test("nothing is remembered for a document that was deleted", async () => {
  const directory = await directoryWithUsers();
  const fleet = directory.fleet();
  await fleet.ensure("ann");
  rmSync(directory.document);
  await assert.rejects(fleet.ensure("ann"), UsageError);
});

test("a missing database is created only if asked", async () => {
  const directory = new FleetDirectory();
  const fleet = directory.fleet();
  await assert.rejects(fleet.ensure("ann"), UsageError);
  const run = await fleet.ensure("ann", { create: true });
  assert.deepEqual([run.outcome, run.to], ["current", "1.0.0"]);
  assert.deepEqual(await fleet.ensure("ann"), run);
});

test("a failure is not remembered", async () => {
  const directory = await directoryWithUsers();
  await directory.run("seed", "twice", "--user=ann");
  directory.writeDocument(BASELINE, UNIQUE);
  const fleet = directory.fleet();
  for (let attempt = 0; attempt < 2; attempt += 1) {
    await assert.rejects(fleet.ensure("ann"), (error) => {
      assert(error instanceof MigrationError);
      assert.deepEqual([error.rule, error.database], ["sql", "ann"]);
      return true;
    });
  }
  assert.equal((await fleet.ensure("bob")).outcome, "upgraded");
  await directory.run("seed", "once", "--user=ann");
  assert.equal((await fleet.ensure("ann")).outcome, "upgraded");
});

test("a failing system database fails the user, another user does not", async () => {
  const directory = await directoryWithUsers();
  directory.writeDocument(BASELINE, PINNED);
  symlinkSync("/nonexistent", directory.database("zed"));
  assert.equal((await directory.fleet().ensure("ann")).outcome, "upgraded");
  writeFileSync(join(directory.path, "system.db"), "not a database".repeat(100));
  await assert.rejects(directory.fleet().ensure("bob"), (error) => error.database === "system");
  assert.deepEqual(await directory.versions("bob"), ["1.0.0"]);
});

test("calls for one user share one process, and its failure", async () => {
  const directory = await directoryWithUsers();
  const log = new ProgramLog(200);
  await directory.run("seed", "twice", "--user=ann");
  directory.writeDocument(BASELINE, UNIQUE);
  const fleet = directory.fleet({ executable: log.executable });
  const calls = Array.from({ length: 20 }, (_, n) => fleet.ensure(n % 2 === 0 ? "ann" : "bob"));
  const results = await Promise.allSettled(calls);
  results.forEach(({ status }, n) => assert.equal(status, n % 2 === 0 ? "rejected" : "fulfilled"));
  assert.deepEqual([log.starts("ann"), log.starts("bob")], [1, 1]);
});

test("a call for a newer document waits and runs again", async () => {
  const directory = await directoryWithUsers();
  const log = new ProgramLog(300);
  const fleet = directory.fleet({ executable: log.executable });
  const first = fleet.ensure("ann");
  await log.started("ann");
  directory.writeDocument(BASELINE, PINNED);
  assert.equal((await fleet.ensure("ann")).to, "1.1.0");
  await first;
  assert.equal(log.starts("ann"), 2);
  assert.equal(log.peak(), 1);
});

test("a call that may create is not answered by one that may not", async () => {
  const directory = await directoryWithUsers();
  const log = new ProgramLog(200);
  const fleet = directory.fleet({ executable: log.executable });
  const first = fleet.ensure("eve");
  const second = fleet.ensure("eve", { create: true });
  await assert.rejects(first, UsageError);
  assert.equal((await second).outcome, "current");
  assert.equal(log.peak(), 1);
});

test("at most maxProcesses run at once", async () => {
  const names = Array.from({ length: 9 }, (_, n) => `user${n}`);
  const directory = new FleetDirectory();
  await directory.fleet().init({ user: names });
  const log = new ProgramLog(200);
  const fleet = directory.fleet({ executable: log.executable, maxProcesses: 3 });
  await Promise.all(names.map((name) => fleet.ensure(name)));
  assert.equal(log.peak(), 3);
});

test("an aborted call lets the migration end", async () => {
  const directory = await directoryWithUsers();
  const log = new ProgramLog(300);
  directory.writeDocument(BASELINE, PINNED);
  const fleet = directory.fleet({ executable: log.executable });
  const controller = new AbortController();
  const impatient = fleet.ensure("ann", { signal: controller.signal });
  await log.started("ann");
  controller.abort();
  await assert.rejects(impatient, { name: "AbortError" });
  assert.equal((await fleet.ensure("ann")).outcome, "upgraded");
  assert.equal(log.starts("ann"), 1);
});

test("an aborted call that has not started starts no process", async () => {
  const directory = await directoryWithUsers();
  const log = new ProgramLog(300);
  const fleet = directory.fleet({ executable: log.executable, maxProcesses: 1 });
  const first = fleet.ensure("ann");
  await log.started("ann");
  const signal = AbortSignal.timeout(20);
  await assert.rejects(fleet.ensure("bob", { signal }), { name: "TimeoutError" });
  await first;
  assert.equal(log.starts("bob"), 0);
  await fleet.ensure("bob");
  assert.equal(log.starts("bob"), 1);
});

test("a failure that no caller waits for is a warning", async () => {
  const directory = await directoryWithUsers();
  const executable = scriptedProgram(`\
sleep 0.3
echo '{"format": 1, "command": "upgrade", "file": "M.md", "head": null, "databases": [],
  "problems": [], "error": null, "summary": {"total": 0}}'
exit 143`);
  const warning = new Promise((resolve) => process.once("warning", resolve));
  const signal = AbortSignal.timeout(100);
  const call = directory.fleet({ executable }).ensure("ann", { signal });
  await assert.rejects(call, { name: "TimeoutError" });
  const { name, message } = await warning;
  assert.equal(name, "TatmigWarning");
  assert.match(message, /"ann" failed: StoppedError/);
  await assert.rejects(directory.fleet({ executable }).ensure("ann"), StoppedError);
});

test("a hundred concurrent callers migrate fifty users once each", async () => {
  const names = Array.from({ length: 50 }, (_, n) => `user${n}`);
  const directory = new FleetDirectory();
  await directory.fleet().init({ user: names });
  directory.writeDocument(BASELINE, PINNED);
  // Two fleets are like two processes of one application: they know nothing of each other.
  const fleets = [directory.fleet(), directory.fleet()];
  const logInAll = async (_, caller) => {
    for (let n = 0; n < 50; n += 1) {
      const run = await fleets[caller % 2].ensure(names[(caller + n) % 50]);
      assert.equal(run.to, "1.1.0");
    }
  };
  await Promise.all(Array.from({ length: 100 }, logInAll));
  for (const name of names) {
    assert.deepEqual(await directory.versions(name), ["1.0.0", "1.1.0"]);
  }
});
