//! See [`packer_plugin_disinherit`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    packer_plugin_disinherit::cli::main(&args)
}
