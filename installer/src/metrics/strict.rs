//! A strict reader of OpenMetrics text, for tests: whatever the specification forbids is refused
//! (OpenMetrics 1.0, sections "Text format" and "Metric types").

use std::collections::{BTreeMap, BTreeSet};

/// A sample's labels in order, and its value.
pub(super) type Series = (BTreeMap<String, String>, f64);

/// Samples by name.
pub(super) type Exposition = BTreeMap<String, Vec<Series>>;

#[derive(Default)]
struct Described {
    kind: Option<String>,
    unit: Option<String>,
    help: Option<String>,
    samples: usize,
}

/// Reads a text, or says what is wrong with it.
pub(super) fn read(text: &str) -> Result<Exposition, String> {
    if text.contains('\r') {
        return Err("a carriage return".into());
    }
    let body = text.strip_suffix("# EOF\n").ok_or("it does not end with # EOF and one line feed")?;
    let mut done: BTreeSet<String> = BTreeSet::new();
    let mut name = String::new();
    let mut family = Described::default();
    let mut found = Exposition::new();
    let mut series: BTreeSet<(String, BTreeMap<String, String>)> = BTreeSet::new();
    for line in body.split_terminator('\n') {
        let wrong = |why: &str| Err(format!("{why}: {line}"));
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (Some(keyword), Some(of), Some(rest)) = (words.next(), words.next(), words.next()) else {
                return wrong("a descriptor has three parts");
            };
            if !is_name(of) {
                return wrong("no metric name");
            }
            if of != name {
                finish(&name, &family)?;
                if !name.is_empty() {
                    done.insert(name.clone());
                }
                if done.contains(of) {
                    return wrong("the families are interleaved");
                }
                name = of.to_owned();
                family = Described::default();
            }
            if family.samples > 0 {
                return wrong("a descriptor after samples");
            }
            let slot = match keyword {
                "TYPE" if ["counter", "gauge"].contains(&rest) => &mut family.kind,
                "UNIT" if !rest.is_empty() && rest.chars().all(|c| c.is_ascii_lowercase()) => {
                    &mut family.unit
                }
                "HELP" if !escaped(rest)?.is_empty() => &mut family.help,
                _ => return wrong("no descriptor, or of no known kind"),
            };
            if slot.replace(rest.to_owned()).is_some() {
                return wrong("a descriptor twice");
            }
            continue;
        }
        let end = line.find(['{', ' ']).ok_or("a line that is neither descriptor nor sample")?;
        let (of, rest) = line.split_at(end);
        let expected = match family.kind.as_deref() {
            Some("counter") => format!("{name}_total"),
            Some(_) => name.clone(),
            None => return wrong("a sample without a TYPE"),
        };
        if of != expected {
            return wrong("the sample's name is not its family's");
        }
        let (labels, rest) = labels(rest)?;
        let number = rest.strip_prefix(' ').ok_or("no space before the value")?;
        if number.contains(' ') {
            return wrong("more than a value");
        }
        let value: f64 = number.parse().map_err(|_| format!("no number: {line}"))?;
        if family.kind.as_deref() == Some("counter") && !(value.is_finite() && value >= 0.0) {
            return wrong("a counter below zero, or of no number");
        }
        if !series.insert((of.to_owned(), labels.clone())) {
            return wrong("the same series twice");
        }
        family.samples += 1;
        found.entry(of.to_owned()).or_default().push((labels, value));
    }
    finish(&name, &family)?;
    Ok(found)
}

fn finish(name: &str, family: &Described) -> Result<(), String> {
    if name.is_empty() {
        return Ok(());
    }
    if let Some(unit) = &family.unit
        && !name.ends_with(&format!("_{unit}"))
    {
        return Err(format!("{name} does not end with its unit {unit}"));
    }
    // What people must not have to guess is demanded here, though the format does not.
    let timely = name.ends_with("_seconds");
    if family.help.is_none() || family.samples == 0 || timely != family.unit.is_some() {
        return Err(format!("{name} lacks help, samples or its unit"));
    }
    let reserved = ["_total", "_created", "_count", "_sum", "_bucket", "_info"];
    match reserved.iter().find(|suffix| name.ends_with(*suffix)) {
        Some(suffix) => Err(format!("{name} ends with the reserved {suffix}")),
        None => Ok(()),
    }
}

fn is_name(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    text.chars().next().is_some_and(first) && text.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// A text in which quotes, backslashes and line feeds are escaped and nothing else is.
fn escaped(text: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '"' => return Err(format!("a bare quote: {text}")),
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some(it @ ('"' | '\\')) => it,
                other => return Err(format!("the escape {other:?}: {text}")),
            },
            other => other,
        });
    }
    Ok(plain)
}

fn labels(text: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut labels = BTreeMap::new();
    let Some(mut rest) = text.strip_prefix('{') else { return Ok((labels, text)) };
    loop {
        let (name, after) =
            rest.split_once("=\"").ok_or_else(|| format!("a label without a value: {text}"))?;
        if !is_name(name) || name.contains(':') || name.starts_with("__") {
            return Err(format!("no label name: {name}"));
        }
        let mut backslash = false;
        let end = after.char_indices().find(|(_, character)| {
            let closes = *character == '"' && !backslash;
            backslash = *character == '\\' && !backslash;
            closes
        });
        let (end, _) = end.ok_or_else(|| format!("a label that is not closed: {text}"))?;
        if labels.insert(name.to_owned(), escaped(&after[..end])?).is_some() {
            return Err(format!("a label twice: {text}"));
        }
        rest = &after[end + 1..];
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        rest = rest.strip_prefix(',').ok_or_else(|| format!("neither a comma nor an end: {text}"))?;
    }
}

#[test]
fn what_the_format_forbids_is_refused() {
    let good = "# TYPE a counter\n# HELP a It counts.\na_total{b=\"c\"} 1\n# EOF\n";
    assert!(read(good).is_ok(), "{:?}", read(good));
    for (from, to) in [
        ("# EOF\n", ""),
        ("# EOF\n", "# EOF"),
        ("# EOF\n", "# EOF\n\n"),
        ("a_total", "a"),
        ("counter", "meter"),
        ("# HELP a It counts.\n", ""),
        ("# HELP a It counts.\n", "# HELP a It \"counts\".\n"),
        ("} 1\n", "} 1\na_total{b=\"c\"} 2\n"),
        ("} 1\n", "} -1\n"),
        ("} 1\n", "} one\n"),
        ("b=\"c\"", "b=c"),
        ("b=\"c\"", "b=\"c\",b=\"d\""),
        ("b=\"c\"", "b=\"\\x\""),
        ("# TYPE a counter\n", "# TYPE a counter\n# TYPE a counter\n"),
        ("# TYPE a counter\n", "# TYPE a counter\n# UNIT a seconds\n"),
        ("# EOF", "# TYPE d gauge\n# HELP d D.\nd 1\n# HELP a Again.\n# EOF"),
    ] {
        assert_ne!(good, good.replace(from, to));
        assert!(read(&good.replace(from, to)).is_err(), "{from:?} as {to:?}");
    }
}
