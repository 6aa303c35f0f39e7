/** Measures `ensure`; `tatmig` must be installed where this file is. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";

import { Fleet } from "tatmig";

import { BASELINE, PINNED } from "./tests/support.mjs";

const USERS = 200;
const CALLS = 20_000;
/** Longer than the time stamps of any file system are coarse: the document is an old one then. */
const SETTLED_MS = 2100;

async function medianUs(calls, call) {
  const times = [];
  for (let n = 0; n < calls; n += 1) {
    const start = process.hrtime.bigint();
    await call(n);
    times.push(Number(process.hrtime.bigint() - start) / 1000);
  }
  return times.sort((left, right) => left - right)[Math.floor(calls / 2)];
}

const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
const names = Array.from({ length: USERS }, (_, n) => `user${n}`);
const cwd = mkdtempSync(join(tmpdir(), "tatmig-measure-"));
const document = join(cwd, "MIGRATIONS.md");
writeFileSync(document, BASELINE);
const fleet = new Fleet({ document, cwd });
await fleet.init({ user: names });
await settle();
const first = await medianUs(USERS, (n) => fleet.ensure(names[n]));
const later = await medianUs(CALLS, (n) => fleet.ensure(names[n % USERS]));
writeFileSync(document, BASELINE + PINNED);
await settle();
const migrating = await medianUs(USERS, (n) => fleet.ensure(names[n]));
rmSync(cwd, { recursive: true });
console.log(`load ${loadavg()[0].toFixed(1)}`);
console.log(`first call, at head:    ${(first / 1000).toFixed(2)} ms (median of ${USERS} users)`);
console.log(`first call, migrating:  ${(migrating / 1000).toFixed(2)} ms (median of ${USERS} users)`);
console.log(`later call:             ${later.toFixed(1)} µs (median of ${CALLS} calls)`);
