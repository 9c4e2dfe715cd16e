//! The rule files, compiled in. The order here is the order of plans and reports.

/// File name and text of each chapter.
pub(super) const CHAPTERS: &[(&str, &str)] = &[
    ("accounts.yaml", include_str!("../../catalogue/accounts.yaml")),
    ("ssh-login.yaml", include_str!("../../catalogue/ssh-login.yaml")),
    ("ssh-host.yaml", include_str!("../../catalogue/ssh-host.yaml")),
    ("shell-history.yaml", include_str!("../../catalogue/shell-history.yaml")),
    ("cloud-init-state.yaml", include_str!("../../catalogue/cloud-init-state.yaml")),
    ("host-identity.yaml", include_str!("../../catalogue/host-identity.yaml")),
    ("random-seed.yaml", include_str!("../../catalogue/random-seed.yaml")),
];
