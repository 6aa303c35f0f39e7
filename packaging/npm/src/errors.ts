/** The errors that `Fleet` throws. */

import type { ErrorDetail, InitResult, Problem, UpgradeResult } from "./results.js";

/**
 * A command failed. The base class of all errors of this package.
 *
 * `message` is the whole text; the other properties have the same meaning as the keys of `error` in
 * the program's JSON.
 */
export class TatmigError extends Error {
  override readonly name: string = "TatmigError";
  /** What the program reported. */
  readonly detail: ErrorDetail;
  /** The exit status of the program; null if it could not be started or was killed. */
  readonly exitStatus: number | null;

  constructor(detail: ErrorDetail, exitStatus: number | null = null, prefix = "") {
    super(prefix + describe(detail));
    this.detail = detail;
    this.exitStatus = exitStatus;
  }

  /** The name of a rule, such as `foreign-keys`. */
  get rule(): string | null {
    return this.detail.rule;
  }

  /** The path of the document, if the error has a position in it. */
  get file(): string | null {
    return this.detail.file;
  }

  /** The line in the document, from 1. */
  get line(): number | null {
    return this.detail.line;
  }

  /** The column in the document, from 1, in characters. */
  get column(): number | null {
    return this.detail.column;
  }

  /** What to do next. */
  get help(): string | null {
    return this.detail.help;
  }

  /** The first rows that the error is about. */
  get rows(): readonly string[] {
    return this.detail.rows;
  }
}

/** The command cannot be run: a setting, a user or a file is wrong. Nothing was changed. */
export class UsageError extends TatmigError {
  override readonly name = "UsageError";
}

/** The document cannot be used. No database was changed. */
export class DocumentError extends TatmigError {
  override readonly name = "DocumentError";
  /** Everything that the program found in the document, warnings included. */
  readonly problems: readonly Problem[];

  constructor(detail: ErrorDetail, exitStatus: number | null, problems: readonly Problem[]) {
    super(detail, exitStatus);
    this.problems = problems;
  }
}

/**
 * At least one database failed. Each database that failed was left as it was.
 *
 * The position, the help and the rows are those of the first failure; `result` has them all.
 */
export class MigrationError extends TatmigError {
  override readonly name: string = "MigrationError";
  /**
   * What became of every database: the result that the method returns on success. Null if the
   * failure does not belong to a database.
   */
  readonly result: UpgradeResult | InitResult | null;
  /** The name of the first database that failed: a user, or `system`. */
  readonly database: string | null;

  constructor(
    detail: ErrorDetail,
    exitStatus: number | null,
    result: UpgradeResult | InitResult | null = null,
    database: string | null = null,
  ) {
    super(detail, exitStatus, database === null ? "" : `${database}: `);
    this.result = result;
    this.database = database;
  }
}

/** Another process kept the database locked for longer than `busyTimeout`; try again later. */
export class BusyError extends MigrationError {
  override readonly name = "BusyError";
}

/** The program was ended by a signal. Running databases were rolled back. */
export class StoppedError extends MigrationError {
  override readonly name = "StoppedError";
}

/** The program is missing, cannot be started, or did not answer with a JSON document. */
export class ProgramError extends TatmigError {
  override readonly name = "ProgramError";
}

/** An error that is only a text. */
export function textDetail(message: string, help: string | null = null): ErrorDetail {
  return {
    message,
    rule: null,
    help,
    file: null,
    line: null,
    column: null,
    endLine: null,
    endColumn: null,
    rows: [],
  };
}

function describe(detail: ErrorDetail): string {
  let text = detail.message;
  if (detail.rule !== null) text += ` [${detail.rule}]`;
  if (detail.file !== null && detail.line !== null) {
    text += `\n  at ${detail.file}:${detail.line}:${detail.column ?? 1}`;
  }
  if (detail.help !== null) text += `\n  help: ${detail.help}`;
  return text;
}
