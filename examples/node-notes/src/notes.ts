/** The notes of one user, in that user's database. */

import { withDatabase } from "./databases.ts";

export interface NewNote {
  readonly body: string;
  readonly pinned?: boolean;
}

export interface Note {
  readonly id: number;
  readonly body: string;
  readonly pinned: boolean;
}

export class Notes {
  readonly #path: string;

  /** `path` is that of the user's database. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Pinned notes first, then the newest first. */
  all(): Note[] {
    return withDatabase(this.#path, (database) => {
      const select = "SELECT id, body, pinned FROM notes ORDER BY pinned DESC, id DESC";
      return database
        .prepare(select)
        .all()
        .map(({ id, body, pinned }) => ({
          id: Number(id),
          body: String(body),
          pinned: pinned === 1,
        }));
    });
  }

  add({ body, pinned = false }: NewNote): Note {
    return withDatabase(this.#path, (database) => {
      const insert = database.prepare("INSERT INTO notes (body, pinned) VALUES (?, ?)");
      const { lastInsertRowid } = insert.run(body, pinned ? 1 : 0);
      return { id: Number(lastInsertRowid), body, pinned };
    });
  }
}
