//! Packer provisioner that removes every credential of the builder from an image.
//!
//! [`wire`] is Packer's plugin protocol as bytes and streams, without any idea of what a
//! provisioner does. [`plugin`] is the process that Packer starts: it serves one
//! [`plugin::Provisioner`] and hands it a [`plugin::Guest`] to work on. [`config`] makes settings of
//! a template's block, [`provision`] carries them out in the guest with the programs of [`payload`].

pub mod cli;
pub mod commands;
pub mod config;
pub mod elf;
pub mod output;
pub mod payload;
pub mod plugin;
pub mod provision;
mod sys;
pub mod wire;
