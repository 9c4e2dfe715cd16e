//! The rule files, compiled in. The order here is the order of plans and reports.

macro_rules! chapter {
    ($file:literal) => {
        ($file, include_str!(concat!("../../catalogue/", $file)))
    };
}

/// File name and text of each chapter.
pub(super) const CHAPTERS: &[(&str, &str)] = &[
    chapter!("accounts.yaml"),
    chapter!("ssh-login.yaml"),
    chapter!("ssh-host.yaml"),
    chapter!("user-private-keys.yaml"),
    chapter!("shell-history.yaml"),
    chapter!("cloud-cli.yaml"),
    chapter!("vcs-and-registry.yaml"),
    chapter!("package-managers.yaml"),
    chapter!("containers.yaml"),
    chapter!("cloud-init-state.yaml"),
    chapter!("installer-leftovers.yaml"),
    chapter!("host-identity.yaml"),
    chapter!("random-seed.yaml"),
    chapter!("network-secrets.yaml"),
    chapter!("service-secrets.yaml"),
    chapter!("service-databases.yaml"),
    chapter!("service-clusters.yaml"),
    chapter!("directory-join.yaml"),
    chapter!("agents.yaml"),
    chapter!("kubernetes.yaml"),
    chapter!("logs.yaml"),
    chapter!("leftovers.yaml"),
    chapter!("boot-loader.yaml"),
    chapter!("content-keys.yaml"),
    chapter!("content-hashes.yaml"),
    chapter!("content-cloud.yaml"),
    chapter!("content-development.yaml"),
    chapter!("content-services.yaml"),
    chapter!("content-context.yaml"),
];

#[cfg(test)]
#[path = "builtin_tests.rs"]
mod tests;
