//! Structured parameters: JSON, or the CLI's shorthand (`a=b,c=d`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::Failure;

/// The fields of a structure, such as `LocationConstraint=eu-central-1`.
pub(super) fn structure(flag: &str, text: &str) -> Result<BTreeMap<String, String>, Failure> {
    if text.trim_start().starts_with('{') {
        let fields: BTreeMap<String, Value> = serde_json::from_str(text)
            .map_err(|error| invalid(flag, &format!("Invalid JSON: {error}\nJSON received: {text}")))?;
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        return Ok(fields.into_iter().map(|(name, value)| (name, text(value))).collect());
    }
    text.split(',')
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                invalid(
                    flag,
                    &format!(
                        "Expected: '=', received: 'EOF' for input:\n{text}\n{:>1$}",
                        '^',
                        text.len() + 1
                    ),
                )
            })?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Tags as IAM takes them: `Key=a,Value=b`, or a JSON list of such.
pub(super) fn tag_list(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let mut tags = BTreeMap::new();
    let mut add = |mut fields: BTreeMap<String, String>| match (fields.remove("Key"), fields.remove("Value"))
    {
        (Some(key), Some(value)) if fields.is_empty() => {
            tags.insert(key, value);
            Ok(())
        }
        _ => Err(Failure(
            252,
            "\nParameter validation failed:\nMissing required parameter in Tags[0]: \"Key\"\n".to_owned(),
        )),
    };
    if text.trim_start().starts_with('[') {
        let list: Vec<Value> =
            serde_json::from_str(text).map_err(|error| invalid("tags", &format!("Invalid JSON: {error}")))?;
        for one in list {
            add(structure("tags", &one.to_string())?)?;
        }
    } else {
        add(structure("tags", text)?)?;
    }
    Ok(tags)
}

fn invalid(flag: &str, why: &str) -> Failure {
    Failure(252, format!("\nError parsing parameter '--{flag}': {why}\n"))
}
