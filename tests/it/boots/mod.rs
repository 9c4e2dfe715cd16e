//! disinherit-firstboot under a real systemd, cloud-init and sshd: containers for breadth.
//!
//! Containers of different tests do not meet, so two of these tests may run at once.

mod agents;
mod basics;
mod broken;
pub(crate) mod disk;
mod keys;
mod killed;
mod life;
mod map;
mod matrix;
mod package;
mod passwords;
mod sockets;
mod trouble;
mod ways;

use disinherit_tests::Result;
use disinherit_tests::needs::{Need, trial};
use libtest_mimic::Trial;

const NEEDS: &[Need] =
    &[Need::Root, Need::Mount, Need::Nspawn, Need::BaseTools, Need::Ssh, Need::Dist, Need::Strace];

/// Each is one story of a disk, told by real boots.
type Story = (&'static str, fn() -> Result);

const TRIALS: &[Story] = &[
    ("opens_to_an_injected_key_and_only_to_it", basics::opens),
    ("a_copy_is_closed_until_its_platform_offers_a_key", basics::copies),
    ("without_a_key_nothing_answers", basics::denies),
    ("a_late_agent_is_met_by_the_retry", basics::late_agent),
    ("a_seed_in_the_image_opens_nothing", basics::baked_seed),
    ("the_reference_seed_opens_by_user_data", basics::reference_seed),
    ("an_installed_but_unsealed_system_is_left_alone", basics::unsealed),
    ("closed_without_our_program", broken::program_is_gone),
    ("closed_with_an_empty_program", broken::program_is_empty),
    ("closed_with_a_program_of_another_architecture", broken::program_is_of_another_architecture),
    ("closed_where_our_program_may_not_run", broken::program_lies_where_nothing_runs),
    ("closed_without_the_gates_unit", broken::gate_is_gone),
    ("closed_with_a_masked_gate", broken::gate_is_masked),
    ("closed_with_a_skipped_gate", broken::gate_is_skipped_by_a_condition),
    ("published_and_weak_keys_open_nothing", keys::published_and_weak),
    ("a_sealed_key_counts_by_the_platforms_word_alone", keys::sealed_key),
    ("forced_commands_open_nothing", keys::only_forced_commands),
    ("accounts_that_sshd_refuses_open_nothing", keys::accounts_that_sshd_refuses),
    ("a_demanded_password_change_is_taken_back", keys::demanded_password_change),
    ("a_locked_account_without_pam_opens_nothing", keys::locked_without_pam),
    ("an_unlocked_account_has_no_old_password", keys::unlocked_by_user_data),
    (
        "an_unlocked_account_has_no_old_password_on_debian_13",
        keys::unlocked_by_user_data_of_debian_13,
    ),
    ("keys_imported_late_open", agents::imported_keys),
    ("googles_agent_may_be_late", agents::google_guest_agent),
    ("azures_agent_may_be_a_minute_late", agents::waagent),
    ("a_socket_stays_closed_to_a_thousand", sockets::socket_of_debian_12),
    ("a_socket_stays_closed_to_a_thousand_on_debian_13", sockets::socket_of_debian_13),
    ("sockets_that_systemd_makes_answer_nobody", sockets::generated_sockets),
    ("closed_on_a_full_disk", trouble::full_disk),
    ("closed_with_a_read_only_etc", trouble::read_only_etc),
    ("without_a_password_table_nobody_gets_in", trouble::no_shadow),
    ("a_reordered_gate_is_refused_and_closed", trouble::reordered_gate),
    ("a_match_block_brings_no_password_back", trouble::match_block),
    ("options_of_the_daemon_bring_no_password_back", trouble::options_of_the_daemon),
    ("a_boot_killed_at_any_write_is_finished_by_the_next", killed::at_every_write),
    ("a_rescue_shell_has_no_inherited_password", trouble::rescue_and_emergency),
    ("no_daemon_takes_a_password", passwords::of_every_daemon),
    ("what_cannot_be_closed_is_not_sealed", passwords::refused),
    ("scripts_of_user_data_run_once", life::scripts_run_once),
    ("a_restored_disk_loses_nothing", life::restored_without_datasource),
    ("a_restored_disk_loses_nothing_beside_a_datasource", life::restored_with_datasource),
    ("a_disabled_service_stays_disabled", life::disabled_service),
    ("a_copy_under_the_same_instance_id_is_new", life::same_instance_id),
    ("an_adopted_instance_stays_open", life::adopted_stays_open),
    ("a_var_of_its_own", life::own_var),
    ("an_image_without_cloud_init", life::without_cloud_init),
    ("debian_13", life::debian_13),
    ("a_package_changes_nothing_on_a_live_system", package::installed_on_a_live_system),
    ("a_package_renewed_and_removed_shuts_nobody_out", package::renewed_and_removed),
    ("matrix_nocloud", matrix::nocloud),
    ("matrix_config_drive", matrix::config_drive),
    ("matrix_credential", matrix::credential),
    ("matrix_drop_in", matrix::drop_in),
    ("matrix_offline", matrix::offline),
    ("matrix_authorize", matrix::authorize),
];

pub(crate) fn trials() -> Vec<Trial> {
    let told = TRIALS.iter().map(|(name, test)| trial(&format!("boots::{name}"), NEEDS, *test));
    let map = trial("boots::the_table_of_cases_names_tests", &[], || {
        let told = TRIALS.iter().map(|(name, _)| format!("boots::{name}"));
        let others = crate::suites::names().chain(crate::examples::names()).map(str::to_owned);
        let known: Vec<String> = told.chain(others).collect();
        map::named_tests_exist(&known)
    });
    told.chain([map]).collect()
}
