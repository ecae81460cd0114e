//! Helm's command line: which flags each subcommand takes, and Helm's words for those that it does
//! not.
//!
//! Strict on purpose: a flag that the stand-in let pass unread would make an installer look right
//! that is not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Failure;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing, or `=true`/`=false`.
    Nothing,
    /// A value.
    Value,
    /// A value after `=`, or this one.
    Optional(&'static str),
}

use Takes::{Nothing, Optional, Value};

/// Long name, one-letter name, and what it takes.
pub(super) type Flag = (&'static str, Option<char>, Takes);

/// Flags of every subcommand that the stand-in honours.
const GLOBAL: &[Flag] = &[
    ("namespace", Some('n'), Value),
    ("kubeconfig", None, Value),
    ("kube-context", None, Value),
    ("debug", None, Nothing),
    ("qps", None, Value),
    ("burst-limit", None, Value),
    ("help", Some('h'), Nothing),
];

/// Flags that Helm has and the stand-in does not: it says so rather than ignore them.
const NOT_HERE: &[&str] = &[
    "kube-apiserver",
    "kube-as-group",
    "kube-as-user",
    "kube-ca-file",
    "kube-insecure-skip-tls-verify",
    "kube-tls-server-name",
    "kube-token",
    "registry-config",
    "repository-cache",
    "repository-config",
    "post-renderer",
    "post-renderer-args",
    "verify",
    "keyring",
    "repo",
    "username",
    "password",
    "ca-file",
    "cert-file",
    "key-file",
    "pass-credentials",
    "insecure-skip-tls-verify",
    "plain-http",
    "recreate-pods",
    "cleanup-on-fail",
    "labels",
    "set-file",
    "set-literal",
    "devel",
    "dependency-update",
    "generate-name",
    "name-template",
    "template",
    "show-resources",
    "time-format",
    "selector",
];

const VALUES: &[Flag] = &[
    ("set", None, Value),
    ("set-string", None, Value),
    ("set-json", None, Value),
    ("values", Some('f'), Value),
    ("version", None, Value),
    ("create-namespace", None, Nothing),
    ("wait", None, Nothing),
    // No chart here has a Job.
    ("wait-for-jobs", None, Nothing),
    ("timeout", None, Value),
    ("atomic", None, Nothing),
    ("dry-run", None, Optional("client")),
    ("no-hooks", None, Nothing),
    ("description", None, Value),
    ("skip-crds", None, Nothing),
    ("skip-schema-validation", None, Nothing),
    ("disable-openapi-validation", None, Nothing),
    ("render-subchart-notes", None, Nothing),
    ("hide-notes", None, Nothing),
    ("force", None, Nothing),
    ("take-ownership", None, Nothing),
    ("output", Some('o'), Value),
];

/// One subcommand.
#[derive(Debug)]
pub(super) struct Command {
    /// `status`, or `get values`.
    pub(super) name: &'static str,
    /// Groups of flags, besides the global ones.
    flags: &'static [&'static [Flag]],
    /// Least and most of positional arguments.
    positional: (usize, usize),
    /// Its usage line after `helm `.
    usage: &'static str,
}

const OUTPUT: Flag = ("output", Some('o'), Value);
const REVISION: Flag = ("revision", None, Value);

const COMMANDS: &[Command] = &[
    Command {
        name: "status",
        flags: &[&[OUTPUT, REVISION, ("show-desc", None, Nothing)]],
        positional: (1, 1),
        usage: "status RELEASE_NAME [flags]",
    },
    Command {
        name: "list",
        flags: &[&[
            OUTPUT,
            ("all", Some('a'), Nothing),
            ("all-namespaces", Some('A'), Nothing),
            ("deployed", None, Nothing),
            ("failed", None, Nothing),
            ("pending", None, Nothing),
            ("superseded", None, Nothing),
            ("uninstalled", None, Nothing),
            ("uninstalling", None, Nothing),
            ("filter", Some('f'), Value),
            ("short", Some('q'), Nothing),
            ("no-headers", None, Nothing),
            ("date", Some('d'), Nothing),
            ("reverse", Some('r'), Nothing),
            ("max", Some('m'), Value),
            ("offset", None, Value),
        ]],
        positional: (0, 0),
        usage: "list [flags]",
    },
    Command {
        name: "history",
        flags: &[&[OUTPUT, ("max", None, Value)]],
        positional: (1, 1),
        usage: "history RELEASE_NAME [flags]",
    },
    Command {
        name: "get values",
        flags: &[&[OUTPUT, REVISION, ("all", Some('a'), Nothing)]],
        positional: (1, 1),
        usage: "get values RELEASE_NAME [flags]",
    },
    Command {
        name: "get manifest",
        flags: &[&[REVISION]],
        positional: (1, 1),
        usage: "get manifest RELEASE_NAME [flags]",
    },
    Command {
        name: "install",
        flags: &[VALUES, &[("replace", None, Nothing)]],
        positional: (2, 2),
        usage: "install [NAME] [CHART] [flags]",
    },
    Command {
        name: "upgrade",
        flags: &[
            VALUES,
            &[
                ("install", Some('i'), Nothing),
                ("reuse-values", None, Nothing),
                ("reset-values", None, Nothing),
                ("reset-then-reuse-values", None, Nothing),
                ("history-max", None, Value),
            ],
        ],
        positional: (2, 2),
        usage: "upgrade [RELEASE] [CHART] [flags]",
    },
    Command {
        name: "rollback",
        flags: &[&[
            ("wait", None, Nothing),
            ("timeout", None, Value),
            ("dry-run", None, Nothing),
            ("no-hooks", None, Nothing),
            ("force", None, Nothing),
            ("history-max", None, Value),
        ]],
        positional: (1, 2),
        usage: "rollback <RELEASE> [REVISION] [flags]",
    },
    Command {
        name: "uninstall",
        flags: &[&[
            ("wait", None, Nothing),
            ("timeout", None, Value),
            ("dry-run", None, Nothing),
            ("no-hooks", None, Nothing),
            ("keep-history", None, Nothing),
            ("ignore-not-found", None, Nothing),
            ("description", None, Value),
            ("cascade", None, Value),
        ]],
        positional: (1, usize::MAX),
        usage: "uninstall RELEASE_NAME [...] [flags]",
    },
    Command {
        name: "registry logout",
        flags: &[],
        positional: (1, 1),
        usage: "registry logout [host] [flags]",
    },
    Command {
        name: "registry login",
        flags: &[&[
            ("username", Some('u'), Value),
            ("password", Some('p'), Value),
            ("password-stdin", None, Nothing),
        ]],
        positional: (1, 1),
        usage: "registry login [host] [flags]",
    },
    Command {
        name: "show chart",
        flags: &[&[("version", None, Value)]],
        positional: (1, 1),
        usage: "show chart [CHART] [flags]",
    },
    Command {
        name: "version",
        flags: &[&[("short", None, Nothing)]],
        positional: (0, 0),
        usage: "version [flags]",
    },
];

const ALIASES: &[(&str, &str)] = &[
    ("ls", "list"),
    ("hist", "history"),
    ("del", "uninstall"),
    ("delete", "uninstall"),
    ("un", "uninstall"),
];

/// A command line that Helm understands.
#[derive(Debug)]
pub(super) struct Line {
    /// The subcommand.
    pub(super) command: &'static Command,
    /// Positional arguments.
    pub(super) positional: Vec<String>,
    given: BTreeMap<&'static str, Vec<String>>,
}

impl Line {
    /// Reads the arguments.
    pub(super) fn parse(args: &[String]) -> Result<Self, Failure> {
        let (command, rest) = find(args)?;
        let mut line = Self { command, positional: Vec::new(), given: BTreeMap::new() };
        let mut rest = rest.into_iter();
        while let Some(argument) = rest.next() {
            if argument == "--" {
                line.positional.extend(rest.by_ref());
            } else if let Some(long) = argument.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                let flag = line.flag(|flag| flag.0 == name).ok_or_else(|| unknown(name))?;
                let needs = || Failure::said(format!("flag needs an argument: --{name}"));
                let value = match (value, flag.2) {
                    (Some(value), Nothing) if value != "true" && value != "false" => {
                        return Err(Failure::said(format!(
                            "invalid argument \"{value}\" for \"--{name}\" flag: strconv.ParseBool: parsing \"{value}\": invalid syntax"
                        )));
                    }
                    (Some(value), _) => value,
                    (None, Nothing) => "true".into(),
                    (None, Optional(value)) => value.into(),
                    (None, Value) => rest.next().ok_or_else(needs)?,
                };
                line.given.entry(flag.0).or_default().push(value);
            } else if argument.len() > 1 && argument.starts_with('-') {
                line.shorts(&argument, &mut rest)?;
            } else {
                line.positional.push(argument);
            }
        }
        line.counted()?;
        Ok(line)
    }

    fn shorts(&mut self, argument: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), Failure> {
        for (at, letter) in argument[1..].char_indices() {
            let flag = self
                .flag(|flag| flag.1 == Some(letter))
                .ok_or_else(|| Failure::said(format!("unknown shorthand flag: '{letter}' in {argument}")))?;
            if flag.2 == Nothing {
                self.given.entry(flag.0).or_default().push("true".into());
                continue;
            }
            let tail = &argument[1 + at + letter.len_utf8()..];
            let value = match tail.strip_prefix('=').unwrap_or(tail) {
                "" => rest.next().ok_or_else(|| {
                    Failure::said(format!("flag needs an argument: '{letter}' in {argument}"))
                })?,
                tail => tail.to_owned(),
            };
            self.given.entry(flag.0).or_default().push(value);
            return Ok(());
        }
        Ok(())
    }

    fn flag(&self, is: impl Fn(&Flag) -> bool) -> Option<Flag> {
        GLOBAL.iter().chain(self.command.flags.iter().copied().flatten()).find(|flag| is(flag)).copied()
    }

    fn counted(&self) -> Result<(), Failure> {
        let (least, most) = self.command.positional;
        let count = self.positional.len();
        if (least..=most).contains(&count) || self.is("help") {
            return Ok(());
        }
        if self.command.name == "install" && count == 1 {
            return Err(Failure::said(
                "INSTALLATION FAILED: must either provide a name or specify --generate-name",
            ));
        }
        let needs = match (least, most) {
            (0, 0) => "accepts no arguments".to_owned(),
            (least, most) if least == most => {
                format!("requires {least} argument{}", if least == 1 { "" } else { "s" })
            }
            (least, _) => format!("requires at least {least} argument{}", if least == 1 { "" } else { "s" }),
        };
        Err(Failure::said(format!(
            "\"helm {}\" {needs}\n\nUsage:  helm {}",
            self.command.name, self.command.usage
        )))
    }

    /// Whether a flag is on.
    pub(super) fn is(&self, name: &str) -> bool {
        self.one(name).is_some_and(|value| value == "true")
    }

    /// The last value of a flag.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.given.get(name)?.last().map(String::as_str)
    }

    /// All values of a flag, in order.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.given.get(name).map_or(&[], Vec::as_slice)
    }

    /// A positional argument; empty when absent, which [`Self::parse`] has ruled out for needed ones.
    pub(super) fn word(&self, index: usize) -> &str {
        self.positional.get(index).map_or("", String::as_str)
    }

    /// A number; `default` when the flag is not given.
    pub(super) fn number(&self, name: &str, default: i64) -> Result<i64, Failure> {
        let Some(text) = self.one(name) else { return Ok(default) };
        text.parse().map_err(|_| {
            Failure::said(format!(
                "invalid argument \"{text}\" for \"--{name}\" flag: strconv.ParseInt: parsing \"{text}\": invalid syntax"
            ))
        })
    }

    /// `--timeout`, five minutes by default.
    pub(super) fn timeout(&self) -> Result<Duration, Failure> {
        let Some(text) = self.one("timeout") else { return Ok(Duration::from_secs(300)) };
        duration(text).map_err(|why| {
            Failure::said(format!(
                "invalid argument \"{text}\" for \"--timeout\" flag: time: {why} \"{text}\""
            ))
        })
    }

    /// `--dry-run`, also in its forms with a value.
    pub(super) fn dry_run(&self) -> bool {
        self.one("dry-run").is_some_and(|value| !matches!(value, "none" | "false"))
    }

    /// `-o`.
    pub(super) fn format(&self) -> Result<Format, Failure> {
        match self.one("output") {
            None | Some("table") => Ok(Format::Table),
            Some("json") => Ok(Format::Json),
            Some("yaml") => Ok(Format::Yaml),
            Some(other) => Err(Failure::said(format!(
                "invalid argument \"{other}\" for \"-o, --output\" flag: invalid format type"
            ))),
        }
    }
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Table,
    Json,
    Yaml,
}

fn unknown(name: &str) -> Failure {
    if NOT_HERE.contains(&name) {
        return Failure::NotHere(format!("--{name}"));
    }
    Failure::said(format!("unknown flag: --{name}"))
}

/// The subcommand, and all other arguments. Flags may stand before it.
fn find(args: &[String]) -> Result<(&'static Command, Vec<String>), Failure> {
    let words = crate::mutates::words("helm", args);
    let Some(first) = words.first().copied() else { return Err(Failure::NotHere("help".into())) };
    let first = ALIASES.iter().find(|(alias, _)| *alias == first).map_or(first, |(_, name)| name);
    let second = words.get(1).copied().unwrap_or("");
    let command = COMMANDS
        .iter()
        .find(|command| command.name == first || command.name == format!("{first} {second}"))
        .ok_or_else(|| {
            if matches!(
                first,
                "get"
                    | "show"
                    | "template"
                    | "repo"
                    | "pull"
                    | "test"
                    | "env"
                    | "lint"
                    | "search"
                    | "dependency"
                    | "plugin"
                    | "help"
                    | "completion"
                    | "registry"
                    | "create"
                    | "package"
                    | "push"
                    | "verify"
            ) {
                return Failure::NotHere(format!("helm {first} {second}"));
            }
            Failure::said(format!("unknown command \"{first}\" for \"helm\"\nRun 'helm --help' for usage."))
        })?;
    let count = command.name.split(' ').count();
    let mut dropped = 0;
    let rest = args
        .iter()
        .filter(|argument| {
            let is_command = dropped < count && words.get(dropped) == Some(&argument.as_str());
            dropped += usize::from(is_command);
            !is_command
        })
        .cloned()
        .collect();
    Ok((command, rest))
}

/// Go's durations: `10m`, `1h30m`, `1.5s`, `300ms`, `0`.
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = 0.0;
    if rest.is_empty() {
        return Err("invalid duration");
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or("missing unit in duration")?;
        let number: f64 = rest[..end].parse().map_err(|_| "invalid duration")?;
        rest = &rest[end..];
        let (unit, scale) =
            [("ms", 0.001), ("us", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)]
                .into_iter()
                .find(|(unit, _)| rest.starts_with(unit))
                .ok_or("unknown unit in duration")?;
        rest = &rest[unit.len()..];
        total += number * scale;
    }
    Duration::try_from_secs_f64(total).map_err(|_| "invalid duration")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(line: &str) -> Result<Line, String> {
        let args: Vec<String> = line.split_whitespace().map(Into::into).collect();
        Line::parse(&args).map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_repair_of_the_contract_is_understood() {
        let line = parse("upgrade --install karpenter oci://x --version 1.8.3 --namespace kube-system --create-namespace --set a=b --set c=d --wait --timeout 10m").unwrap();
        assert_eq!((line.command.name, line.word(0), line.word(1)), ("upgrade", "karpenter", "oci://x"));
        assert!(line.is("install") && line.is("wait") && !line.is("atomic"));
        assert_eq!(line.all("set"), ["a=b", "c=d"]);
        assert_eq!(line.timeout().unwrap(), Duration::from_secs(600));
    }

    #[test]
    fn flags_may_stand_anywhere_and_in_every_form() {
        let line = parse("-n kube-system status karpenter -ojson --wait=false").unwrap_err();
        assert_eq!(line, "unknown flag: --wait");
        let line = parse("-nkube-system ls -Aq -o=json").unwrap();
        assert_eq!(
            (line.command.name, line.one("namespace"), line.one("output")),
            ("list", Some("kube-system"), Some("json"))
        );
        assert!(line.is("all-namespaces") && line.is("short"));
        assert_eq!(parse("get values x -n y").unwrap().command.name, "get values");
    }

    #[test]
    fn what_helm_refuses_is_refused_in_its_words() {
        for (line, words) in [
            ("frob", "unknown command \"frob\" for \"helm\"\nRun 'helm --help' for usage."),
            ("status", "\"helm status\" requires 1 argument\n\nUsage:  helm status RELEASE_NAME [flags]"),
            ("status x --frob", "unknown flag: --frob"),
            ("status x -z", "unknown shorthand flag: 'z' in -z"),
            ("upgrade a b --timeout", "flag needs an argument: --timeout"),
        ] {
            assert_eq!(parse(line).unwrap_err(), words);
        }
        let line = parse("upgrade a b --timeout 10").unwrap();
        assert_eq!(
            line.timeout().unwrap_err().to_string(),
            "invalid argument \"10\" for \"--timeout\" flag: time: missing unit in duration \"10\""
        );
    }

    #[test]
    fn what_only_the_stand_in_lacks_is_said_to_be_its_lack() {
        assert!(parse("upgrade a b --post-renderer x").unwrap_err().contains("stand-in"));
        assert!(parse("template a b").unwrap_err().contains("stand-in"));
    }
}
