//! Keeps no inherited login, makes new host keys, opens sshd only to an injected key.
use std::process::ExitCode;

fn main() -> ExitCode {
    disinherit_firstboot::main(std::env::args_os().skip(1))
}
