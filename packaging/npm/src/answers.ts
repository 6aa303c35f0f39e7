/** Turns answers of the program into results, or into the error that describes the failure. */

import {
  BusyError,
  DocumentError,
  MigrationError,
  ProgramError,
  StoppedError,
  UsageError,
  textDetail,
} from "./errors.js";
import type { Answer, Json } from "./program.js";
import type {
  CreatedDatabase,
  Database,
  DatabaseCheck,
  DatabaseRun,
  DatabaseStatus,
  Detected,
  ErrorDetail,
  InitResult,
  LintResult,
  PlannedMigration,
  Problem,
  Result,
  StatusResult,
  UpgradeResult,
  VerifyResult,
} from "./results.js";

/** Ended by SIGHUP, SIGINT or SIGTERM. */
const SIGNAL_STATUSES = [129, 130, 143];

export function readUpgrade(answer: Answer): UpgradeResult {
  const result = upgradeResult(answer);
  throwFailure(answer, result, result.databases);
  return result;
}

/**
 * The one user of an `upgrade --user`. The state of other databases does not matter if the user is
 * at head.
 */
export function readUserRun(answer: Answer): DatabaseRun {
  const result = upgradeResult(answer);
  const run = result.databases.find(({ scope, outcome }) => {
    return scope === "user" && (outcome === "upgraded" || outcome === "current");
  });
  if (run !== undefined) return run;
  throwFailure(answer, result, result.databases);
  const message = "the program did not report what became of the user";
  throw new ProgramError(textDetail(message), answer.exitStatus);
}

export function readStatus(answer: Answer): StatusResult {
  const envelope = checked(answer);
  throwIfStopped(answer);
  const databases = list(envelope["databases"], databaseStatus);
  return {
    ...shared(envelope),
    databases,
    planned: envelope["planned"] ?? [],
    isCurrent: databases.every(({ state }) => state === "current"),
  };
}

export function readVerify(answer: Answer): VerifyResult {
  const envelope = checked(answer);
  throwIfStopped(answer);
  return {
    ...shared(envelope),
    databases: list(envelope["databases"], databaseCheck),
    isOk: answer.exitStatus === 0,
  };
}

export function readLint(answer: Answer): LintResult {
  // A document that cannot be used is what `lint` is for.
  const envelope = answer.envelope["problems"].length > 0 ? answer.envelope : checked(answer);
  throwIfStopped(answer);
  return { ...shared(envelope), isOk: answer.exitStatus === 0 };
}

export function readInit(answer: Answer): InitResult {
  const envelope = checked(answer);
  const databases = list(envelope["databases"], createdDatabase);
  const result = { ...shared(envelope), databases };
  throwFailure(answer, result, databases);
  return result;
}

function upgradeResult(answer: Answer): UpgradeResult {
  const envelope = checked(answer);
  return {
    ...shared(envelope),
    databases: list(envelope["databases"], databaseRun),
    target: envelope["target"] ?? null,
    migrations: list(envelope["migrations"] ?? [], plannedMigration),
  };
}

/** The envelope of a command that was not refused as a whole. */
function checked({ envelope, exitStatus }: Answer): Json {
  if (envelope["error"] === null) return envelope;
  const detail = errorDetail(envelope["error"]);
  if (SIGNAL_STATUSES.includes(exitStatus)) throw new StoppedError(detail, exitStatus);
  const problems = list(envelope["problems"], problem);
  const found = problems.find(({ severity }) => severity === "error");
  if (found === undefined) throw new UsageError(detail, exitStatus);
  throw new DocumentError(found, exitStatus, problems);
}

/** Throws the error for an exit status that is not 0. */
function throwFailure(
  answer: Answer,
  result: UpgradeResult | InitResult,
  databases: readonly (DatabaseRun | CreatedDatabase)[],
): void {
  if (answer.exitStatus === 0) return;
  const failures = databases.filter(({ error }) => error !== null);
  const detail =
    failures[0]?.error ??
    result.problems.find(({ severity }) => severity === "error") ??
    textDetail(`the program ended with exit status ${answer.exitStatus}`);
  let errorClass: typeof MigrationError = MigrationError;
  if (SIGNAL_STATUSES.includes(answer.exitStatus)) {
    errorClass = StoppedError;
  } else if (failures.length > 0 && failures.every(({ outcome }) => outcome === "busy")) {
    errorClass = BusyError;
  }
  throw new errorClass(detail, answer.exitStatus, result, failures[0]?.name ?? null);
}

function throwIfStopped({ exitStatus }: Answer): void {
  if (SIGNAL_STATUSES.includes(exitStatus)) {
    throw new StoppedError(textDetail("the program was ended by a signal"), exitStatus);
  }
}

/** The properties that every result has. */
function shared(envelope: Json): Result {
  return {
    file: envelope["file"],
    head: envelope["head"] ?? null,
    problems: list(envelope["problems"], problem),
    summary: envelope["summary"],
  };
}

function list<T>(values: readonly Json[], build: (value: Json) => T): readonly T[] {
  return values.map(build);
}

function errorDetail(error: Json): ErrorDetail {
  return {
    message: error["message"],
    rule: error["rule"] ?? null,
    help: error["help"] ?? null,
    file: error["file"] ?? null,
    line: error["line"] ?? null,
    column: error["column"] ?? null,
    endLine: error["end_line"] ?? null,
    endColumn: error["end_column"] ?? null,
    rows: error["rows"] ?? [],
  };
}

function problem(value: Json): Problem {
  return { ...errorDetail(value), severity: value["severity"] };
}

function database(value: Json): Database {
  const error = value["error"] ?? null;
  return {
    name: value["name"],
    scope: value["scope"],
    path: value["path"],
    error: error === null ? null : errorDetail(error),
  };
}

function databaseStatus(value: Json): DatabaseStatus {
  const detected = value["detected"] ?? null;
  return {
    ...database(value),
    version: value["version"] ?? null,
    state: value["state"],
    pending: value["pending"] ?? [],
    detected: detected === null ? null : detectedVersion(detected),
  };
}

function detectedVersion(value: Json): Detected {
  return {
    match: value["match"],
    version: value["version"] ?? null,
    candidates: value["candidates"] ?? [],
    there: value["there"] ?? [],
    missing: value["missing"] ?? [],
  };
}

function databaseRun(value: Json): DatabaseRun {
  return {
    ...database(value),
    outcome: value["outcome"],
    from: value["from"] ?? null,
    to: value["to"] ?? null,
    steps: value["steps"] ?? [],
    notes: value["notes"] ?? [],
    durationMs: value["duration_ms"] ?? 0,
    copy: value["copy"] ?? null,
  };
}

function databaseCheck(value: Json): DatabaseCheck {
  return {
    ...database(value),
    version: value["version"] ?? null,
    findings: value["findings"] ?? [],
    notes: value["notes"] ?? [],
  };
}

function createdDatabase(value: Json): CreatedDatabase {
  return { ...database(value), outcome: value["outcome"] };
}

function plannedMigration(value: Json): PlannedMigration {
  return {
    scope: value["scope"],
    from: value["from"],
    to: value["to"],
    line: value["line"] ?? null,
    databases: value["databases"] ?? [],
    sql: value["sql"] ?? null,
  };
}
