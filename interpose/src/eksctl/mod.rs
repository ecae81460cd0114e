//! A stand-in for eksctl: clusters, node groups, kubeconfigs, in its words.
//!
//! Logs go to standard output, as eksctl's do, except where the output is a document; errors go to
//! standard error with exit code 1.

mod commands;
mod create;

use serde_json::Value;

use crate::cloud::Cloud;
use crate::cloud::flags::{Flag, Given};
use crate::{Invocation, Output};

/// Version that the stand-in speaks like.
const VERSION: &str = "0.215.0";

/// What it calls itself.
const AGENT: &str = concat!("eksctl/0.215.0 (interpose ", env!("CARGO_PKG_VERSION"), ")");

/// Exit code for what eksctl could do and the stand-in cannot.
const NOT_HERE: i32 = 125;

const COMMON: &[Flag] = &[
    ("region", Some('r'), true),
    ("profile", Some('p'), true),
    ("verbose", Some('v'), true),
    ("color", Some('C'), true),
    ("timeout", None, true),
    ("help", Some('h'), false),
];

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// In eksctl's words.
    Said(String),
    /// eksctl could, the stand-in cannot.
    NotHere(String),
}

/// One run.
struct Session<'a> {
    invocation: &'a Invocation,
    cloud: &'a Cloud,
    given: Given,
    out: String,
    err: String,
    /// Whether logs go to standard error, since standard output holds a document.
    document: bool,
}

/// Runs eksctl with these arguments.
pub async fn run(invocation: &Invocation, cloud: &Cloud) -> Output {
    let mut session = Session {
        invocation,
        cloud,
        given: Given::default(),
        out: String::new(),
        err: String::new(),
        document: false,
    };
    let (code, last) = match commands::run(&mut session).await {
        Ok(()) => (0, String::new()),
        Err(Failure::Said(words)) => (1, format!("Error: {words}\n")),
        Err(Failure::NotHere(what)) => (
            NOT_HERE,
            format!(
                "Error: the stand-in for eksctl does not do {what}; name a real eksctl in the plan's tools.eksctl.real\n"
            ),
        ),
    };
    Output { code, stdout: session.out, stderr: session.err + &last }
}

impl Session<'_> {
    /// Reads the flags of a subcommand, strictly.
    fn read(&mut self, args: &[String], own: &[Flag]) -> Result<(), Failure> {
        self.given = Given::read(args, &[COMMON, own]);
        if let Some(unknown) = self.given.unknown.first() {
            let words = match unknown.strip_prefix("--") {
                Some(long) => format!("unknown flag: --{}", long.split('=').next().unwrap_or(long)),
                None => format!(
                    "unknown shorthand flag: '{}' in {unknown}",
                    unknown.chars().nth(1).unwrap_or(' ')
                ),
            };
            return Err(Failure::Said(words));
        }
        if let Some(name) = self.given.lacking.first() {
            return Err(Failure::Said(format!("flag needs an argument: --{name}")));
        }
        if self.given.is("help", false) {
            return Err(Failure::NotHere("--help".into()));
        }
        Ok(())
    }

    /// A line of the log: its time, a sign, the words.
    fn log(&mut self, sign: char, words: &str) {
        let time = self.cloud.now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        let line = format!("{time} [{sign}]  {words}\n");
        if self.document { self.err += &line } else { self.out += &line }
    }

    fn env(&self, name: &str) -> Option<String> {
        self.invocation.env.get(name).filter(|it| !it.is_empty()).cloned()
    }

    fn region(&self) -> Result<String, Failure> {
        self.given
            .one("region")
            .map(str::to_owned)
            .or_else(|| self.env("AWS_REGION"))
            .or_else(|| self.env("AWS_DEFAULT_REGION"))
            .ok_or_else(|| {
                Failure::Said(
                    "AWS Region must be set, please set the AWS Region in AWS config file or as environment variable".into(),
                )
            })
    }

    /// The cluster's name: a flag or the one word, and not both.
    fn name(&self, flag: &str) -> Result<Option<String>, Failure> {
        match (self.given.one(flag), self.given.words.as_slice()) {
            (Some(name), []) => Ok(Some(name.to_owned())),
            (None, [word]) => Ok(Some(word.clone())),
            (None, []) => Ok(None),
            (Some(flagged), [word, ..]) => Err(Failure::Said(format!(
                "--{flag}={flagged} and argument {word} cannot be used at the same time"
            ))),
            (None, _) => Err(Failure::Said("only one argument is allowed to be used as a name".into())),
        }
    }

    /// JSON as eksctl prints it: indented by four.
    fn print(&mut self, value: &Value) {
        let mut text = Vec::new();
        let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut to = serde_json::Serializer::with_formatter(&mut text, format);
        if serde::Serialize::serialize(value, &mut to).is_ok() {
            self.out += &String::from_utf8_lossy(&text);
            self.out.push('\n');
        }
    }
}
