//! What is promised of files, kept on a real libSQL server. Without one these tests are listed as
//! ignored; with `TATMIG_REQUIRE_SQLD` set, as in CI, its absence is a failure.
#![allow(clippy::unwrap_used, reason = "here all of it is test")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is its own harness")]

mod atomic;
mod commands;
mod faults;
mod guide;
mod moving;
mod names;
mod sqld;
#[allow(dead_code, reason = "each of the binaries uses its own part")]
#[path = "../support/mod.rs"]
mod support;
mod town;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Each function by its name. One that is forgotten here is dead code, which is no clean build.
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
    let missing = sqld::program().is_none();
    if missing {
        let install = sqld::INSTALL;
        if std::env::var_os("TATMIG_REQUIRE_SQLD").is_some() {
            eprintln!("there is no libSQL server to test against; `{install}` installs it");
            return ExitCode::FAILURE;
        }
        println!("\nignored, for there is no libSQL server here; install it: {install}");
    }
    let trials = trials! { missing;
        atomic:
            a_failing_step_leaves_nothing,
            a_hidden_commit_is_refused_before_anything_is_sent,
            a_statement_that_ends_the_transaction_leaves_nothing,
            a_lock_that_is_stolen_leaves_no_stray_row,
            two_runs_race_and_each_migration_is_applied_once,
            a_rehearsal_keeps_nothing,
            all_or_nothing_commits_nothing_where_one_fails,
            rows_that_a_rebuild_loses_are_missed,
            a_rebuild_keeps_child_rows,
            a_foreign_key_that_a_migration_breaks_is_refused_and_an_old_one_is_not_blamed,
            a_guard_over_another_table_is_found_out,
            a_column_that_was_there_is_satisfied_and_another_one_is_not;
        commands:
            the_same_story_over_files,
            the_same_story_over_namespaces,
            the_same_way_back_over_files,
            the_same_way_back_over_namespaces,
            a_journal_mode_is_refused_where_the_server_has_its_own,
            keys_that_the_application_never_holds_are_told,
            the_json_is_that_of_files,
            a_namespace_without_a_record_is_adopted,
            init_without_an_admin_address_says_so,
            seeds_run_without_a_record,
            an_edited_migration_is_shown,
            what_the_server_refuses_is_told_by_lint_and_by_upgrade;
        faults:
            eighty_users_on_twenty_active_namespaces,
            a_server_that_is_killed_is_finished_by_the_second_run,
            the_schema_arrives_on_a_replica,
            a_replica_is_read_and_not_written_through,
            a_lost_answer_is_settled_by_the_record,
            a_proxy_that_drops_the_namespace_is_noticed,
            a_server_that_never_answers_is_given_up,
            a_server_that_is_not_there_is_said,
            a_bad_token_is_refused,
            an_interrupt_ends_a_long_statement;
        guide:
            the_guide_goes_there_and_back;
        moving:
            a_hundred_users_go_there_and_back,
            files_that_come_back_are_in_the_journal_mode_of_the_application,
            every_value_and_every_kind_of_table_arrives,
            a_namespace_that_holds_something_else_is_left_alone,
            a_push_that_was_killed_is_finished_by_the_second,
            a_backup_is_forks_whose_names_sort_by_time,
            old_backups_go_with_their_forks_and_a_missing_fork_is_told,
            copies_without_an_admin_address_are_refused_before_anything_is_touched,
            copies_in_files_are_put_into_namespaces,
            a_namespace_is_reset_and_goes_down;
        names:
            names_that_are_paths_are_refused,
            names_that_differ_by_case_are_refused,
            an_empty_list_is_an_error,
            a_user_without_a_namespace_fails_alone,
            users_come_from_a_file_too,
            users_are_spread_over_servers_by_a_hash_or_a_file,
            parts_of_a_fleet_of_files_cover_it_once;
    };
    let conclusion = libtest_mimic::run(&arguments, trials);
    conclusion.exit_code()
}
