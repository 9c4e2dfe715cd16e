use super::Value;

/// Appends the shortest form of `value` to `out`.
///
/// Text and binary longer than 4 GiB do not occur: every caller's data came through a message
/// limit or is made here. Such a length would be cut at 2³²−1.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Nil => out.push(0xc0),
        Value::Bool(false) => out.push(0xc2),
        Value::Bool(true) => out.push(0xc3),
        Value::Int(number) => signed(*number, out),
        Value::UInt(number) => unsigned(*number, out),
        Value::F64(number) => {
            out.push(0xcb);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Str(text) => {
            str_head(text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Bin(bytes) => {
            sized(&[0xc4, 0xc5, 0xc6], bytes.len(), out);
            out.extend_from_slice(bytes);
        }
        Value::Array(items) => {
            counted(0x90, [0xdc, 0xdd], items.len(), out);
            items.iter().for_each(|item| encode(item, out));
        }
        Value::Map(pairs) => {
            counted(0x80, [0xde, 0xdf], pairs.len(), out);
            for (key, value) in pairs {
                encode(key, out);
                encode(value, out);
            }
        }
        Value::Ext(kind, bytes) => {
            match bytes.len() {
                1 => out.push(0xd4),
                2 => out.push(0xd5),
                4 => out.push(0xd6),
                8 => out.push(0xd7),
                16 => out.push(0xd8),
                other => sized(&[0xc7, 0xc8, 0xc9], other, out),
            }
            out.extend_from_slice(&kind.to_be_bytes());
            out.extend_from_slice(bytes);
        }
    }
}

fn unsigned(number: u64, out: &mut Vec<u8>) {
    if let Ok(small) = u8::try_from(number) {
        if small >= 0x80 {
            out.push(0xcc);
        }
        out.push(small);
    } else if let Ok(small) = u16::try_from(number) {
        out.push(0xcd);
        out.extend_from_slice(&small.to_be_bytes());
    } else if let Ok(small) = u32::try_from(number) {
        out.push(0xce);
        out.extend_from_slice(&small.to_be_bytes());
    } else {
        out.push(0xcf);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn signed(number: i64, out: &mut Vec<u8>) {
    if let Ok(number) = u64::try_from(number) {
        unsigned(number, out);
    } else if let Ok(small) = i8::try_from(number) {
        if small < -32 {
            out.push(0xd0);
        }
        out.extend_from_slice(&small.to_be_bytes());
    } else if let Ok(small) = i16::try_from(number) {
        out.push(0xd1);
        out.extend_from_slice(&small.to_be_bytes());
    } else if let Ok(small) = i32::try_from(number) {
        out.push(0xd2);
        out.extend_from_slice(&small.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn str_head(len: usize, out: &mut Vec<u8>) {
    match u8::try_from(len) {
        Ok(small) if small < 32 => out.push(0xa0 | small),
        _ => sized(&[0xd9, 0xda, 0xdb], len, out),
    }
}

/// A tag by the width of the length (8, 16, 32 bits), then the length.
fn sized(tags: &[u8; 3], len: usize, out: &mut Vec<u8>) {
    let [tag8, tag16, tag32] = *tags;
    if let Ok(small) = u8::try_from(len) {
        out.extend_from_slice(&[tag8, small]);
    } else if let Ok(small) = u16::try_from(len) {
        out.push(tag16);
        out.extend_from_slice(&small.to_be_bytes());
    } else {
        out.push(tag32);
        out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    }
}

/// A count in the low four bits of `fix`, else behind one of two tags (16, 32 bits).
fn counted(fix: u8, [tag16, tag32]: [u8; 2], len: usize, out: &mut Vec<u8>) {
    match u8::try_from(len) {
        Ok(small) if small < 16 => out.push(fix | small),
        _ => {
            if let Ok(small) = u16::try_from(len) {
                out.push(tag16);
                out.extend_from_slice(&small.to_be_bytes());
            } else {
                out.push(tag32);
                out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
            }
        }
    }
}
