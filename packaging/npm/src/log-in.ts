/**
 * Migrates users as they log in: one process at a time for each user, a few at once, and none for a
 * user who is known to be at head.
 */

import { type BigIntStats, statSync } from "node:fs";
import { resolve } from "node:path";

import type { Document } from "./document.js";
import type { DatabaseRun } from "./results.js";
import type { EnsureOptions } from "./settings.js";

/** Migrates a user's database. Creates it first if it is missing and `create` is true. */
export type Migrate = (user: string, create: boolean) => Promise<DatabaseRun>;

interface KnownUser {
  readonly run: DatabaseRun;
  readonly path: string;
  /** Null if the database is not a file, or its name is not text. */
  readonly file: BigIntStats | null;
}

/** What a run must have seen to answer a call. */
interface Basis {
  /** The hash of the document; null if it is not known. */
  readonly digest: string | null;
  /** How often `forget` was called. */
  readonly epoch: number;
}

/** A run of the program for one user. */
class Flight {
  readonly user: string;
  readonly basis: Basis;
  readonly create: boolean;
  /** How many callers wait for the result. */
  waiters = 0;
  isStarted = false;
  readonly result: Promise<DatabaseRun>;
  /** Settles `result`. */
  resolve!: (run: DatabaseRun) => void;
  reject!: (error: unknown) => void;

  constructor(user: string, basis: Basis, create: boolean) {
    this.user = user;
    this.basis = basis;
    this.create = create;
    this.result = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // A failure that no caller waits for is reported as a warning, and must not end the process.
    this.result.catch((error: unknown) => {
      if (this.waiters > 0) return;
      const message = `the migration of user ${JSON.stringify(this.user)} failed: ${error}`;
      process.emitWarning(message, "TatmigWarning");
    });
  }

  /** Whether the result is one for this document, and of a run that may create. */
  answers({ digest, epoch }: Basis, create: boolean): boolean {
    const isSame = this.basis.digest === digest && this.basis.epoch === epoch;
    return isSame && (this.create || !create);
  }
}

/** What one fleet knows about its users. */
export class LogIn {
  readonly #migrate: Migrate;
  readonly #document: Document;
  readonly #cwd: string;
  readonly #maxProcesses: number;
  #running = 0;
  /** Flights that are not started. */
  #queue: Flight[] = [];
  readonly #flights = new Map<string, Flight>();
  /** The users at head, for one content of the document. */
  #digest: string | null = null;
  #known = new Map<string, KnownUser>();
  #epoch = 0;

  constructor(migrate: Migrate, document: Document, cwd: string, maxProcesses: number) {
    this.#migrate = migrate;
    this.#document = document;
    this.#cwd = cwd;
    this.#maxProcesses = maxProcesses;
  }

  async ensure(user: string, options: EnsureOptions): Promise<DatabaseRun> {
    const { create = false, signal } = options;
    for (;;) {
      signal?.throwIfAborted();
      const basis = { digest: this.#document.digest(), epoch: this.#epoch };
      const known = this.#recall(user, basis.digest);
      if (known !== null) return known;
      const flight = this.#join(user, basis, create);
      try {
        const run = await unlessAborted(flight.result, signal);
        if (flight.answers(basis, create)) return run;
      } catch (error) {
        // The failure of a run for an earlier document, or of one that may not create, is not ours. If
        // the document changed meanwhile, the run may have failed only because another run had
        // applied the new content to the system database already.
        const isOurs = flight.answers(basis, create) && this.#document.digest() === basis.digest;
        if (isOurs || signal?.aborted) throw error;
      } finally {
        this.#leave(flight);
      }
    }
  }

  /** Forgets one user, or all. The result of a run that has started is not remembered. */
  forget(user?: string): void {
    this.#epoch += 1;
    if (user === undefined) this.#known.clear();
    else this.#known.delete(user);
  }

  /** The result for a user who is at head of this document already. */
  #recall(user: string, digest: string | null): DatabaseRun | null {
    if (digest === null || digest !== this.#digest) return null;
    const known = this.#known.get(user);
    return known !== undefined && isUnchanged(known) ? known.run : null;
  }

  /** The run for this user that is not finished, or a new one. */
  #join(user: string, basis: Basis, create: boolean): Flight {
    let flight = this.#flights.get(user);
    if (flight === undefined) {
      flight = new Flight(user, basis, create);
      this.#flights.set(user, flight);
      this.#queue.push(flight);
      this.#startNext();
    }
    flight.waiters += 1;
    return flight;
  }

  /** A run that no caller waits for is not started; if it has started, it runs to its end. */
  #leave(flight: Flight): void {
    flight.waiters -= 1;
    if (flight.waiters > 0 || flight.isStarted) return;
    this.#queue = this.#queue.filter((queued) => queued !== flight);
    this.#flights.delete(flight.user);
  }

  #startNext(): void {
    while (this.#running < this.#maxProcesses) {
      const flight = this.#queue.shift();
      if (flight === undefined) return;
      flight.isStarted = true;
      this.#running += 1;
      void this.#fly(flight);
    }
  }

  async #fly(flight: Flight): Promise<void> {
    const startedAt = Date.now();
    try {
      const run = await this.#migrate(flight.user, flight.create);
      this.#remember(flight, run, startedAt);
      flight.resolve(run);
    } catch (error) {
      flight.reject(error);
    } finally {
      this.#flights.delete(flight.user);
      this.#running -= 1;
      this.#startNext();
    }
  }

  #remember(flight: Flight, run: DatabaseRun, startedAt: number): void {
    const digest = this.#document.digest();
    const { basis } = flight;
    // The program may have read either content of a document that changed meanwhile.
    const isSame =
      basis.digest === null ? this.#document.isOlderThan(startedAt) : digest === basis.digest;
    if (digest === null || !isSame || basis.epoch !== this.#epoch) return;
    if (this.#digest !== digest) {
      this.#digest = digest;
      this.#known = new Map();
    }
    const path = resolve(this.#cwd, run.path);
    const current = { outcome: "current", from: run.to, steps: [], notes: [], durationMs: 0 } as const;
    this.#known.set(flight.user, { run: { ...run, ...current }, path, file: fileStats(path) });
  }
}

/** Whether the database is the file that was migrated: not deleted, not replaced. */
function isUnchanged({ path, file }: KnownUser): boolean {
  if (file === null) return true;
  const found = fileStats(path);
  // A file that was deleted and created again can have the inode of the old one, but not yet its
  // size.
  return (
    found !== null && found.ino === file.ino && found.dev === file.dev && found.size >= file.size
  );
}

function fileStats(path: string): BigIntStats | null {
  try {
    return statSync(path, { bigint: true });
  } catch {
    return null;
  }
}

/** The promise's result, or the reason of the signal if that is aborted first. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    void promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
