/**
 * Migrates SQLite databases, one per user, from one Markdown file.
 *
 * `Fleet` runs the program `tatmig`, which is installed with this package, as a process.
 */

export {
  BusyError,
  DocumentError,
  MigrationError,
  ProgramError,
  StoppedError,
  TatmigError,
  UsageError,
} from "./errors.js";
export { Fleet } from "./fleet.js";
export { findProgram } from "./program.js";
export type * from "./results.js";
export type {
  CancelOptions,
  EnsureOptions,
  FleetOptions,
  InitOptions,
  LintOptions,
  Settings,
  SelectOptions,
  UpgradeOptions,
  Users,
} from "./settings.js";
