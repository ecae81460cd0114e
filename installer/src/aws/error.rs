//! What AWS says when it says no.

use std::time::Duration;

use crate::helm::said_last;
use crate::result::{Blocker, Code};
use crate::retry::{Retryable, Target};
use crate::seams::{ToolError, ToolOutput};

/// Why AWS gave no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AwsError {
    /// aws did not run to its end.
    #[error("{0}")]
    Tool(ToolError),
    /// The service answered with an error.
    #[error("aws {what} failed: {code}: {message}")]
    Service {
        /// Service and operation.
        what: String,
        /// The service's code, such as `NoSuchEntity`; a number for answers without a body.
        code: String,
        /// The service's words.
        message: String,
    },
    /// aws itself failed: no credentials, no way to the service, a command line that it does not know.
    #[error("aws {what} failed: {words}")]
    Client {
        /// Service and operation.
        what: String,
        /// Its last lines.
        words: String,
    },
    /// aws answered something that cannot be understood.
    #[error("aws {what} answered something that cannot be read: {detail}")]
    Garbage {
        /// Service and operation.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// Codes of credentials that are not good, or not good enough.
const DENIED: &[&str] = &[
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
];

/// Codes of things that are not there.
const MISSING: &[&str] =
    &["404", "NoSuchBucket", "NoSuchEntity", "NotFoundException", "ResourceNotFoundException"];

/// Codes that pass: the service is busy, or two changes met.
const PASSING: &[&str] = &[
    "500",
    "502",
    "503",
    "504",
    "ConcurrentModification",
    "InternalError",
    "InternalFailure",
    "OperationAborted",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServerException",
    "ServiceFailure",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Words of ours about a client that somebody killed.
const KILLED: &str = "ended by signal";

/// Words of ours about a call that was not made.
const WITHHELD: &str = "it has asked for no more calls";

/// Words of a client that lost its way to the service.
const LOST: &[&str] = &[
    "could not connect to the endpoint",
    "connection was closed",
    "connection reset",
    "connect timeout",
    "read timeout",
    "failed to establish a new connection",
    "max retries exceeded",
    KILLED,
    WITHHELD,
];

/// Words of a client that has no credentials.
const NO_CREDENTIALS: &[&str] = &[
    "unable to locate credentials",
    "error loading sso token",
    "token has expired",
    "partial credentials found",
    "the config profile",
];

impl AwsError {
    pub(crate) fn garbage(what: &str, detail: &str) -> Self {
        Self::Garbage { what: what.to_owned(), detail: detail.to_owned() }
    }

    /// Reads what aws said: `An error occurred (Code) when calling the X operation: words`, or its own words.
    pub(super) fn of(what: &str, output: &ToolOutput) -> Self {
        let what = what.to_owned();
        let said = output
            .stderr
            .split_once("An error occurred (")
            .and_then(|(_, rest)| rest.split_once(')'))
            .and_then(|(code, rest)| Some((code, rest.split_once("operation")?.1)));
        match said {
            Some((code, rest)) => {
                // `operation (reached max retries: 2): words` when the client has retried by itself.
                let message = rest.split_once(": ").map_or(rest, |(_, words)| {
                    if rest.starts_with(" (") {
                        words.split_once("): ").map_or(words, |(_, words)| words)
                    } else {
                        words
                    }
                });
                let code = code.to_owned();
                Self::Service { what, code, message: message.trim().to_owned() }
            }
            None => match output.signal {
                Some(signal) => Self::Client { what, words: format!("{KILLED} {signal}") },
                None => Self::Client { what, words: said_last(output) },
            },
        }
    }

    /// The service's code, if it was the service that answered.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Service { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether the service said in so many words that there is no such thing.
    #[must_use]
    pub fn missing(&self) -> bool {
        match self {
            // CloudFormation has one code for all that is wrong with a request.
            Self::Service { code, message, .. } if code == "ValidationError" => {
                message.contains("does not exist")
            }
            _ => self.code().is_some_and(|code| MISSING.contains(&code)),
        }
    }

    /// Whether the credentials are not good, or not good enough.
    #[must_use]
    pub fn denied(&self) -> bool {
        match self {
            Self::Service { code, .. } => DENIED.contains(&code.as_str()),
            Self::Client { words, .. } => has(words, NO_CREDENTIALS),
            _ => false,
        }
    }

    /// The blocker that it makes: something is not known, or may not be asked.
    #[must_use]
    pub fn blocker(&self) -> Blocker {
        match self {
            Self::Tool(ToolError::Stopped { reason, .. }) => Blocker::stopped(*reason),
            _ if self.denied() => Blocker::new(
                Code::AwsUnauthorized,
                self.to_string(),
                "use credentials that may make this call; nothing was taken for granted",
            )
            .commands(["aws sts get-caller-identity"]),
            _ => Blocker::new(
                Code::AwsStateUnknown,
                self.to_string(),
                "what AWS has is not known, which is not the same as nothing: see that the command below \
                 answers, then run again",
            )
            .commands(["aws sts get-caller-identity"]),
        }
    }
}

fn has(words: &str, signs: &[&str]) -> bool {
    let words = words.to_lowercase();
    signs.iter().any(|sign| words.contains(sign))
}

impl Retryable for AwsError {
    const TARGET: Target = Target::Aws;

    fn withheld(operation: &str, wait: Duration) -> Self {
        let what = operation.trim_start_matches("aws ").to_owned();
        Self::Client { what, words: format!("{WITHHELD} for another {wait:.0?}") }
    }

    fn transient(&self) -> Option<Option<Duration>> {
        let passing = match self {
            Self::Tool(ToolError::TimedOut { .. }) => true,
            Self::Service { code, .. } => PASSING.contains(&code.as_str()),
            Self::Client { words, .. } => has(words, LOST),
            _ => false,
        };
        passing.then_some(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(stderr: &str) -> AwsError {
        let output = ToolOutput { code: Some(254), stderr: stderr.into(), ..ToolOutput::default() };
        AwsError::of("iam get-role", &output)
    }

    #[test]
    fn the_services_code_and_words_are_read() {
        let read = error(
            "\nAn error occurred (NoSuchEntity) when calling the GetRole operation: The role with name x cannot be found.\n",
        );
        assert_eq!(read.code(), Some("NoSuchEntity"));
        assert!(read.missing() && !read.denied() && read.transient().is_none());
        assert_eq!(
            read.to_string(),
            "aws iam get-role failed: NoSuchEntity: The role with name x cannot be found."
        );
        let read = error(
            "\nAn error occurred (Throttling) when calling the GetRole operation (reached max retries: 2): Rate exceeded\n",
        );
        assert!(read.transient().is_some());
        assert!(read.to_string().ends_with("Throttling: Rate exceeded"), "{read}");
        let read = error("\nAn error occurred (404) when calling the HeadBucket operation: Not Found\n");
        assert!(read.missing());
    }

    #[test]
    fn what_the_client_says_for_itself_is_told_apart() {
        assert!(
            error(
                "Unable to locate credentials. You can configure credentials by running \"aws configure\"."
            )
            .denied()
        );
        let lost = error("Could not connect to the endpoint URL: \"https://iam.amazonaws.com/\"");
        assert!(lost.transient().is_some() && !lost.denied());
        let odd = error("aws: error: argument operation: Invalid choice");
        assert!(odd.transient().is_none() && !odd.denied() && !odd.missing());
    }

    #[test]
    fn a_stack_that_is_not_there_is_told_from_a_request_that_is_wrong() {
        let stack = |words: &str| {
            error(&format!(
                "\nAn error occurred (ValidationError) when calling the DescribeStacks operation: {words}\n"
            ))
        };
        assert!(stack("Stack with id eksctl-x-cluster does not exist").missing());
        assert!(!stack("1 validation error detected").missing());
    }
}
