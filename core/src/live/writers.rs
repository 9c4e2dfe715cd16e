//! What writes state of this machine while the system runs or when it stops.

/// Runtime drop-ins; an empty assignment of `ExecStop=` removes the command, see systemd.unit(5).
pub(super) const DROPINS: &[(&str, &str, &str)] = &[
    (
        "/run/systemd/system/systemd-random-seed.service.d/disinherit.conf",
        "[Service]\nExecStop=\n",
        "no random seed is saved at shutdown",
    ),
    (
        "/run/systemd/system/systemd-update-utmp.service.d/disinherit.conf",
        "[Service]\nExecStop=\n",
        "no shutdown record is written to wtmp",
    ),
    (
        "/run/systemd/journald.conf.d/zz-disinherit.conf",
        "[Journal]\nStorage=none\n",
        "the journal is no longer written",
    ),
];

/// Services that write logs, drift, clocks or registrations while they run or when they stop, and
/// that no session depends on: they are stopped first, and what they write then is scrubbed.
pub(super) const WRITERS: &[&str] = &[
    "syslog.socket",
    "rsyslog.service",
    "syslog-ng.service",
    "auditd.service",
    // Drift and clock.
    "chrony.service",
    "chronyd.service",
    "ntp.service",
    "ntpd.service",
    "ntpsec.service",
    "systemd-timesyncd.service",
    "fake-hwclock.service",
    // Agents that keep state of the instance and carry nobody's session.
    "walinuxagent.service",
    "waagent.service",
    "google-osconfig-agent.service",
    "oracle-cloud-agent.service",
    "snap.oracle-cloud-agent.oracle-cloud-agent.service",
    "amazon-cloudwatch-agent.service",
    "cloudmonitor.service",
    "aliyun.service",
    "hv-kvp-daemon.service",
    "hypervkvpd.service",
    "sysstat.service",
    "snapd.service",
];

/// Services that a session may come through: they run on, and get no time for last words.
pub(super) const CARRIERS: &[&str] = &[
    "NetworkManager.service",
    "networking.service",
    "dhcpcd.service",
    "dhclient.service",
    "wicked.service",
    "wickedd.service",
    "wickedd-dhcp4.service",
    "wickedd-dhcp6.service",
    "connman.service",
    "iwd.service",
    "wpa_supplicant.service",
    "amazon-ssm-agent.service",
    "snap.amazon-ssm-agent.amazon-ssm-agent.service",
    "google-guest-agent.service",
    "tailscaled.service",
];

/// For each of them: no command at the stop, no signal that can be answered, no new start.
pub(super) const LAST_WORDS: &str =
    "[Service]\nExecStop=\nExecStopPost=\nKillSignal=SIGKILL\nRestart=no\n";
