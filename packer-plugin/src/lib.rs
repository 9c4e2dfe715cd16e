//! Packer provisioner that removes every credential of the builder from an image.
//!
//! [`wire`] is Packer's plugin protocol as bytes and streams, without any idea of what a
//! provisioner does. [`plugin`] is the process that Packer starts: it serves one
//! [`plugin::Provisioner`] and hands it a [`plugin::Guest`] to work on.

pub mod plugin;
mod sys;
pub mod wire;
