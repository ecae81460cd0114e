//! The AWS command line, as the phases use it.
//!
//! Reads are retried by the run's policy. Writes are made once each: whoever writes reads back what is
//! there, whatever the answer was, because an answer can be lost.

mod error;

use serde_json::Value;

pub use error::AwsError;

use crate::context::Run;

/// aws for one region.
pub struct Aws<'a> {
    run: &'a Run<'a>,
    region: Option<String>,
}

/// Who the credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account, twelve digits.
    pub account: String,
    /// The user or role.
    pub arn: String,
}

impl Caller {
    /// The partition, such as `aws` or `aws-cn`, that ARNs of this account begin with.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).filter(|part| !part.is_empty()).unwrap_or("aws")
    }
}

impl<'a> Aws<'a> {
    /// aws in a region; without one, only what is asked anywhere can be asked.
    #[must_use]
    pub fn new(run: &'a Run<'a>, region: Option<&str>) -> Self {
        Self { run, region: region.map(str::to_owned) }
    }

    fn args(&self, args: &[&str]) -> Vec<String> {
        let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        if let Some(region) = &self.region {
            args.extend(["--region".to_owned(), region.clone()]);
        }
        args.extend(["--output".to_owned(), "json".to_owned(), "--no-cli-pager".to_owned()]);
        args
    }

    /// One call, and its answer; `null` for an operation that answers nothing.
    async fn once(&self, args: &[&str], changes: bool) -> Result<Value, AwsError> {
        let what = args.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        let timeout = self.run.settings.limits.api_timeout * 2;
        let args = self.args(args);
        let answer = match changes {
            true => self.run.changing_tool("aws", args, None, timeout).await,
            false => self.run.tool("aws", args, None, timeout).await,
        };
        let output = answer.map_err(AwsError::Tool)?;
        if !output.success() {
            return Err(AwsError::of(&what, &output));
        }
        if output.stdout.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&output.stdout)
            .map_err(|error| AwsError::Garbage { what, detail: error.to_string() })
    }

    /// A call that changes nothing.
    ///
    /// # Errors
    /// When AWS could not be asked, or says no.
    pub async fn read(&self, args: &[&str]) -> Result<Value, AwsError> {
        let operation = format!("aws {}", args.iter().take(2).copied().collect::<Vec<_>>().join(" "));
        self.run.retrying(&operation, || self.once(args, false)).await
    }

    /// The same, where a thing that is not there is an answer.
    ///
    /// # Errors
    /// When AWS could not be asked, or says no for another reason.
    pub async fn find(&self, args: &[&str]) -> Result<Option<Value>, AwsError> {
        match self.read(args).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A call that changes something, made once.
    ///
    /// # Errors
    /// When it failed, or when it is not known what came of it.
    pub async fn write(&self, args: &[&str]) -> Result<Value, AwsError> {
        self.once(args, true).await
    }

    /// Who the credentials are.
    ///
    /// # Errors
    /// When AWS could not be asked, or knows no such credentials.
    pub async fn caller(&self) -> Result<Caller, AwsError> {
        let answer = self.read(&["sts", "get-caller-identity"]).await?;
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        let (Some(account), Some(arn)) = (text("Account"), text("Arn")) else {
            return Err(AwsError::garbage("sts get-caller-identity", "it lacks Account or Arn"));
        };
        Ok(Caller { account, arn })
    }

    /// A call of a person's own that does the same.
    #[must_use]
    pub fn typed(&self, args: &[&str]) -> String {
        let region = self.region.iter().flat_map(|region| ["--region", region]);
        let args: Vec<String> = args.iter().copied().chain(region).map(str::to_owned).collect();
        crate::result::typed("aws", &args)
    }

    /// A command for a person to type.
    #[must_use]
    pub fn command(&self, what: &str) -> String {
        let region = self.region.as_ref().map_or_else(String::new, |region| format!(" --region {region}"));
        format!("aws {what}{region}")
    }
}
