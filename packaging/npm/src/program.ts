/** Runs the program `tatmig` as a process and reads its answer. */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import { ProgramError, textDetail } from "./errors.js";

/** The version of the JSON format that this package reads. */
const JSON_FORMAT = 1;

/** Variables that change what the program prints, and nothing that it does. */
const OUTPUT_VARIABLES = ["TATMIG_COLOR", "TATMIG_JSON", "TATMIG_QUIET", "TATMIG_VERBOSE"];

const MAX_SHOWN_MESSAGES = 2000;

/** A JSON object whose keys are not checked yet. */
export type Json = Readonly<Record<string, any>>;

/** What the program printed, and its exit status. */
export interface Answer {
  readonly envelope: Json;
  readonly exitStatus: number;
}

/**
 * The path of the program that was installed with this package.
 *
 * @throws ProgramError if the package of this platform is not installed.
 */
export function findProgram(): string {
  const name = `@tatmig/${process.platform}-${process.arch}`;
  try {
    const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
    const path = join(dirname(manifest), "bin", executableName());
    if (existsSync(path)) return path;
  } catch {
    // The package is not installed.
  }
  const help =
    "install tatmig with optional dependencies, on the platform that runs it, " +
    "or pass the path of the program as `executable`";
  throw new ProgramError(textDetail(`the package \`${name}\` is not installed`, help));
}

function executableName(): string {
  return process.platform === "win32" ? "tatmig.exe" : "tatmig";
}

/** The program with the settings of a fleet. */
export class Program {
  readonly cwd: string;
  #executable: string | null;
  readonly #arguments: readonly string[];
  readonly #variables: Readonly<Record<string, string>>;

  constructor(
    executable: string | null,
    cwd: string,
    settingArguments: readonly string[],
    variables: Readonly<Record<string, string>>,
  ) {
    this.#executable = executable;
    this.cwd = cwd;
    this.#arguments = settingArguments;
    this.#variables = variables;
  }

  /**
   * Runs a command to its end. If `signal` is aborted, the program is asked to end, and the promise
   * is rejected when it has ended.
   */
  async run(command: string, options: readonly string[], signal?: AbortSignal): Promise<Answer> {
    signal?.throwIfAborted();
    this.#executable ??= findProgram();
    const settings = [command, "--json", ...this.#arguments, ...options];
    const ended = await this.#spawn(this.#executable, settings, signal);
    signal?.throwIfAborted();
    return readAnswer(ended);
  }

  #spawn(
    executable: string,
    settings: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<EndedProcess> {
    return new Promise((resolve, reject) => {
      const child = spawn(executable, settings, {
        cwd: this.cwd,
        env: this.#environment(),
        stdio: ["ignore", "pipe", "pipe"],
        windowsHide: true,
      });
      const stop = () => void child.kill("SIGTERM");
      signal?.addEventListener("abort", stop);
      const output: Buffer[] = [];
      const messages: Buffer[] = [];
      child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
      child.stderr.on("data", (chunk: Buffer) => messages.push(chunk));
      child.on("error", (error) => {
        signal?.removeEventListener("abort", stop);
        // Node reports a missing directory as a missing program.
        const what = existsSync(this.cwd)
          ? `the program \`${executable}\` cannot be started: ${error.message}`
          : `the directory \`${this.cwd}\` does not exist`;
        reject(new ProgramError(textDetail(what)));
      });
      child.on("close", (exitStatus, killedBy) => {
        signal?.removeEventListener("abort", stop);
        resolve({
          output: Buffer.concat(output).toString("utf8"),
          messages: Buffer.concat(messages).toString("utf8"),
          exitStatus,
          killedBy,
        });
      });
    });
  }

  #environment(): NodeJS.ProcessEnv {
    const environment: NodeJS.ProcessEnv = { ...process.env };
    for (const name of OUTPUT_VARIABLES) delete environment[name];
    return { ...environment, ...this.#variables };
  }
}

interface EndedProcess {
  readonly output: string;
  readonly messages: string;
  readonly exitStatus: number | null;
  readonly killedBy: NodeJS.Signals | null;
}

function readAnswer({ output, messages, exitStatus, killedBy }: EndedProcess): Answer {
  let envelope: unknown;
  try {
    envelope = JSON.parse(output);
  } catch {
    // Not a JSON document.
  }
  if (envelope === null || typeof envelope !== "object" || exitStatus === null) {
    const what =
      killedBy === null
        ? `the program ended with exit status ${exitStatus} and printed no JSON document`
        : `the program was killed by ${killedBy}`;
    const printed = messages.trim().slice(-MAX_SHOWN_MESSAGES);
    throw new ProgramError(textDetail(printed ? `${what}: ${printed}` : what), exitStatus);
  }
  const found = (envelope as Json)["format"];
  if (found !== JSON_FORMAT) {
    const what = `the program prints JSON format ${found}; this package reads ${JSON_FORMAT}`;
    const help = "install the package and the program in the same version";
    throw new ProgramError(textDetail(what, help), exitStatus);
  }
  return { envelope: envelope as Json, exitStatus };
}
