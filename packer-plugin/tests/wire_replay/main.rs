//! Recorded connections of real Packers and plugins against this wire: decoded, replayed, damaged.

mod damage;
mod decode;
mod hostile;
mod replay;
mod transcript;
