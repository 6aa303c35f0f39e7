/** Compiled, not run: what the types of the package allow and refuse. */

import {
  BusyError,
  Fleet,
  MigrationError,
  type DatabaseRun,
  type Problem,
  type StatusResult,
} from "tatmig";

export async function use(fleet: Fleet): Promise<string> {
  const run: DatabaseRun = await fleet.ensure("ann", { create: true });
  const status: StatusResult = await fleet.status({ user: ["ann"], signal: new AbortController().signal });
  const problems: readonly Problem[] = (await fleet.lint({ deny: "warnings" })).problems;
  // @ts-expect-error: the outcome is one of a few words
  if (run.outcome === "upgrade") return "";
  // @ts-expect-error: results are read-only
  run.to = "1.0.0";
  // @ts-expect-error: a version may be unknown
  const version: string = status.databases[0]?.version;
  return `${problems.length} ${version}`;
}

export function create(): Fleet {
  // @ts-expect-error: an unknown setting
  new Fleet({ userDir: "users" });
  // @ts-expect-error: a journal mode that SQLite does not store
  new Fleet({ journalMode: "memory" });
  return new Fleet({ document: "MIGRATIONS.md", server: ["http://a", "http://b"], journalMode: "wal" });
}

export function describe(error: unknown): string {
  if (error instanceof BusyError) return "busy";
  if (error instanceof MigrationError) return `${error.database} ${error.line} ${error.rows.join()}`;
  throw error;
}
