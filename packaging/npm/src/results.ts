/** The results of commands, made from the program's JSON. Keys that are not known are ignored. */

export type Scope = "system" | "user";
export type State =
  | "new"
  | "current"
  | "behind"
  | "unversioned"
  | "ahead"
  | "edited"
  | "error";
export type RunOutcome =
  | "upgraded"
  | "current"
  | "failed"
  | "busy"
  | "skipped"
  | "rehearsed"
  | "planned";
export type CreateOutcome = "created" | "exists" | "failed";
export type Severity = "error" | "warning" | "note";

/** An error, with its position in the document if it has one. */
export interface ErrorDetail {
  readonly message: string;
  /** The name of a rule, such as `foreign-keys`. */
  readonly rule: string | null;
  /** What to do next. */
  readonly help: string | null;
  readonly file: string | null;
  /** From 1. */
  readonly line: number | null;
  /** From 1, in characters. */
  readonly column: number | null;
  readonly endLine: number | null;
  /** The column after the last character. */
  readonly endColumn: number | null;
  /** The first rows that the error is about. */
  readonly rows: readonly string[];
}

/** A diagnostic of the document, or a failure that does not belong to one database. */
export interface Problem extends ErrorDetail {
  readonly severity: Severity;
}

/** How the schema of a database without a history compares with the document. */
export interface Detected {
  readonly match: "matched" | "ambiguous" | "partial" | "unrelated";
  readonly version: string | null;
  readonly candidates: readonly string[];
  /** The objects of the document that exist in the database. */
  readonly there: readonly string[];
  readonly missing: readonly string[];
}

export interface Database {
  /** The user, or `system`. Bytes that are not UTF-8 are escaped. */
  readonly name: string;
  readonly scope: Scope;
  /** Relative to the directory of the fleet (`cwd`); `NAMESPACE @ URL` on a server. */
  readonly path: string;
  readonly error: ErrorDetail | null;
}

/** A database in the result of `status`. */
export interface DatabaseStatus extends Database {
  readonly version: string | null;
  readonly state: State;
  /** The versions that `upgrade` would reach, in order. */
  readonly pending: readonly string[];
  readonly detected: Detected | null;
}

/** A database in the result of `upgrade`, and the result of `ensure`. */
export interface DatabaseRun extends Database {
  readonly outcome: RunOutcome;
  /** The version before the run. */
  readonly from: string | null;
  /** The version after the run. */
  readonly to: string | null;
  /** The versions that were reached, in order. */
  readonly steps: readonly string[];
  readonly notes: readonly string[];
  readonly durationMs: number;
  /** Where the database was copied to before the run (`backup: true`). */
  readonly copy: string | null;
}

/** A database in the result of `verify`. */
export interface DatabaseCheck extends Database {
  readonly version: string | null;
  /** What is wrong. Empty if the database is as the document says. */
  readonly findings: readonly string[];
  readonly notes: readonly string[];
}

/** A database in the result of `init`. */
export interface CreatedDatabase extends Database {
  readonly outcome: CreateOutcome;
}

/** A migration that `upgrade({ dryRun: true })` would run, and where. */
export interface PlannedMigration {
  readonly scope: Scope;
  readonly from: string;
  readonly to: string;
  /** The line of the document. */
  readonly line: number | null;
  /** The names of the databases. */
  readonly databases: readonly string[];
  /** The SQL, verbatim; null if the document has no block for this scope. */
  readonly sql: string | null;
}

export interface Result {
  /** The path of the document. */
  readonly file: string;
  /** The last released version. */
  readonly head: string | null;
  readonly problems: readonly Problem[];
  /** Counts; `total` is the number of databases. */
  readonly summary: Readonly<Record<string, number>>;
}

export interface StatusResult extends Result {
  readonly databases: readonly DatabaseStatus[];
  /** The versions of planned migrations. */
  readonly planned: readonly string[];
  /** Whether every database is at head. */
  readonly isCurrent: boolean;
}

export interface UpgradeResult extends Result {
  readonly databases: readonly DatabaseRun[];
  /** The version that was to be reached. */
  readonly target: string | null;
  /** With `dryRun: true`: the migrations that would run. */
  readonly migrations: readonly PlannedMigration[];
}

export interface VerifyResult extends Result {
  readonly databases: readonly DatabaseCheck[];
  /** Whether nothing is wrong with any database. */
  readonly isOk: boolean;
}

export interface LintResult extends Result {
  /** Whether the document can be used and breaks no rule that is an error or denied. */
  readonly isOk: boolean;
}

export interface InitResult extends Result {
  readonly databases: readonly CreatedDatabase[];
}
