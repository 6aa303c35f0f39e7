/** The databases: migrated by tatmig, opened with `node:sqlite`. */

import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

import { Fleet } from "tatmig";

/**
 * One for the life of the application: it remembers which users are at the latest version.
 * `tatmig.toml` says where the databases are.
 */
const fleet = new Fleet({ document: "MIGRATIONS.md" });

/** Milliseconds that a statement waits while tatmig migrates its database. */
const BUSY_TIMEOUT = 30_000;

/**
 * Creates the system database if it is missing, and applies its pending migrations. Returns its path.
 */
export async function migrateSystemDatabase(): Promise<string> {
  await fleet.init();
  const { databases } = await fleet.upgrade();
  const [system] = databases;
  if (system === undefined) throw new Error("tatmig migrated no system database");
  return system.path;
}

/**
 * Applies the pending migrations of a user's database, and returns its path. The first call for a
 * user takes 10 ms, later calls microseconds. A long migration does not block the event loop.
 */
export async function migrateUser(name: string, options: { create?: boolean } = {}): Promise<string> {
  const { path } = await fleet.ensure(name, options);
  return path;
}

/** Calls `use` with an open connection, and closes it. */
export function withDatabase<T>(path: string, use: (database: DatabaseSync) => T): T {
  // SQLite would create a missing file, which has no tables.
  if (!existsSync(path)) throw new Error(`the database ${path} does not exist`);
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT });
  try {
    return use(database);
  } finally {
    database.close();
  }
}
