//! Tests the guarantees for files on a real libSQL server. Without a server the tests are listed as
//! ignored; with `TATMIG_REQUIRE_SQLD` set, as in CI, its absence is a failure.
#![allow(clippy::unwrap_used, reason = "here all of it is test")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is its own harness")]

mod atomic;
mod commands;
mod drift;
#[allow(dead_code, reason = "each of the binaries uses its own part")]
#[path = "../safety/fault_injection.rs"]
mod fault_injection;
mod faults;
mod fleet;
mod guide;
mod hostile;
mod names;
mod proxy;
mod query;
mod sqld;
#[allow(dead_code, reason = "each of the binaries uses its own part")]
#[path = "../support/mod.rs"]
mod support;
mod transfer;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Lists each test function. The compiler reports a forgotten one as dead code.
macro_rules! trials {
    ($ignored:expr; $($module:ident: $($name:ident),+;)+) => {
        vec![$($(
            Trial::test(concat!(stringify!($module), "::", stringify!($name)), || {
                $module::$name();
                Ok(())
            })
            .with_ignored_flag($ignored)
        ),+),+]
    };
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let missing = sqld::program_path().is_none();
    if missing {
        let install = sqld::INSTALL_COMMAND;
        if std::env::var_os("TATMIG_REQUIRE_SQLD").is_some() {
            eprintln!("there is no libSQL server to test against; `{install}` installs it");
            return ExitCode::FAILURE;
        }
        println!("\nignored, for there is no libSQL server here; install it: {install}");
    }
    let conclusion = libtest_mimic::run(&arguments, trials(missing));
    conclusion.exit_code()
}

#[expect(clippy::too_many_lines, reason = "one line for each test")]
fn trials(is_ignored: bool) -> Vec<Trial> {
    trials! { is_ignored;
        atomic:
            a_failing_step_leaves_no_trace,
            constraint_failures_name_the_offending_rows,
            a_hidden_commit_is_refused_before_anything_is_sent,
            a_statement_that_ends_the_transaction_leaves_no_trace,
            a_row_of_an_assertion_leaves_no_trace,
            a_lock_that_is_stolen_leaves_no_stray_row,
            two_runs_race_and_each_migration_is_applied_once,
            a_rehearsal_changes_nothing,
            all_or_nothing_commits_nothing_if_one_fails,
            a_rebuild_that_loses_rows_fails,
            a_rebuild_keeps_child_rows,
            a_new_foreign_key_violation_fails_and_an_existing_one_is_allowed,
            an_if_not_exists_over_another_table_fails,
            an_existing_column_is_skipped_only_if_identical;
        commands:
            upgrade_scenario_over_files,
            upgrade_scenario_over_namespaces,
            downgrade_and_restore_over_files,
            downgrade_and_restore_over_namespaces,
            redo_over_files,
            redo_over_namespaces,
            a_journal_mode_is_refused_for_namespaces,
            unenforced_foreign_keys_are_reported,
            json_output_equals_that_of_files,
            a_namespace_without_history_is_adopted,
            the_version_table_of_another_tool_decides_in_a_namespace,
            an_accepted_column_of_another_definition_counts_as_already_applied,
            a_namespace_with_ignored_objects_only_is_new,
            init_without_an_admin_url_is_refused,
            seeds_add_no_history_entry,
            an_edited_migration_is_refused_and_shown,
            unsupported_sql_is_reported_by_lint_and_upgrade;
        drift:
            a_rebuild_keeps_what_the_document_does_not_have,
            a_table_with_rows_that_the_document_does_not_have_is_not_dropped,
            a_column_that_was_already_applied_is_not_overwritten,
            columns_in_another_order_are_not_copied_by_position,
            a_view_that_the_document_does_not_have_is_not_broken,
            a_block_may_allow_a_safety_rule,
            a_rebuild_keeps_the_autoincrement_counter;
        faults:
            eighty_users_on_twenty_active_namespaces,
            a_second_run_finishes_after_the_server_is_killed,
            schema_changes_reach_a_replica,
            a_replica_can_be_read_but_not_migrated,
            a_lost_response_is_resolved_from_the_history,
            a_gateway_error_after_the_commit_is_resolved_from_the_history,
            a_batch_reported_as_not_applied_cannot_be_committed_later,
            an_interrupt_after_the_batch_was_sent_is_reported_as_unknown,
            a_lost_response_to_a_seed_is_never_reported_as_not_applied,
            a_socket_error_after_a_write_was_sent_sends_nothing_twice,
            a_proxy_that_drops_the_namespace_header_is_detected,
            a_server_that_never_responds_times_out,
            an_unreachable_server_is_reported,
            an_invalid_token_is_refused,
            an_interrupt_ends_a_long_statement;
        hostile:
            a_broken_server_causes_an_error_that_names_it,
            a_push_to_a_broken_server_fails_and_changes_no_file,
            the_schema_of_a_hostile_server_runs_no_other_statement;
        query:
            rows_of_namespaces_are_those_of_files,
            an_error_of_a_namespace_has_its_place,
            a_statement_that_writes_reaches_no_namespace,
            an_unknown_namespace_is_an_error;
        guide:
            the_guide_commands_print_what_it_shows;
        transfer:
            a_hundred_users_are_pushed_and_pulled,
            a_fleet_in_directories_is_pushed_and_pulled,
            pulled_files_use_the_configured_journal_mode,
            every_value_and_kind_of_table_is_transferred,
            a_push_under_writes_copies_one_state_of_the_database,
            a_pull_under_writes_copies_one_state_of_the_database,
            verify_reads_one_state_of_a_namespace,
            a_push_whose_commit_is_lost_is_reported_as_unknown_and_can_be_repeated,
            a_transfer_through_a_proxy_that_drops_the_namespace_header_is_refused,
            forks_are_removed_if_their_manifest_cannot_be_written,
            a_namespace_with_other_contents_is_left_unchanged,
            a_second_push_finishes_a_killed_one,
            a_backup_consists_of_forks_named_by_time,
            pruning_removes_forks_and_a_missing_fork_is_reported,
            backups_without_an_admin_url_are_refused_before_any_change,
            file_backups_can_be_restored_into_namespaces,
            a_namespace_can_be_reset_and_downgraded;
        names:
            path_like_names_are_refused,
            names_that_differ_by_case_are_refused,
            an_empty_user_list_is_an_error,
            a_user_without_a_namespace_fails_alone,
            users_can_be_read_from_a_file,
            a_user_listed_twice_in_a_file_is_refused,
            a_file_of_users_that_is_a_fifo_is_refused,
            a_user_whom_the_file_of_servers_does_not_list_is_refused,
            users_are_placed_on_servers_by_hash_or_file,
            shards_cover_a_fleet_exactly_once;
    }
}
