//! The `ConfigSpec` as protobuf, by hand: five message types, strings and one bool.
//!
//! Field numbers as in packer-plugin-sdk 0.6.10 (`rpc/hcl_spec.proto`):
//! `Spec { object=1 | attr=2 }`, `Object { map<string, Spec> attributes=1 }`,
//! `Attr { name=1, type=2, required=3 }`, `CtyType { primitive=1 | list=2 | map=3 }`,
//! `CtyPrimitive { typeString=1 }`, `CtyList` and `CtyMap { elementType=1 }`.

use super::spec::{Attr, AttrType};

pub(super) fn config_spec(attributes: &[Attr]) -> Vec<u8> {
    let mut object = Vec::new();
    for attribute in attributes {
        let mut entry = Vec::new();
        field(1, attribute.name.as_bytes(), &mut entry);
        field(2, &message(2, &attr(attribute)), &mut entry);
        field(1, &entry, &mut object);
    }
    message(1, &object)
}

fn attr(attribute: &Attr) -> Vec<u8> {
    let mut out = message(1, attribute.name.as_bytes());
    field(2, &cty_type(&attribute.kind), &mut out);
    if attribute.required {
        out.extend_from_slice(&[3 << 3, 1]);
    }
    out
}

fn cty_type(kind: &AttrType) -> Vec<u8> {
    match kind {
        AttrType::String => message(1, &message(1, b"cty.String")),
        AttrType::Number => message(1, &message(1, b"cty.Number")),
        AttrType::Bool => message(1, &message(1, b"cty.Bool")),
        AttrType::List(element) => message(2, &message(1, &cty_type(element))),
        AttrType::Map(element) => message(3, &message(1, &cty_type(element))),
    }
}

/// A message that consists of one length-delimited field.
fn message(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    field(number, content, &mut out);
    out
}

/// A length-delimited field; all our field numbers fit into one byte of key.
fn field(number: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    let mut len = content.len();
    loop {
        let low = u8::try_from(len & 0x7f).unwrap_or_default();
        len >>= 7;
        if len == 0 {
            out.push(low);
            break;
        }
        out.push(low | 0x80);
    }
    out.extend_from_slice(content);
}
