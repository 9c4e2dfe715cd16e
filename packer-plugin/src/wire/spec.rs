//! The configuration schema: one attribute table, two encodings.
//!
//! Packer decodes a HCL2 block against what `Provisioner.ConfigSpec` answers, so that unknown
//! arguments, missing ones and wrong types are reported with file and line before the plugin sees
//! them. Only attributes are used, no nested blocks: Debian's Packer 1.6.6 cannot read those.

use super::{gob, protobuf};

/// Type of an attribute, in cty's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttrType {
    /// `cty.String`.
    String,
    /// `cty.Number`, arbitrary precision on the wire.
    Number,
    /// `cty.Bool`.
    Bool,
    /// `cty.List` of one element type.
    List(Box<Self>),
    /// `cty.Map` from text to one element type.
    Map(Box<Self>),
}

/// One argument of the provisioner block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attr {
    /// Its name in the template.
    pub name: &'static str,
    /// Its type.
    pub kind: AttrType,
    /// Whether Packer refuses a HCL2 block without it.
    pub required: bool,
    /// One or two sentences for the reference documentation.
    pub help: &'static str,
}

/// How the schema is written; Packer says which one it reads by `--protobuf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Go's gob of a `hcldec.ObjectSpec`: Packer up to 1.11, and later ones with old plugins.
    Gob,
    /// The protobuf message `Spec` of packer-plugin-sdk 0.6: Packer 1.12 and later.
    Protobuf,
}

/// The bytes of the reply's `ConfigSpec` field.
#[must_use]
pub fn encode(attributes: &[Attr], encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Gob => gob::config_spec(attributes),
        Encoding::Protobuf => protobuf::config_spec(attributes),
    }
}
