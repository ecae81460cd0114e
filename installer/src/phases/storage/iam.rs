//! The IAM policy and the role that has it.

use serde_json::Value;

use super::Storage;
use super::document::{self, Difference};
use crate::aws::AwsError;
use crate::phases::Phase;
use crate::phases::ensure::{Trouble, ensure};
use crate::result::{Blocker, Code, PlannedAction, PlannedStep, storage};

impl Storage<'_, '_> {
    /// Finds or makes the policy, and sees that its default version says what it should.
    pub(super) async fn policy(&self, evidence: &mut storage::IamPolicy) -> Result<(), Vec<Blocker>> {
        let (name, arn) = (self.policy_name(), self.policy_arn());
        evidence.arn = Some(arn.clone());
        let wanted = document::access(&self.arn("s3", "", "", &self.settings.bucket));
        let (text, tags) = (wanted.to_string(), self.iam_tags());
        let get = ["iam", "get-policy", "--policy-arn", &arn];
        let create =
            ["iam", "create-policy", "--policy-name", &name, "--policy-document", &text, "--tags", &tags];
        let what = format!("policy {name}");
        let look = format!("iam get-policy --policy-arn {arn}");
        let ensured = ensure(
            self.run,
            Phase::Storage,
            &what,
            &self.aws.typed(&create),
            async || self.aws.find(&get).await,
            async || self.aws.write(&create).await.map(drop),
        )
        .await
        .map_err(|trouble| self.trouble(&what, trouble, &look))?;
        let Some(ensured) = ensured else {
            evidence.existed = Some(false);
            return Ok(());
        };
        evidence.existed = Some(ensured.existed);
        evidence.created = ensured.created;
        let unreadable = |detail: &str| {
            let error = AwsError::garbage("iam get-policy", detail);
            self.trouble(&what, Trouble::Read(error), &look)
        };
        let version = ensured.thing["Policy"]["DefaultVersionId"].as_str();
        let version = version.ok_or_else(|| unreadable("it lacks DefaultVersionId"))?;
        evidence.version = Some(version.to_owned());
        let read = ["iam", "get-policy-version", "--policy-arn", &arn, "--version-id", version];
        let answer = self.aws.read(&read).await;
        let answer = answer.map_err(|error| self.trouble(&what, Trouble::Read(error), &look))?;
        let found = &answer["PolicyVersion"]["Document"];
        if !found.is_object() {
            return Err(unreadable("it lacks PolicyVersion.Document"));
        }
        let difference = Difference::between(&wanted, found);
        evidence.current = Some(difference.is_none());
        if difference.is_none() {
            self.run.step("policy", format!("policy {name} is as it should be ({version})"));
            return Ok(());
        }
        Err(vec![
            Blocker::new(
                Code::PolicyDrifted,
                format!("policy {arn} does not say what it should in {version}: {}", difference.words()),
                "nothing was changed, because somebody meant something by it: put the policy right with the \
                 second command, or configure another name and the installer makes its own",
            )
            .commands([
                format!("aws iam get-policy-version --policy-arn {arn} --version-id {version}"),
                format!(
                    "aws iam create-policy-version --policy-arn {arn} --set-as-default --policy-document '{text}'"
                ),
            ]),
        ])
    }

    /// Finds or makes the role, sees that pods may take it on, and that it has the policy.
    pub(super) async fn role(&self, evidence: &mut storage::IamRole) -> Result<(), Vec<Blocker>> {
        let name = self.role_name();
        let wanted = document::trust();
        let (text, tags) = (wanted.to_string(), self.iam_tags());
        let get = ["iam", "get-role", "--role-name", &name];
        let create = [
            "iam",
            "create-role",
            "--role-name",
            &name,
            "--assume-role-policy-document",
            &text,
            "--tags",
            &tags,
        ];
        let what = format!("role {name}");
        let look = format!("iam get-role --role-name {name}");
        let ensured = ensure(
            self.run,
            Phase::Storage,
            &what,
            &self.aws.typed(&create),
            async || self.aws.find(&get).await,
            async || self.aws.write(&create).await.map(drop),
        )
        .await
        .map_err(|trouble| self.trouble(&what, trouble, &look))?;
        let Some(ensured) = ensured else {
            evidence.existed = Some(false);
            return self.plan_attachment(&name, evidence);
        };
        evidence.arn = ensured.thing["Role"]["Arn"].as_str().map(str::to_owned);
        evidence.existed = Some(ensured.existed);
        evidence.created = ensured.created;
        let difference = Difference::between(&wanted, &ensured.thing["Role"]["AssumeRolePolicyDocument"]);
        // Whoever else may take it on does not keep the pods from it.
        evidence.trusts_pods = Some(difference.missing.is_empty());
        if !difference.missing.is_empty() {
            return Err(vec![
                Blocker::new(
                    Code::RoleTrustDrifted,
                    format!("role {name} cannot be taken on by pods: {}", difference.words()),
                    "nothing was changed: put the trust policy right with the second command, or configure \
                     another name and the installer makes its own",
                )
                .commands([
                    format!("aws iam get-role --role-name {name}"),
                    format!(
                        "aws iam update-assume-role-policy --role-name {name} --policy-document '{text}'"
                    ),
                ]),
            ]);
        }
        self.attachment(&name, evidence).await
    }

    async fn attachment(&self, name: &str, evidence: &mut storage::IamRole) -> Result<(), Vec<Blocker>> {
        let policy = self.policy_arn();
        let list = ["iam", "list-attached-role-policies", "--role-name", name];
        let attach = ["iam", "attach-role-policy", "--role-name", name, "--policy-arn", &policy];
        let find = async || {
            let answer = self.aws.read(&list).await?;
            let all = answer["AttachedPolicies"].as_array().cloned().ok_or_else(|| {
                AwsError::garbage("iam list-attached-role-policies", "it lacks AttachedPolicies")
            })?;
            Ok(all.into_iter().find(|it: &Value| it["PolicyArn"] == policy.as_str()))
        };
        let what = self.attachment_words(name);
        let look = format!("iam list-attached-role-policies --role-name {name}");
        evidence.policy_attached = Some(false);
        let command = self.aws.typed(&attach);
        let make = async || self.aws.write(&attach).await.map(drop);
        let ensured = ensure(self.run, Phase::Storage, &what, &command, find, make)
            .await
            .map_err(|trouble| self.trouble(&what, trouble, &look))?;
        if ensured.is_none() {
            return Ok(());
        }
        evidence.policy_attached = Some(true);
        self.run.step("role", format!("role {name} has the policy"));
        Ok(())
    }

    fn attachment_words(&self, role: &str) -> String {
        format!("the attachment of policy {} to role {role}", self.policy_name())
    }

    /// A role that is only planned has no policies that could be asked for.
    fn plan_attachment(&self, role: &str, evidence: &mut storage::IamRole) -> Result<(), Vec<Blocker>> {
        evidence.policy_attached = Some(false);
        let policy = self.policy_arn();
        let attach = ["iam", "attach-role-policy", "--role-name", role, "--policy-arn", &policy];
        let what = self.attachment_words(role);
        let step = PlannedStep::new(Phase::Storage, PlannedAction::Make, what, "the role is not there");
        self.run.plan(step.command(self.aws.typed(&attach)));
        Ok(())
    }

    fn iam_tags(&self) -> String {
        let (key, value) = self.tag();
        format!("Key={key},Value={value}")
    }
}
