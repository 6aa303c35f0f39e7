#!/usr/bin/env node
/** Runs the program: `npx tatmig upgrade --all-users`. */

import { spawn } from "node:child_process";
import { constants } from "node:os";

import { findProgram } from "./program.js";

const FORWARDED_SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"] as const;

function main(): void {
  const child = spawn(findProgram(), process.argv.slice(2), { stdio: "inherit" });
  // On Ctrl-C the terminal sends the signal to both processes; the program ends after it has rolled
  // back. A signal that was sent to this process alone is passed on.
  for (const signal of FORWARDED_SIGNALS) {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on("error", (error) => {
    console.error(`error: the program cannot be started: ${error.message}`);
    process.exitCode = 2;
  });
  child.on("close", (exitStatus, signal) => {
    process.exitCode = exitStatus ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  });
}

try {
  main();
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 2;
}
