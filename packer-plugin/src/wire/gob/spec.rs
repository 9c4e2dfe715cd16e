//! A `hcldec.ObjectSpec` as Go's gob writes it: interface values name their concrete type, types
//! are defined in the stream, and each `cty.Type` inside is a gob stream of its own.
//!
//! Go cuts the messages oddly (one type definition inside a value's message, the next one in a
//! message of its own). Decoders of three Go versions insist on that, so it is kept.

use super::{put_int, put_uint};
use crate::wire::spec::{Attr, AttrType};

const BOOL: i64 = 1;
const INT: i64 = 2;
const UINT: i64 = 3;
const STRING: i64 = 6;
const INTERFACE: i64 = 8;

/// Our own type ids: free from 64 on, as long as one stream is consistent.
const OBJECT_SPEC: i64 = 65;
const ATTR_SPEC: i64 = 66;
const TYPE: i64 = 67;
const GOB_TYPE: i64 = 68;
const TYPE_LIST: i64 = 69;
const PRIMITIVE_TYPE: i64 = 70;
const TYPE_MAP: i64 = 71;

/// The field of Go's `wireType` that is set, which says what kind of type is defined.
#[derive(Clone, Copy)]
enum Shape<'a> {
    Struct(&'a [(&'a str, i64)]),
    Map { key: i64, element: i64 },
    GobEncoder,
}

pub(in crate::wire) fn config_spec(attributes: &[Attr]) -> Vec<u8> {
    let mut out = message(&definition(
        OBJECT_SPEC,
        "ObjectSpec",
        Shape::Map { key: STRING, element: INTERFACE },
    ));
    let mut object = Vec::new();
    put_int(OBJECT_SPEC, &mut object);
    object.push(0);
    put_uint(length(attributes.len()), &mut object);
    let Some((first, others)) = attributes.split_first() else {
        out.extend(message(&object));
        return out;
    };
    text(first.name, &mut object);
    text("*hcldec.AttrSpec", &mut object);
    let fields = [("Name", STRING), ("Type", TYPE), ("Required", BOOL)];
    object.extend(definition(ATTR_SPEC, "AttrSpec", Shape::Struct(&fields)));
    out.extend(message(&object));
    out.extend(message(&definition(TYPE, "Type", Shape::GobEncoder)));

    let mut values = attr_value(first);
    for attribute in others {
        text(attribute.name, &mut values);
        text("*hcldec.AttrSpec", &mut values);
        values.extend(attr_value(attribute));
    }
    out.extend(message(&values));
    out
}

/// An interface value of type `*hcldec.AttrSpec`, after its name: type id, then a sized struct.
fn attr_value(attribute: &Attr) -> Vec<u8> {
    let mut fields = vec![1];
    text(attribute.name, &mut fields);
    fields.push(1);
    fields.extend(message(&cty_type(&attribute.kind)));
    if attribute.required {
        fields.extend_from_slice(&[1, 1]);
    }
    fields.push(0);

    let mut out = Vec::new();
    put_int(ATTR_SPEC, &mut out);
    out.extend(message(&fields));
    out
}

/// A `cty.Type`: `gobType { Version: 0, Impl: interface }` as a gob stream of its own.
fn cty_type(kind: &AttrType) -> Vec<u8> {
    let fields = [("Version", INT), ("Impl", INTERFACE)];
    let mut out = message(&definition(GOB_TYPE, "gobType", Shape::Struct(&fields)));
    match kind {
        AttrType::String => primitive(b'S', &mut out),
        AttrType::Number => primitive(b'N', &mut out),
        AttrType::Bool => primitive(b'B', &mut out),
        AttrType::List(element) => collection(TYPE_LIST, "typeList", element, &mut out),
        AttrType::Map(element) => collection(TYPE_MAP, "typeMap", element, &mut out),
    }
    out
}

fn primitive(kind: u8, out: &mut Vec<u8>) {
    let fields = [("Kind", UINT)];
    out.extend(implementation(PRIMITIVE_TYPE, "primitiveType", &fields));
    let mut value = Vec::new();
    put_int(PRIMITIVE_TYPE, &mut value);
    value.extend(message(&[1, kind, 0]));
    value.push(0);
    out.extend(message(&value));
}

fn collection(id: i64, name: &str, element: &AttrType, out: &mut Vec<u8>) {
    let fields = [("ElementTypeT", TYPE)];
    out.extend(implementation(id, name, &fields));
    out.extend(message(&definition(TYPE, "Type", Shape::GobEncoder)));
    let mut inner = vec![1];
    inner.extend(message(&cty_type(element)));
    inner.push(0);
    let mut value = Vec::new();
    put_int(id, &mut value);
    value.extend(message(&inner));
    value.push(0);
    out.extend(message(&value));
}

/// The start of a `gobType` value: the `Impl` field's concrete type by import path, and its
/// definition.
fn implementation(id: i64, name: &str, fields: &[(&str, i64)]) -> Vec<u8> {
    let mut body = Vec::new();
    put_int(GOB_TYPE, &mut body);
    body.push(2);
    text(&format!("github.com/zclconf/go-cty/cty.{name}"), &mut body);
    body.extend(definition(id, name, Shape::Struct(fields)));
    message(&body)
}

/// A type definition: the negative id, then Go's `wireType` with its one field set.
fn definition(id: i64, name: &str, shape: Shape<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    put_int(-id, &mut out);
    out.push(match shape {
        Shape::Struct(_) => 3,
        Shape::Map { .. } => 4,
        Shape::GobEncoder => 5,
    });
    out.extend_from_slice(&[1, 1]);
    text(name, &mut out);
    out.push(1);
    put_int(id, &mut out);
    out.push(0);
    match shape {
        Shape::Struct(fields) => {
            out.push(1);
            put_uint(length(fields.len()), &mut out);
            for (field, kind) in fields {
                out.push(1);
                text(field, &mut out);
                out.push(1);
                put_int(*kind, &mut out);
                out.push(0);
            }
        }
        Shape::Map { key, element } => {
            out.push(1);
            put_int(key, &mut out);
            out.push(1);
            put_int(element, &mut out);
        }
        Shape::GobEncoder => {}
    }
    out.extend_from_slice(&[0, 0]);
    out
}

fn message(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_uint(length(content.len()), &mut out);
    out.extend_from_slice(content);
    out
}

fn text(text: &str, out: &mut Vec<u8>) {
    put_uint(length(text.len()), out);
    out.extend_from_slice(text.as_bytes());
}

fn length(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
