//! The stand-in for aws: S3, IAM, add-ons, associations and stacks, in the real tool's words, and as
//! strict about arguments.
#![allow(clippy::unwrap_used)]

use interpose::cloud::{Bucket, Cloud, Issue};
use interpose::plan::{ClusterIdentity, Eks, Plan, Stack};
use interpose::{Invocation, Output, aws, eksctl};
use serde_json::{Value, json};

/// An account on disk, as processes of their own would see it.
struct Account {
    plan: Plan,
    dir: tempfile::TempDir,
}

impl Account {
    fn new(plan: Plan) -> Self {
        let eks = Eks { exists: Some(true), ..plan.eks };
        let cluster = ClusterIdentity::default();
        Self { plan: Plan { eks, cluster, ..plan }, dir: tempfile::tempdir().unwrap() }
    }

    fn invocation(line: &str) -> Invocation {
        let args = shlex::split(line).unwrap();
        let env = [("AWS_REGION".to_owned(), "eu-central-1".to_owned())].into();
        Invocation { args, env, stdin: String::new() }
    }

    /// Each call reads the account anew.
    async fn aws(&self, line: &str) -> Output {
        aws::run(&Self::invocation(line), &Cloud::of(&self.plan, Some(self.dir.path()))).await
    }

    async fn eksctl(&self, line: &str) -> Output {
        eksctl::run(&Self::invocation(line), &Cloud::of(&self.plan, Some(self.dir.path()))).await
    }

    async fn json(&self, line: &str) -> Value {
        let output = self.aws(line).await;
        assert_eq!(output.code, 0, "{line}: {output:?}");
        serde_json::from_str(&output.stdout).unwrap()
    }

    /// The code and words of a service's refusal.
    async fn refused(&self, line: &str) -> String {
        let output = self.aws(line).await;
        assert_eq!((output.code, output.stdout.as_str()), (254, ""), "{line}: {output:?}");
        output.stderr.trim().to_owned()
    }
}

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}"#;
const ACCESS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}"#;

#[tokio::test]
async fn a_bucket_is_made_once_and_belongs_to_whoever_made_it() {
    let other = Bucket { owner: Some("999988887777".into()), region: "eu-central-1".into() };
    let mut plan = Plan::default();
    plan.holdings.buckets.insert("theirs".into(), other);
    let account = Account::new(plan);
    assert_eq!(
        account.refused("s3api head-bucket --bucket ours").await,
        "An error occurred (404) when calling the HeadBucket operation: Not Found"
    );
    let create = "s3api create-bucket --bucket ours";
    let words = account.refused(create).await;
    assert!(words.starts_with("An error occurred (IllegalLocationConstraintException)"), "{words}");
    let create = format!("{create} --create-bucket-configuration LocationConstraint=eu-central-1");
    assert_eq!(account.json(&create).await["Location"], "http://ours.s3.amazonaws.com/");
    let words = account.refused(&create).await;
    assert!(words.contains("(BucketAlreadyOwnedByYou)"), "{words}");
    assert_eq!(account.json("s3api head-bucket --bucket ours").await["BucketRegion"], "eu-central-1");
    let place = account.json("s3api get-bucket-location --bucket ours").await;
    assert_eq!(place["LocationConstraint"], "eu-central-1");
    assert_eq!(
        account.refused("s3api head-bucket --bucket theirs").await,
        "An error occurred (403) when calling the HeadBucket operation: Forbidden"
    );
    let words = account
        .refused("s3api create-bucket --bucket theirs --create-bucket-configuration LocationConstraint=eu-central-1")
        .await;
    assert!(words.contains("(BucketAlreadyExists)"), "{words}");
    let wrong = account.aws("s3api head-bucket --bucket ours --expected-owner 1").await;
    assert_eq!(wrong.code, 252);
    assert!(wrong.stderr.ends_with("\nUnknown options: --expected-owner, 1\n"), "{wrong:?}");
    let wrong = account.aws("s3api head-bucket --bucket not/a/bucket").await;
    assert_eq!(wrong.code, 252);
    assert!(wrong.stderr.starts_with("\nParameter validation failed:\nInvalid bucket name \"not/a/bucket\""));
    assert_eq!(account.aws("s3api delete-bucket --bucket ours").await, Output::default());
    assert!(account.refused("s3api get-bucket-location --bucket ours").await.contains("(NoSuchBucket)"));
}

#[tokio::test]
async fn a_role_gets_a_policy_and_neither_goes_while_the_other_holds_it() {
    let account = Account::new(Plan::default());
    let arn = "arn:aws:iam::111122223333:policy/p";
    assert_eq!(
        account.refused(&format!("iam get-policy --policy-arn {arn}")).await,
        format!(
            "An error occurred (NoSuchEntity) when calling the GetPolicy operation: Policy {arn} was not found."
        )
    );
    let made = account
        .json(&format!("iam create-policy --policy-name p --policy-document '{ACCESS}' --tags Key=a,Value=b"))
        .await;
    assert_eq!(
        (&made["Policy"]["Arn"], &made["Policy"]["Tags"]),
        (&json!(arn), &json!([{"Key": "a", "Value": "b"}]))
    );
    assert_eq!(
        account.refused(&format!("iam create-policy --policy-name p --policy-document '{ACCESS}'")).await,
        "An error occurred (EntityAlreadyExists) when calling the CreatePolicy operation: A policy called p already exists. Duplicate names are not allowed."
    );
    let malformed = account.refused("iam create-policy --policy-name q --policy-document '{}'").await;
    assert!(malformed.contains("(MalformedPolicyDocument)"), "{malformed}");
    let second = account
        .json(&format!(
            "iam create-policy-version --policy-arn {arn} --policy-document '{TRUST}' --set-as-default"
        ))
        .await;
    assert_eq!(second["PolicyVersion"]["VersionId"], "v2");
    assert_eq!(
        account.json(&format!("iam get-policy --policy-arn {arn}")).await["Policy"]["DefaultVersionId"],
        "v2"
    );
    let first = account.json(&format!("iam get-policy-version --policy-arn {arn} --version-id v1")).await;
    assert_eq!(first["PolicyVersion"]["Document"], serde_json::from_str::<Value>(ACCESS).unwrap());
    let role =
        account.json(&format!("iam create-role --role-name r --assume-role-policy-document '{TRUST}'")).await;
    assert_eq!(role["Role"]["AssumeRolePolicyDocument"], serde_json::from_str::<Value>(TRUST).unwrap());
    assert_eq!(
        account.aws(&format!("iam attach-role-policy --role-name r --policy-arn {arn}")).await.code,
        0
    );
    let attached = account.json("iam list-attached-role-policies --role-name r").await;
    assert_eq!(attached["AttachedPolicies"], json!([{ "PolicyName": "p", "PolicyArn": arn }]));
    assert!(
        account.refused("iam delete-role --role-name r").await.contains("must detach all policies first")
    );
    assert!(
        account
            .refused(&format!("iam delete-policy --policy-arn {arn}"))
            .await
            .contains("attached to entities")
    );
    assert_eq!(
        account.aws(&format!("iam detach-role-policy --role-name r --policy-arn {arn}")).await.code,
        0
    );
    assert_eq!(account.aws("iam delete-role --role-name r").await.code, 0);
    assert_eq!(
        account.refused("iam get-role --role-name r").await,
        "An error occurred (NoSuchEntity) when calling the GetRole operation: The role with name r cannot be found."
    );
}

#[tokio::test]
async fn a_service_account_has_one_association_and_lists_do_not_tell_its_role() {
    let account = Account::new(Plan::default());
    let place = "--cluster-name seatrial --namespace data --service-account store";
    let create = format!(
        "eks create-pod-identity-association {place} --role-arn arn:aws:iam::111122223333:role/r --tags a/b=c"
    );
    let made = account.json(&create).await;
    let id = made["association"]["associationId"].as_str().unwrap();
    assert_eq!(made["association"]["tags"], json!({ "a/b": "c" }));
    assert_eq!(
        account.refused(&create).await,
        format!(
            "An error occurred (ResourceInUseException) when calling the CreatePodIdentityAssociation operation: Association already exists: {id}"
        )
    );
    let listed = account.json(&format!("eks list-pod-identity-associations {place}")).await;
    assert_eq!(listed["associations"][0]["associationId"], id);
    assert_eq!(listed["associations"][0]["roleArn"], Value::Null);
    let elsewhere =
        account.json("eks list-pod-identity-associations --cluster-name seatrial --namespace other").await;
    assert_eq!(elsewhere["associations"], json!([]));
    let whole = account
        .json(&format!("eks describe-pod-identity-association --cluster-name seatrial --association-id {id}"))
        .await;
    assert_eq!(whole["association"]["roleArn"], "arn:aws:iam::111122223333:role/r");
}

#[tokio::test]
async fn an_addon_that_the_cluster_lacks_is_told_and_can_be_made() {
    let mut plan = Plan::default();
    plan.eks.without_addons.insert("eks-pod-identity-agent".into());
    let account = Account::new(plan);
    let describe = "eks describe-addon --cluster-name seatrial --addon-name eks-pod-identity-agent";
    assert_eq!(
        account.refused(describe).await,
        "An error occurred (ResourceNotFoundException) when calling the DescribeAddon operation: No addon: eks-pod-identity-agent found in cluster: seatrial"
    );
    account.json("eks create-addon --cluster-name seatrial --addon-name eks-pod-identity-agent").await;
    assert_eq!(account.json(describe).await["addon"]["status"], "ACTIVE");
}

#[tokio::test]
async fn credentials_of_another_account_see_nothing_of_this_one() {
    let account = Account::new(Plan { caller: Some("999988887777".into()), ..Plan::default() });
    assert_eq!(account.json("sts get-caller-identity").await["Account"], "999988887777");
    assert!(account.refused("eks describe-cluster --name seatrial").await.contains("No cluster found"));
    assert_eq!(account.json("eks list-clusters").await["clusters"], json!([]));
}

#[tokio::test]
async fn a_stack_that_rolled_back_is_in_the_way_and_says_why() {
    let mut plan = Plan::default();
    plan.eks.stack = Some(Stack {
        status: "ROLLBACK_COMPLETE".into(),
        resource_type: "AWS::EC2::VPC".into(),
        reason: "The maximum number of VPCs has been reached.".into(),
    });
    let mut account = Account::new(plan);
    account.plan.eks.exists = Some(false);
    let stacks = account.json("cloudformation describe-stacks --stack-name eksctl-seatrial-cluster").await;
    assert_eq!(stacks["Stacks"][0]["StackStatus"], "ROLLBACK_COMPLETE");
    let events =
        account.json("cloudformation describe-stack-events --stack-name eksctl-seatrial-cluster").await;
    let failed: Vec<&str> = events["StackEvents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["ResourceStatus"] == "CREATE_FAILED")
        .map(|it| it["ResourceStatusReason"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["Resource creation cancelled", "The maximum number of VPCs has been reached."]);
    let created = account.eksctl("create cluster --name seatrial --region eu-central-1").await;
    assert_eq!(created.code, 1);
    assert!(
        created.stdout.contains("AlreadyExistsException: Stack [eksctl-seatrial-cluster] already exists")
    );
    assert_eq!(
        account.refused("cloudformation describe-stacks --stack-name other").await,
        "An error occurred (ValidationError) when calling the DescribeStacks operation: Stack with id other does not exist"
    );
}

#[tokio::test]
async fn a_node_group_that_failed_says_what_eks_says_of_it() {
    let mut plan = Plan::default();
    plan.eks.node_groups.insert("base".into(), 3);
    plan.eks.node_group_issue = Some(Issue {
        code: "AsgInstanceLaunchFailures".into(),
        message: "Could not launch On-Demand Instances. VcpuLimitExceeded".into(),
    });
    let account = Account::new(plan);
    assert_eq!(
        account.json("eks list-nodegroups --cluster-name seatrial").await["nodegroups"],
        json!(["base"])
    );
    let group = account.json("eks describe-nodegroup --cluster-name seatrial --nodegroup-name base").await;
    assert_eq!(group["nodegroup"]["status"], "CREATE_FAILED");
    assert_eq!(group["nodegroup"]["health"]["issues"][0]["code"], "AsgInstanceLaunchFailures");
}

#[tokio::test]
async fn what_iam_denies_is_refused_and_a_simulation_says_so_beforehand() {
    let denied = ["iam:CreateRole", "s3:CreateBucket", "eks:CreatePodIdentityAssociation"];
    let plan = Plan { denied: denied.iter().map(|it| (*it).to_owned()).collect(), ..Plan::default() };
    let account = Account::new(plan);
    let me = "arn:aws:iam::111122223333:user/seatrial";
    let simulate = "iam simulate-principal-policy --policy-source-arn";
    let actions = "iam:CreateRole iam:GetRole s3:CreateBucket";
    let answer = account.json(&format!("{simulate} {me} --action-names {actions} --output json")).await;
    let decisions: Vec<&str> = answer["EvaluationResults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["EvalDecision"].as_str().unwrap())
        .collect();
    assert_eq!(decisions, ["implicitDeny", "allowed", "implicitDeny"]);
    for line in [
        format!("iam create-role --role-name r --assume-role-policy-document '{TRUST}'"),
        "s3api create-bucket --bucket b".to_owned(),
    ] {
        let words = account.refused(&line).await;
        assert!(
            words.contains("(AccessDenied)") && words.contains("is not authorized to perform"),
            "{words}"
        );
    }
    assert!(
        account.refused("iam get-role --role-name r").await.contains("NoSuchEntity"),
        "reads are allowed"
    );

    let wrong = account
        .refused(&format!("{simulate} arn:aws:sts::111122223333:assumed-role/a/b --action-names x"))
        .await;
    assert!(wrong.contains("InvalidInput"), "{wrong}");
    let unknown =
        account.refused(&format!("{simulate} arn:aws:iam::111122223333:role/r --action-names x:Y")).await;
    assert!(unknown.contains("NoSuchEntity"), "{unknown}");
    for (line, words) in [
        (format!("{simulate} {me}"), "the following arguments are required: --action-names"),
        (format!("{simulate} {me} --action-names x:Y --force"), "Unknown options: --force"),
    ] {
        let output = account.aws(&line).await;
        assert_eq!(output.code, 252, "{output:?}");
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
}

#[tokio::test]
async fn quotas_and_what_is_needed_of_them_are_told() {
    let account = Account::new(Plan { quotas: [("L-1216C47A".to_owned(), 5)].into(), ..Plan::default() });
    let quota = "service-quotas get-service-quota --service-code";
    let processors = account.json(&format!("{quota} ec2 --quota-code L-1216C47A")).await;
    assert_eq!(processors["Quota"]["Value"], 5.0);
    assert_eq!(account.json(&format!("{quota} vpc --quota-code L-F678F1CE")).await["Quota"]["Value"], 5.0);
    let unknown = account.refused(&format!("{quota} ec2 --quota-code L-00000000")).await;
    assert!(unknown.contains("NoSuchResourceException"), "{unknown}");

    let types = account.json("ec2 describe-instance-types --instance-types m5.large c7g.2xlarge").await;
    let counts: Vec<u64> = types["InstanceTypes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["VCpuInfo"]["DefaultVCpus"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [2, 8]);
    let unknown = account.refused("ec2 describe-instance-types --instance-types m5.large m5.enormous").await;
    assert!(unknown.contains("InvalidInstanceType") && unknown.contains("[m5.enormous]"), "{unknown}");
    let all = account.aws("ec2 describe-instance-types").await;
    assert_eq!(all.code, 125, "that the stand-in cannot do it is no answer of AWS: {all:?}");
}
