/** A fleet in an empty directory, for tests of the installed package on real files. */

import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { Fleet, findProgram } from "tatmig";

/** A part of a document in packaging/documents, which the tests of the Python package read too. */
const part = (name) => readFileSync(new URL(`../documents/${name}.md`, import.meta.url), "utf8");

export const BASELINE = part("baseline");
export const PINNED = part("pinned");
export const UNIQUE = part("unique");
/** Instant in memory, where the table is empty; half a minute for each row of a real database. */
export const SLOW = part("slow");
/** The line of the statement in the sections above, below the baseline. */
export const STATEMENT_LINE = 33;

export const sleep = promisify(setTimeout);

/** A directory with a document and databases. */
export class FleetDirectory {
  path = mkdtempSync(join(tmpdir(), "tatmig-test-"));
  document = join(this.path, "MIGRATIONS.md");

  constructor() {
    this.writeDocument(BASELINE);
  }

  writeDocument(...sections) {
    // A new file under the old name, as deployments do.
    writeFileSync(`${this.document}.new`, sections.join(""));
    renameSync(`${this.document}.new`, this.document);
  }

  fleet(options = {}) {
    return new Fleet({ document: this.document, cwd: this.path, ...options });
  }

  database(user) {
    return join(this.path, `${user}_longterm.db`);
  }

  /** Runs the program without the package; returns its JSON document. */
  async run(...args) {
    const options = { cwd: this.path, maxBuffer: 1 << 28 };
    const { stdout } = await promisify(execFile)(findProgram(), [...args, "--json"], options);
    return JSON.parse(stdout);
  }

  /** The versions of each user's history, oldest first. */
  async versions(user) {
    const { databases } = await this.run("history", `--user=${user}`);
    return databases[0].history.map((entry) => entry.to);
  }
}

/** The directory with the system database, ann and bob at 1.0.0. */
export async function directoryWithUsers() {
  const directory = new FleetDirectory();
  await directory.fleet().init({ user: ["ann", "bob"] });
  return directory;
}

/** A program that writes down when it starts and ends, and runs the real one after a delay. */
export class ProgramLog {
  #log;
  executable;

  constructor(delayMs = 0) {
    const directory = mkdtempSync(join(tmpdir(), "tatmig-program-"));
    this.#log = join(directory, "program.log");
    writeFileSync(this.#log, "");
    this.executable = join(directory, "program");
    writeFileSync(
      this.executable,
      `#!${process.execPath}
const { spawnSync } = require("node:child_process");
const { appendFileSync } = require("node:fs");
const user = process.argv.at(-1);
appendFileSync(${JSON.stringify(this.#log)}, "start " + user + "\\n");
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${delayMs});
const program = ${JSON.stringify(findProgram())};
const { status } = spawnSync(program, process.argv.slice(2), { stdio: "inherit" });
appendFileSync(${JSON.stringify(this.#log)}, "end " + user + "\\n");
process.exitCode = status;
`,
    );
    chmodSync(this.executable, 0o755);
  }

  lines() {
    return readFileSync(this.#log, "utf8").split("\n").filter(Boolean);
  }

  starts(user) {
    return this.lines().filter((line) => line === `start --user=${user}`).length;
  }

  async started(user) {
    while (this.starts(user) === 0) await sleep(10);
  }

  /** The largest number of processes that ran at once. */
  peak() {
    let running = 0;
    let peak = 0;
    for (const line of this.lines()) {
      running += line.startsWith("start") ? 1 : -1;
      peak = Math.max(peak, running);
    }
    return peak;
  }
}

/** A program that runs a shell script. */
export function scriptedProgram(script) {
  const path = join(mkdtempSync(join(tmpdir(), "tatmig-program-")), "program");
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}
