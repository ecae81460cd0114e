//! Values as JSON, byte for byte as `serde_json` writes them.
//!
//! Every list, watch and stored byte goes through this, and in a debug build `serde_json`'s own writer is
//! compiled by whichever crate asks for it first, without any optimisation: it takes four times as long. Compiled here,
//! for a type of ours to write into, a list still takes twice as long (`cargo xtask bench throughput`).

use std::io::Write as _;

use serde_json::Value;

/// A value as JSON.
pub(crate) fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write(&mut out, value);
    out
}

/// Appends a value as JSON.
pub(crate) fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        // Writing into memory cannot fail.
        Value::Number(number) => drop(write!(out, "{number}")),
        Value::String(text) => string(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(out, item);
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            out.push(b'{');
            for (index, (name, field)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(out, name);
                out.push(b':');
                write(out, field);
            }
            out.push(b'}');
        }
    }
}

/// Appends a string as JSON.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < b' ' || *byte == b'"' || *byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        let short = match rest[at] {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => 0,
        };
        if short == 0 {
            drop(write!(out, "\\u{:04x}", rest[at]));
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_byte_is_as_serde_json_writes_it() {
        let every_character: String = (0..=0x2ff_u32).filter_map(char::from_u32).collect();
        for value in [
            json!(null),
            json!({"a": [true, false, null, {}, [], ""], "b\n\"\\": {"c": -1, "d": 1.5, "e": u64::MAX}}),
            json!([0.1, 1e300, -0.0, 1e-7, i64::MIN, 100_000_000.0]),
            json!({ every_character.clone(): every_character }),
            json!("… 🚢 \u{2028}"),
        ] {
            assert_eq!(String::from_utf8_lossy(&to_vec(&value)), value.to_string());
        }
    }
}
