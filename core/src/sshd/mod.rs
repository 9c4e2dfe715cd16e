//! What sshd(8) would do: its configuration with includes and `Match` blocks, and what follows from
//! it for logins. Source: sshd_config(5); where the manual is silent, OpenSSH 9.2 was asked
//! (`tests/sshd_oracle` compares with the real program).

mod address;
mod condition;
mod config;
mod insert;
mod keywords;
mod lexer;
mod load;
mod login;
mod pattern;
mod problem;
#[cfg(test)]
mod tests;
mod who;

pub use condition::Holds;
pub use config::{Args, Config, Setting, Source};
pub use insert::{Line, with_blocks, with_include, without};
pub use lexer::{Directive, Fault, parse};
pub use login::{LoginFile, LoginSource};
pub use pattern::matches as pattern_matches;
pub use problem::{Problem, What};
pub use who::{User, Who};
