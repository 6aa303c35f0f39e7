/** Starts the HTTP server: `npm start`. The environment variable PORT is its port. */

import { createApp } from "./app.ts";

const DEFAULT_PORT = 3000;

const app = await createApp();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void app.close());
}
await app.listen({ port: Number(process.env["PORT"] ?? DEFAULT_PORT) });
