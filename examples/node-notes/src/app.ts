/** The HTTP server's routes. */

import Fastify, { type FastifyError, type FastifyInstance, type FastifyRequest } from "fastify";
import { TatmigError } from "tatmig";

import { Accounts } from "./accounts.ts";
import { migrateSystemDatabase, migrateUser } from "./databases.ts";
import { type NewNote, Notes } from "./notes.ts";

interface Credentials {
  readonly name: string;
  readonly password: string;
}

const CREDENTIALS = {
  type: "object",
  required: ["name", "password"],
  properties: {
    // The name becomes a part of a file's name.
    name: { type: "string", pattern: "^[a-z0-9-]{1,32}$" },
    password: { type: "string", minLength: 8, maxLength: 100 },
  },
} as const;

const NEW_NOTE = {
  type: "object",
  required: ["body"],
  properties: { body: { type: "string" }, pinned: { type: "boolean" } },
} as const;

/** An error that the client reads. */
class HttpError extends Error {
  readonly statusCode: number;

  constructor(statusCode: number, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

/** The server, with a system database at the latest version. It does not start without one. */
export async function createApp(): Promise<FastifyInstance> {
  const accounts = new Accounts(await migrateSystemDatabase());
  const app = Fastify({ logger: true });

  // A user's database cannot be migrated now. It was left unchanged, and other users are served. The
  // log has the statement that failed and its place in MIGRATIONS.md. The next request of the user
  // tries again.
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    if (!(error instanceof TatmigError)) throw error;
    request.log.error(error.message);
    const message = "Your notes cannot be opened at the moment. They are safe; try again later.";
    return reply.code(503).header("Retry-After", "60").send({ message });
  });

  app.post<{ Body: Credentials }>(
    "/accounts",
    { schema: { body: CREDENTIALS } },
    async ({ body: { name, password } }, reply) => {
      const nameIsTaken = new HttpError(409, "this name is taken");
      if (accounts.exists(name)) throw nameIsTaken;
      // The database first: if the server is killed in between, the name is still free.
      await migrateUser(name, { create: true });
      if (!(await accounts.create(name, password))) throw nameIsTaken;
      return reply.code(201).send();
    },
  );

  app.post<{ Body: Credentials }>(
    "/sessions",
    { schema: { body: CREDENTIALS } },
    async ({ body: { name, password } }) => {
      if (!(await accounts.hasPassword(name, password))) {
        throw new HttpError(401, "the name or the password is wrong");
      }
      await migrateUser(name);
      return { token: accounts.startSession(name) };
    },
  );

  app.get("/notes", async (request) => {
    const notes = await notesOf(request, accounts);
    return notes.all();
  });

  app.post<{ Body: NewNote }>(
    "/notes",
    { schema: { body: NEW_NOTE } },
    async (request, reply) => {
      const notes = await notesOf(request, accounts);
      return reply.code(201).send(notes.add(request.body));
    },
  );

  return app;
}

/**
 * The notes of the user who sends the request. The database is migrated here as well as at log-in,
 * since the document may move on while a user is logged in.
 */
async function notesOf({ headers }: FastifyRequest, accounts: Accounts): Promise<Notes> {
  const [, token] = /^Bearer (.+)$/.exec(headers.authorization ?? "") ?? [];
  const name = token === undefined ? undefined : accounts.accountOf(token);
  if (name === undefined) throw new HttpError(401, "the token is unknown; log in again");
  return new Notes(await migrateUser(name));
}
