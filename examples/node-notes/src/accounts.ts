/** Accounts, passwords and sessions, in the system database. */

import { createHash, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

import { withDatabase } from "./databases.ts";

const SALT_BYTES = 16;
const TOKEN_BYTES = 32;
const HASH_BYTES = 64;

export class Accounts {
  readonly #path: string;

  /** `path` is that of the system database. */
  constructor(path: string) {
    this.#path = path;
  }

  exists(name: string): boolean {
    return withDatabase(this.#path, (database) => {
      return database.prepare("SELECT 1 FROM accounts WHERE name = ?").get(name) !== undefined;
    });
  }

  /** Returns false if another account has the name. */
  async create(name: string, password: string): Promise<boolean> {
    const salt = randomBytes(SALT_BYTES);
    const hash = await hashPassword(password, salt);
    return withDatabase(this.#path, (database) => {
      const insert = database.prepare("INSERT OR IGNORE INTO accounts VALUES (?, ?, ?)");
      return insert.run(name, salt, hash).changes === 1;
    });
  }

  async hasPassword(name: string, password: string): Promise<boolean> {
    const row = withDatabase(this.#path, (database) => {
      const select = "SELECT password_salt, password_hash FROM accounts WHERE name = ?";
      return database.prepare(select).get(name);
    });
    // An unknown name takes as long as a wrong password.
    const salt = bytes(row?.["password_salt"]);
    const expected = bytes(row?.["password_hash"]);
    const hash = await hashPassword(password, salt);
    return hash.length === expected.length && timingSafeEqual(hash, expected);
  }

  /** Returns a token that `accountOf` accepts. */
  startSession(name: string): string {
    const token = randomBytes(TOKEN_BYTES).toString("base64url");
    withDatabase(this.#path, (database) => {
      const insert = "INSERT INTO sessions (token_hash, account) VALUES (?, ?)";
      database.prepare(insert).run(hashToken(token), name);
    });
    return token;
  }

  /** The name of the user who has logged in; undefined if the token is unknown. */
  accountOf(token: string): string | undefined {
    return withDatabase(this.#path, (database) => {
      const select = database.prepare("SELECT account FROM sessions WHERE token_hash = ?");
      const account = select.get(hashToken(token))?.["account"];
      return account === undefined ? undefined : String(account);
    });
  }
}

function bytes(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array();
}

function hashPassword(password: string, salt: Uint8Array): Promise<Buffer> {
  const derive = promisify<string, Uint8Array, number, Buffer>(scrypt);
  return derive(password, salt, HASH_BYTES);
}

function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
