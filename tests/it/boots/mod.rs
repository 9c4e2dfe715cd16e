//! disinherit-firstboot under a real systemd, cloud-init and sshd: containers for breadth.
//!
//! Containers of different tests do not meet, so two of these tests may run at once.

mod basics;
mod broken;
mod disk;
mod matrix;
mod ways;

use disinherit_tests::needs::{Need, trial};
use libtest_mimic::Trial;

const NEEDS: &[Need] =
    &[Need::Root, Need::Mount, Need::Nspawn, Need::BaseTools, Need::Ssh, Need::Dist];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("boots::opens_to_an_injected_key_and_only_to_it", NEEDS, basics::opens),
        trial("boots::a_copy_is_closed_until_its_platform_offers_a_key", NEEDS, basics::copies),
        trial("boots::without_a_key_nothing_answers", NEEDS, basics::denies),
        trial("boots::a_late_agent_is_met_by_the_retry", NEEDS, basics::late_agent),
        trial("boots::a_seed_in_the_image_opens_nothing", NEEDS, basics::baked_seed),
        trial("boots::the_reference_seed_opens_by_user_data", NEEDS, basics::reference_seed),
        trial("boots::an_installed_but_unsealed_system_is_left_alone", NEEDS, basics::unsealed),
        trial("boots::closed_without_our_program", NEEDS, broken::program_is_gone),
        trial("boots::closed_with_an_empty_program", NEEDS, broken::program_is_empty),
        trial(
            "boots::closed_with_a_program_of_another_architecture",
            NEEDS,
            broken::program_is_of_another_architecture,
        ),
        trial(
            "boots::closed_where_our_program_may_not_run",
            NEEDS,
            broken::program_lies_where_nothing_runs,
        ),
        trial("boots::closed_without_the_gates_unit", NEEDS, broken::gate_is_gone),
        trial("boots::closed_with_a_masked_gate", NEEDS, broken::gate_is_masked),
        trial("boots::closed_with_a_skipped_gate", NEEDS, broken::gate_is_skipped_by_a_condition),
        trial("boots::matrix_nocloud", NEEDS, matrix::nocloud),
        trial("boots::matrix_config_drive", NEEDS, matrix::config_drive),
        trial("boots::matrix_credential", NEEDS, matrix::credential),
        trial("boots::matrix_drop_in", NEEDS, matrix::drop_in),
        trial("boots::matrix_offline", NEEDS, matrix::offline),
        trial("boots::matrix_authorize", NEEDS, matrix::authorize),
    ]
}
