/** The identity of the document: a hash of its bytes, computed only if the file changed. */

import { createHash } from "node:crypto";
import { type BigIntStats, readFileSync, statSync } from "node:fs";

/**
 * A file that was changed less than this before it was read may change once more without a new time
 * stamp, since file systems store times coarsely (FAT: 2 seconds).
 */
const TIME_STAMP_MS = 2000;

interface Observation {
  readonly stats: BigIntStats;
  readonly digest: string;
  /** Whether size and times alone show that the bytes are the same. */
  readonly isSettled: boolean;
}

/** The file with the migrations. */
export class Document {
  /** The absolute path; null until the program reported which file it reads. */
  path: string | null;
  #last: Observation | null = null;

  constructor(path: string | null) {
    this.path = path;
  }

  /**
   * The hash of the file's bytes; null if it cannot be read or its path is not known. While the file
   * does not change, the cost is that of one `stat`.
   */
  digest(): string | null {
    if (this.path === null) return null;
    const now = Date.now();
    const stats = fileStats(this.path);
    if (stats === null) return null;
    const last = this.#last;
    if (last !== null && last.isSettled && isSameFile(last.stats, stats)) return last.digest;
    try {
      const digest = createHash("sha256").update(readFileSync(this.path)).digest("hex");
      this.#last = { stats, digest, isSettled: now - changedAt(stats) > TIME_STAMP_MS };
      return digest;
    } catch {
      return null;
    }
  }

  /** Whether the file is certain not to have changed since a point in time. */
  isOlderThan(time: number): boolean {
    const stats = this.path === null ? null : fileStats(this.path);
    return stats !== null && changedAt(stats) < time - TIME_STAMP_MS;
  }
}

/** Null if the path is not a regular file: opening a FIFO would wait for a writer. */
function fileStats(path: string): BigIntStats | null {
  try {
    const stats = statSync(path, { bigint: true });
    return stats.isFile() ? stats : null;
  } catch {
    return null;
  }
}

function changedAt(stats: BigIntStats): number {
  return Number(stats.mtimeMs > stats.ctimeMs ? stats.mtimeMs : stats.ctimeMs);
}

function isSameFile(left: BigIntStats, right: BigIntStats): boolean {
  return (
    left.ino === right.ino &&
    left.dev === right.dev &&
    left.size === right.size &&
    left.mtimeNs === right.mtimeNs &&
    left.ctimeNs === right.ctimeNs
  );
}
