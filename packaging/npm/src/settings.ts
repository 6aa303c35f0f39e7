/** The settings of a fleet and the options of its methods, and the arguments that they become. */

/**
 * The settings of a fleet. They override environment variables and `tatmig.toml`, as the flags of
 * the same name do.
 */
export interface Settings {
  /** The system database. */
  systemDb?: string;
  /** The directory of the user databases. */
  usersDir?: string;
  /** The file name of a user database, such as `{username}.db`. */
  userPattern?: string;
  /** The directory of the backups. */
  backupsDir?: string;
  /** The settings file. */
  config?: string;
  /** Whether to open user databases that are symbolic links. */
  followSymlinks?: boolean;
  /** Seconds to wait for a locked database. */
  busyTimeout?: number;
  /** How many databases one process works on at once. */
  jobs?: number;
  /** Only the users of one part, such as `2/8`. */
  shard?: string;
  /** The journal mode of the databases that are created. */
  journalMode?: "delete" | "wal";
  /** The libSQL servers that hold the databases as namespaces. */
  server?: string | readonly string[];
  /** The admin addresses of the servers, one for each server. */
  admin?: string | readonly string[];
  /** The name of a user's namespace. */
  namespacePattern?: string;
  /** The namespace of the system database. */
  systemNamespace?: string;
  /** The list of users: `query:SELECT …` or `file:PATH`. */
  usersFrom?: string;
  /** A file that maps users to servers. */
  usersOn?: string;
  /** Seconds that a request to a server may take. */
  serverTimeout?: number;
  /** The token of the servers. */
  authToken?: string;
  /** The key of the admin addresses. */
  adminKey?: string;
}

/** The options of `new Fleet`. */
export interface FleetOptions extends Settings {
  /**
   * The path of the Markdown file. Without it the program decides, as on the command line:
   * `TATMIG_FILE`, then `file` in `tatmig.toml`, then `MIGRATIONS.md`.
   */
  document?: string;
  /** The directory that paths are relative to; the current directory by default. */
  cwd?: string;
  /** The path of the program; by default the one that was installed with this package. */
  executable?: string;
  /** How many processes `ensure` runs at once; 8 by default. */
  maxProcesses?: number;
}

/** One name or several. */
export type Users = string | readonly string[];

export interface CancelOptions {
  /**
   * Asks the program to end: the databases that it is migrating are rolled back. The promise is
   * rejected with the reason of the signal when the process has ended.
   */
  signal?: AbortSignal;
}

export interface UpgradeOptions extends CancelOptions {
  /** Select these users. */
  user?: Users;
  /** Select the system database and every user. */
  allUsers?: boolean;
  /** Leave the system database out. */
  noSystem?: boolean;
  /** Stop at this version. */
  to?: string;
  /** Back up the databases with pending migrations first. */
  backup?: boolean;
  /** Run and check everything on the real databases, then roll back. */
  rehearse?: boolean;
  /** Rehearse the whole fleet first; commit only if every database passes. */
  allOrNothing?: boolean;
  /** Only report what would run, in `UpgradeResult.migrations`. */
  dryRun?: boolean;
  /** Start no other database after a failure. */
  failFast?: boolean;
  /** Migrate this many users first; continue only if all of them succeed. */
  canary?: number;
}

/** What `status` and `verify` read; all databases by default. */
export interface SelectOptions extends CancelOptions {
  /** Only these users. */
  user?: Users;
  /** Only the system database. */
  system?: boolean;
}

export interface LintOptions extends CancelOptions {
  /** Rules that fail the document, or `warnings` for all. */
  deny?: string | readonly string[];
  /** Rules to ignore. */
  allow?: string | readonly string[];
  /** The oldest SQLite version that opens the databases. */
  minSqlite?: string;
}

export interface InitOptions extends CancelOptions {
  /** The users to create databases for. */
  user?: Users;
}

export interface EnsureOptions {
  /** Create the database if it is missing. */
  create?: boolean;
  /** Ends the wait. The migration itself runs to its end, since other calls may wait for it. */
  signal?: AbortSignal;
}

type Kind = "flag" | "variable";

/** How each setting is passed. Secrets, a flag of one command only, and a switch that must be able
 * to override `tatmig.toml` with false are variables. */
const SETTINGS: Record<keyof Settings, Kind> = {
  systemDb: "flag",
  usersDir: "flag",
  userPattern: "flag",
  backupsDir: "flag",
  config: "flag",
  followSymlinks: "variable",
  busyTimeout: "flag",
  jobs: "flag",
  shard: "flag",
  journalMode: "variable",
  server: "flag",
  admin: "flag",
  namespacePattern: "flag",
  systemNamespace: "flag",
  usersFrom: "flag",
  usersOn: "flag",
  serverTimeout: "flag",
  authToken: "variable",
  adminKey: "variable",
};

/** The names that are known, of options that are not passed as flags of the same name. */
const OTHER_OPTIONS = ["document", "cwd", "executable", "maxProcesses"];

/** Throws a `TypeError` for a setting that does not exist: without TypeScript a typing error would
 * be ignored. */
export function checkNames(options: FleetOptions): void {
  for (const name of Object.keys(options)) {
    if (!(name in SETTINGS) && !OTHER_OPTIONS.includes(name)) {
      throw new TypeError(`\`${name}\` is not a setting of a fleet`);
    }
  }
}

/** The flags of the settings. */
export function settingArguments(options: FleetOptions): string[] {
  const flags = Object.entries(options).filter(([name]) => {
    return SETTINGS[name as keyof Settings] === "flag";
  });
  return toArguments(Object.fromEntries(flags));
}

/** The environment variables of the settings. */
export function settingVariables(options: FleetOptions): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(options)) {
    if (SETTINGS[name as keyof Settings] !== "variable" || value === undefined) continue;
    const variable = name.replace(/[A-Z]/g, (letter) => `_${letter}`);
    variables[`TATMIG_${variable.toUpperCase()}`] = String(value);
  }
  return variables;
}

/** The flags of options. A value that begins with `-` is safe, since it follows a `=`. */
export function toArguments(options: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (value === undefined || value === null || value === false) return [];
    if (value === true) return [flag];
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    return values.map((item) => {
      return `${flag}=${typeof item === "number" ? item : checkText(item)}`;
    });
  });
}

/** Throws for what is no text, and for a text that would reach the program as another text: Node
 * replaces half of a surrogate pair, so that the database of another user would be opened. */
export function checkText(text: unknown): string {
  if (typeof text !== "string") throw new TypeError(`${String(text)} is not a string`);
  if (/\p{Surrogate}/u.test(text)) {
    throw new TypeError(`${JSON.stringify(text)} is not well-formed Unicode`);
  }
  if (text.includes("\0")) throw new TypeError(`${JSON.stringify(text)} holds a NUL character`);
  return text;
}
