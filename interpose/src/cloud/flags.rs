//! Command lines of eksctl and aws: long flags, a few short ones, words.

use std::collections::BTreeMap;

/// One flag: long name, one-letter name, whether it takes a value.
pub(crate) type Flag = (&'static str, Option<char>, bool);

/// What a command line says.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// Words that are no flags.
    pub(crate) words: Vec<String>,
    values: BTreeMap<&'static str, String>,
    /// Flags that the command does not have, as they were written, with the words after them.
    pub(crate) unknown: Vec<String>,
    /// Flags that lack their value.
    pub(crate) lacking: Vec<&'static str>,
}

impl Given {
    /// Reads arguments by these groups of flags. A flag without a value may be written `--flag=false`,
    /// as in Go.
    pub(crate) fn read(args: &[String], groups: &[&[Flag]]) -> Self {
        let find = |long: &str, short: Option<char>| {
            let all = groups.iter().flat_map(|group| group.iter());
            all.copied().find(|flag| flag.0 == long || (short.is_some() && flag.1 == short))
        };
        let mut given = Self::default();
        let mut args = args.iter();
        while let Some(argument) = args.next() {
            let (flag, joined) = if let Some(long) = argument.strip_prefix("--") {
                let (long, joined) =
                    long.split_once('=').map_or((long, None), |(l, v)| (l, Some(v.to_owned())));
                (find(long, None), joined)
            } else if argument.len() > 1 && argument.starts_with('-') {
                let mut letters = argument[1..].chars();
                let flag = find("", letters.next());
                let tail = letters.as_str().trim_start_matches('=');
                (flag, (!tail.is_empty()).then(|| tail.to_owned()))
            } else {
                given.words.push(argument.clone());
                continue;
            };
            let Some((name, _, takes)) = flag else {
                given.unknown.push(argument.clone());
                continue;
            };
            let value = match (joined, takes) {
                (Some(value), _) => Some(value),
                (None, false) => Some("true".to_owned()),
                (None, true) => args.next().cloned(),
            };
            match value {
                Some(value) => drop(given.values.insert(name, value)),
                None => given.lacking.push(name),
            }
        }
        given
    }

    /// Value of a flag.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Whether a flag is on; `default` when it is not given.
    pub(crate) fn is(&self, name: &str, default: bool) -> bool {
        self.one(name).map_or(default, |value| value == "true")
    }
}
