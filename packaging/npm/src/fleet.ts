/** The class `Fleet`: the commands of the program as methods. */

import { resolve } from "node:path";

import {
  readInit,
  readLint,
  readStatus,
  readUpgrade,
  readUserRun,
  readVerify,
} from "./answers.js";
import { Document } from "./document.js";
import { UsageError } from "./errors.js";
import { LogIn } from "./log-in.js";
import { Program } from "./program.js";
import type {
  DatabaseRun,
  InitResult,
  LintResult,
  StatusResult,
  UpgradeResult,
  VerifyResult,
} from "./results.js";
import {
  type CancelOptions,
  type EnsureOptions,
  type FleetOptions,
  type InitOptions,
  type LintOptions,
  type SelectOptions,
  type UpgradeOptions,
  checkNames,
  checkText,
  settingArguments,
  settingVariables,
  toArguments,
} from "./settings.js";

const DEFAULT_MAX_PROCESSES = 8;

/**
 * The databases that one document migrates.
 *
 * Each method runs the program `tatmig` as a process, never SQLite in this process: two copies of
 * SQLite in one process do not see each other's locks.
 */
export class Fleet {
  readonly #program: Program;
  readonly #document: Document;
  readonly #logIn: LogIn;

  constructor(options: FleetOptions = {}) {
    checkNames(options);
    const { document, executable, maxProcesses = DEFAULT_MAX_PROCESSES } = options;
    if (!Number.isInteger(maxProcesses) || maxProcesses < 1) {
      throw new RangeError("maxProcesses must be an integer of at least 1");
    }
    // The current directory may change later.
    const cwd = resolve(options.cwd ?? ".");
    const settings = [...settingArguments(options), ...toArguments({ file: document })];
    this.#program = new Program(
      executable === undefined ? null : resolve(executable),
      cwd,
      settings,
      settingVariables(options),
    );
    this.#document = new Document(document === undefined ? null : resolve(cwd, document));
    const migrate = (user: string, create: boolean) => this.#migrate(user, create);
    this.#logIn = new LogIn(migrate, this.#document, cwd, maxProcesses);
  }

  /**
   * Applies pending migrations: to the system database first, then to the selected users.
   *
   * @throws MigrationError if a database failed; the others were migrated all the same, and
   * `MigrationError.result` has all of them.
   */
  async upgrade(options: UpgradeOptions = {}): Promise<UpgradeResult> {
    return readUpgrade(await this.#run("upgrade", options));
  }

  /**
   * Reads the versions of databases and what is pending: of all, of the users named, or of the
   * system database. Changes nothing. A database that cannot be read has the state `error`; nothing
   * is thrown for it.
   */
  async status(options: SelectOptions = {}): Promise<StatusResult> {
    return readStatus(await this.#run("status", options));
  }

  /**
   * Checks integrity, foreign keys, history and schema: of all databases, of the users named, or of
   * the system database. Changes nothing. What is wrong with a database is in its `findings`; nothing
   * is thrown for it.
   */
  async verify(options: SelectOptions = {}): Promise<VerifyResult> {
    return readVerify(await this.#run("verify", options));
  }

  /**
   * Checks the document. No database is opened. What is wrong is in `problems`; an error is thrown
   * only if the file cannot be read.
   */
  async lint(options: LintOptions = {}): Promise<LintResult> {
    return readLint(await this.#run("lint", options));
  }

  /**
   * Creates the system database, if it is missing, and the databases of the users named. Existing
   * databases are left unchanged.
   *
   * @throws MigrationError if a database cannot be created.
   */
  async init(options: InitOptions = {}): Promise<InitResult> {
    return readInit(await this.#run("init", options));
  }

  /**
   * Resolves when the user's database is at head: call it at log-in.
   *
   * The first call for a user runs the program. Later calls answer from memory, until the document
   * changes or the database's file is deleted or replaced. Calls for one user at the same time wait
   * for the same process. A failure rejects each of them, and is not remembered.
   */
  async ensure(user: string, options: EnsureOptions = {}): Promise<DatabaseRun> {
    return this.#logIn.ensure(checkText(user), options);
  }

  /**
   * Makes the next `ensure` of this user, or of all users, look at the database again. Call it after
   * you changed a database's version yourself, for example with `tatmig restore`.
   */
  forget(user?: string): void {
    this.#logIn.forget(user);
  }

  #run(command: string, options: CancelOptions) {
    const { signal, ...flags } = options;
    return this.#program.run(command, toArguments(flags), signal);
  }

  /** What `ensure` runs for a user who is not known to be at head. */
  async #migrate(user: string, create: boolean): Promise<DatabaseRun> {
    try {
      return await this.#upgradeUser(user);
    } catch (error) {
      if (!create || !(error instanceof UsageError)) throw error;
      // The user or the system database does not exist. If the cause is another one, `init` fails
      // for the same reason.
      await this.init({ user });
      return this.#upgradeUser(user);
    }
  }

  async #upgradeUser(user: string): Promise<DatabaseRun> {
    const answer = await this.#run("upgrade", { user } as UpgradeOptions);
    const run = readUserRun(answer);
    this.#document.path ??= resolve(this.#program.cwd, answer.envelope["file"]);
    return run;
  }
}
