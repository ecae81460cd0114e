//! The tools: whether they are there, and new enough.

use super::Found;
use crate::helm::said_last;
use crate::result::{Blocker, Code};
use crate::seams::ToolError;

/// A tool, how it is asked for its version, and the oldest that will do.
struct Tool {
    name: &'static str,
    asked: &'static [&'static str],
    oldest: (u32, u32),
    why: &'static str,
    get: &'static str,
}

const TOOLS: [Tool; 3] = [
    Tool {
        name: "helm",
        asked: &["version", "--short"],
        oldest: (3, 8),
        why: "older ones do not pull charts from OCI registries",
        get: "https://helm.sh/docs/intro/install/",
    },
    Tool {
        name: "eksctl",
        asked: &["version"],
        oldest: (0, 150),
        why: "older ones do not know the Kubernetes versions that EKS offers",
        get: "https://eksctl.io/installation/",
    },
    Tool {
        name: "aws",
        asked: &["--version"],
        oldest: (2, 7),
        why: "older ones write kubeconfigs that no client reads any more",
        get: "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
    },
];

pub(super) async fn check(found: &mut Found<'_, '_>) {
    for tool in TOOLS {
        let args = tool.asked.iter().map(|&word| word.to_owned()).collect();
        let timeout = found.run.settings.limits.api_timeout;
        let missing = |message: String| {
            Blocker::new(Code::ToolMissing, message, format!("install {}: {}", tool.name, tool.get))
                .commands([format!("{} {}", tool.name, tool.asked.join(" "))])
        };
        match found.run.tool(tool.name, args, None, timeout).await {
            Err(error @ ToolError::NotFound { .. }) => found.failed(tool.name, missing(error.to_string())),
            Err(ToolError::Stopped { reason, .. }) => {
                found.undetermined(tool.name, Blocker::stopped(reason));
            }
            Err(error) => found.failed(tool.name, missing(error.to_string())),
            Ok(output) if !output.success() => {
                let words = said_last(&output);
                found.failed(tool.name, missing(format!("{} does not say its version: {words}", tool.name)));
            }
            Ok(output) => {
                let said = format!("{}{}", output.stdout, output.stderr);
                let line = said.lines().next().unwrap_or_default().trim().to_owned();
                match version(&said) {
                    None => found.unknown(tool.name, format!("its version cannot be read: {line}")),
                    Some(version) if version < tool.oldest => {
                        let (major, minor) = tool.oldest;
                        let words = format!(
                            "{} is {line}, and at least {major}.{minor} is needed: {}",
                            tool.name, tool.why
                        );
                        found.failed(tool.name, missing(words));
                    }
                    Some(_) => found.passed(tool.name, line),
                }
            }
        }
    }
}

/// The first `major.minor` in a text.
fn version(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let mut parts = word.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_each_tool_prints() {
        for (text, found) in [
            ("v3.22.0+g1b2c3d4\n", Some((3, 22))),
            ("v4.2.0", Some((4, 2))),
            ("0.215.0\n", Some((0, 215))),
            ("aws-cli/2.31.5 Python/3.13.7 Linux/6.1.0 exe/x86_64\n", Some((2, 31))),
            ("development build", None),
        ] {
            assert_eq!(version(text), found, "{text}");
        }
    }
}
