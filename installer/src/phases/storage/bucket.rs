//! The S3 bucket.

use super::Storage;
use crate::aws::AwsError;
use crate::phases::Phase;
use crate::phases::ensure::{Trouble, ensure};
use crate::result::{Blocker, Code, storage};

impl Storage<'_, '_> {
    /// Finds or makes the bucket, and sees that it is in the cluster's region.
    pub(super) async fn bucket(&self, evidence: &mut storage::Bucket) -> Result<(), Vec<Blocker>> {
        let name = self.settings.bucket.as_str();
        evidence.name = Some(name.to_owned());
        let account = self.caller.account.as_str();
        let head = ["s3api", "head-bucket", "--bucket", name, "--expected-bucket-owner", account];
        let constraint = format!("LocationConstraint={}", self.region);
        let mut create = vec!["s3api", "create-bucket", "--bucket", name];
        // The oldest region is no constraint.
        if self.region != "us-east-1" {
            create.extend(["--create-bucket-configuration", &constraint]);
        }
        let ensured = ensure(
            self.run,
            Phase::Storage,
            &format!("bucket {name}"),
            &self.aws.typed(&create),
            async || self.aws.find(&head).await,
            async || self.aws.write(&create).await.map(drop),
        )
        .await
        .map_err(|trouble| self.bucket_trouble(trouble))?;
        let Some(ensured) = ensured else {
            evidence.existed = Some(false);
            return Ok(());
        };
        evidence.existed = Some(ensured.existed);
        evidence.created = ensured.created;
        let answer = self.aws.read(&["s3api", "get-bucket-location", "--bucket", name]).await;
        let answer = answer.map_err(|error| self.bucket_trouble(Trouble::Read(error)))?;
        // Names from the time before there were regions.
        let region = match answer["LocationConstraint"].as_str() {
            None => "us-east-1",
            Some("EU") => "eu-west-1",
            Some(region) => region,
        };
        evidence.region = Some(region.to_owned());
        if region == self.region {
            self.run.step("bucket", format!("bucket {name} is in {region}"));
            return Ok(());
        }
        Err(vec![
            Blocker::new(
                Code::BucketInOtherRegion,
                format!("bucket {name} is in {region}, and the cluster is in {}", self.region),
                "configure another name, and the installer makes the bucket where the cluster is",
            )
            .commands([format!("aws s3api get-bucket-location --bucket {name}")]),
        ])
    }

    fn bucket_trouble(&self, trouble: Trouble<AwsError>) -> Vec<Blocker> {
        let name = &self.settings.bucket;
        let look = format!("s3api head-bucket --bucket {name}");
        let (Trouble::Read(error) | Trouble::Write(error)) = &trouble else {
            return self.trouble(&format!("bucket {name}"), trouble, &look);
        };
        match error.code() {
            // S3 says no more than that, so that nobody learns whose buckets there are.
            Some("403" | "AccessDenied") if matches!(trouble, Trouble::Read(_)) => vec![
                Blocker::new(
                    Code::BucketNotOwned,
                    format!(
                        "bucket {name} is not account {}'s, or these credentials may not see it: {error}",
                        self.caller.account
                    ),
                    "configure a bucket of your own, or use credentials that may call s3:ListBucket on it",
                )
                .commands([self.aws.command(&look), "aws s3api list-buckets".to_owned()]),
            ],
            Some("BucketAlreadyExists") => vec![
                Blocker::new(
                    Code::BucketNameTaken,
                    format!("the name {name} is taken by somebody else's bucket: {error}"),
                    "bucket names are shared by everybody: configure another one, with the account or the \
                     company in it",
                )
                .commands([self.aws.command(&look)]),
            ],
            _ => self.trouble(&format!("bucket {name}"), trouble, &look),
        }
    }
}
