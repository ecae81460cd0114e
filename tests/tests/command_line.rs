//! The command line as a person types it: what it says, where it says it, and its exit codes.
#![allow(clippy::unwrap_used)]

use std::process::Output;

use harness::verdict::ExitCode;
use predicates::prelude::*;
use predicates::str::contains;
use rstest::rstest;
use seatrial_tests::{Sandbox, process, sandbox, workspace};
use serde_json::Value;

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The report on standard output, which holds nothing else.
fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("standard output is not one document ({error}): {}\n{}", stdout(output), stderr(output))
    })
}

/// A field of each scenario of a report, in its order.
fn each(report: &Value, field: &str) -> Vec<String> {
    let scenarios = report["scenarios"].as_array().unwrap().iter();
    scenarios.map(|it| it[field].as_str().unwrap_or_default().to_owned()).collect()
}

// Help.

#[rstest]
#[case("scenario")]
#[case("matrix")]
#[case("list")]
#[case("prove")]
#[case("cluster")]
#[case("cluster up")]
#[case("cluster prune")]
#[case("schema")]
#[case("test")]
#[case("bench")]
#[case("assets")]
#[case("conform")]
fn help_says_how_it_is_called_and_gives_examples(#[case] command: &str) {
    let mut words: Vec<&str> = command.split(' ').collect();
    words.push("--help");
    let usage = contains(format!("Usage: cargo xtask {command}"));
    let example = contains(format!("Examples:\n  cargo xtask {command}"));
    Sandbox::new().xtask(&words).assert().success().stdout(usage.and(example)).stderr("");
}

#[test]
fn help_lists_every_exit_code() {
    let help = stdout(&Sandbox::new().output(&["--help"]));
    let table = help.split("Exit codes:").nth(1).unwrap();
    for code in [
        ExitCode::Ok,
        ExitCode::Usage,
        ExitCode::NothingSelected,
        ExitCode::Prerequisite,
        ExitCode::Failed,
        ExitCode::Infrastructure,
        ExitCode::Cleanup,
        ExitCode::Interrupted,
    ] {
        let row = format!("  {:<4} ", code.code());
        assert!(table.lines().any(|line| line.starts_with(&row)), "{code:?} is not in {table}");
    }
}

#[test]
fn without_a_command_the_help_is_shown_and_the_code_is_that_of_usage() {
    Sandbox::new().xtask(&[]).assert().code(2).stderr(contains("Usage: cargo xtask <COMMAND>"));
}

// What is selected.

#[test]
fn a_unique_prefix_is_a_name() {
    let sandbox = Sandbox::new();
    let output = sandbox.output(&["scenario", "no-n", "--format", "json"]);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(each(&report, "name"), ["no-nodes"]);
    assert_eq!(each(&report, "verdict"), ["passed"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_folder_is_every_scenario_below_it() {
    let sandbox = Sandbox::new();
    let kept = std::fs::read_to_string(workspace::root().join("scenarios/platform/no-nodes.yaml")).unwrap();
    sandbox.file("mine/b/one.yaml", kept.replace("name: no-nodes", "name: zero"));
    sandbox.file("mine/a/two.yaml", kept.replace("name: no-nodes", "name: none-at-all"));
    let folder = sandbox.text("files/mine");
    let report = report(&sandbox.output(&["scenario", &folder, "--format", "json"]));
    assert_eq!(each(&report, "name"), ["none-at-all", "zero"]);
    assert_eq!(each(&report, "verdict"), ["passed", "passed"]);
    sandbox.assert_nothing_left();

    std::fs::create_dir(sandbox.path("empty")).unwrap();
    let empty = sandbox.xtask(&["scenario", &sandbox.text("empty")]).assert();
    empty.code(4).stderr(contains("there is no scenario there"));
}

#[rstest]
#[case::a_prefix_of_two(
    "scenario api-un",
    2,
    "\"api-un\" could be any of api-unauthorized, api-unreachable",
    "write more of the name"
)]
#[case::a_scenario("scenario no-nodez", 4, "there is no scenario \"no-nodez\"", "did you mean no-nodes?")]
#[case::a_tag(
    "matrix --tag idempotant",
    4,
    "no scenario is tagged \"idempotant\"",
    "did you mean idempotent?"
)]
#[case::an_area("list --tag platfrm", 4, "no scenario is tagged \"platfrm\"", "did you mean platform?")]
#[case::a_phase(
    "matrix --phase comput",
    4,
    "no selected scenario runs phase \"comput\"",
    "did you mean compute?"
)]
#[case::a_backend("scenario no-nodes --backend simm", 2, "there is no backend \"simm\"", "did you mean sim?")]
#[case::a_flag("scenario --tagg seed", 2, "unexpected argument '--tagg'", "'--tag'")]
#[case::a_command("scenaro no-nodes", 2, "unrecognized subcommand 'scenaro'", "'scenario'")]
#[case::a_format("list --format jsn", 2, "invalid value 'jsn'", "'json'")]
#[case::a_known_bad_installer(
    "prove ignores-no-node",
    4,
    "no known-bad installer",
    "did you mean ignores-no-nodes?"
)]
#[case::nothing("scenario", 4, "nothing is selected", "cargo xtask scenario no-nodes")]
#[case::no_overlap(
    "scenario --tag lock --tag force",
    4,
    "no scenario has all of these tags",
    "cargo xtask list"
)]
#[case::no_overlap_in_a_list(
    "list --tag lock --tag force",
    4,
    "no scenario has all of these tags",
    "cargo xtask list"
)]
#[case::no_jobs("matrix --jobs 0", 2, "invalid value '0' for '--jobs <N>'", "--help")]
#[case::no_file("scenario ./no-such.yaml", 2, "failed to read ./no-such.yaml", "cargo xtask list")]
fn what_is_wrong_is_named_with_what_was_meant(
    #[case] line: &str,
    #[case] code: i32,
    #[case] what: &str,
    #[case] hint: &str,
) {
    let sandbox = Sandbox::new();
    let words: Vec<&str> = line.split(' ').collect();
    // Standard output is for what a pipe wants.
    sandbox.xtask(&words).assert().code(code).stderr(contains(what).and(contains(hint))).stdout("");
    sandbox.assert_nothing_left();
}

#[rstest]
#[case::no_equals_sign("helm", 2, "--tool \"helm\" is not NAME=PATH", "--tool helm=")]
#[case::no_such_tool(
    "terraform=/bin/true",
    2,
    "there is no tool \"terraform\"",
    "helm, eksctl, aws and kubectl"
)]
#[case::no_such_file("helm=/no/such/helm", 96, "failed to find helm at /no/such/helm", "executable file")]
fn a_tool_that_cannot_be_used_is_refused(
    #[case] tool: &str,
    #[case] code: i32,
    #[case] what: &str,
    #[case] hint: &str,
) {
    let sandbox = Sandbox::new();
    let run = sandbox.xtask(&["scenario", "no-nodes", "--tool", tool]).assert();
    run.code(code).stderr(contains(what).and(contains(hint))).stdout("");
    sandbox.assert_nothing_left();
}

// `prove`.

/// This installer fails several scenarios of the tag; a run that is left at one of them is a run that came to its end.
#[test]
fn a_known_bad_installer_is_left_at_the_first_scenario_that_catches_it() {
    let sandbox = Sandbox::new();
    let words = "prove ignores-no-nodes --tag platform-gate --fail-fast --jobs 1 --format json";
    let run = sandbox.xtask(&words.split(' ').collect::<Vec<_>>()).assert().success().get_output().clone();
    let rows: Value = serde_json::from_slice(&run.stdout).unwrap();
    let row = |at: usize| (rows[at]["caughtBy"].as_array().unwrap().len(), rows[at]["of"].as_u64().unwrap());
    let (right, bad) = (row(0), row(1));
    assert_eq!(right.0, 0, "{rows:#}");
    assert!(bad.0 == 1 && bad.1 < right.1, "{rows:#}");
    // Nor are the recordings kept of what failed as it should.
    sandbox.assert_nothing_left();
}

// `list`.

#[test]
fn the_list_gives_a_pipe_one_line_a_scenario_below_its_area() {
    let list = stdout(&Sandbox::new().output(&["list"]));
    let lines: Vec<&str> = list.lines().collect();
    let area = lines.iter().position(|line| *line == "platform").expect("a line for the area");
    let scenario = lines.iter().position(|line| line.starts_with("  no-nodes  ")).expect("a line for it");
    assert!(area < scenario);
    assert!(lines[scenario].ends_with("The cluster exists and has no worker node. [seed platform-gate]"));
}

#[test]
fn the_list_as_json_names_the_same_scenarios_and_their_files() {
    let sandbox = Sandbox::new();
    let listed: Value =
        serde_json::from_slice(&sandbox.output(&["list", "--format", "json"]).stdout).unwrap();
    let human = stdout(&sandbox.output(&["list"]));
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), human.lines().filter(|line| line.starts_with("  ")).count());
    for scenario in listed {
        let (name, file) = (scenario["name"].as_str().unwrap(), scenario["file"].as_str().unwrap());
        assert!(human.contains(&format!("  {name} ")), "{name}");
        assert!(workspace::root().join(file).is_file(), "{file}");
    }
}

// What a run says.

#[test]
fn a_person_reads_what_was_run_and_what_came_of_it() {
    let sandbox = Sandbox::new();
    let run = sandbox.xtask(&["scenario", "no-nodes"]).assert().code(0).stderr("");
    run.stdout(
        predicate::str::starts_with(
            "1 scenario on sim, seed 0: built-in installer (eks-installer)\n✓ no-nodes ",
        )
        .and(contains("step 1    install compute: exit code 3"))
        .and(contains("1 passed in ")),
    );
    sandbox.assert_nothing_left();
}

#[test]
fn a_mismatch_says_what_was_expected_what_was_seen_where_and_how_to_see_it_again() {
    let sandbox = Sandbox::new();
    let liar = sandbox.script("liar", r#"echo '{"ok":true,"status":"completed_phase","evidence":{}}'"#);
    let output = sandbox.output(&["scenario", "no-nodes", "--installer", &liar]);
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(100), "{said}");
    let file = std::fs::read_to_string(workspace::root().join("scenarios/platform/no-nodes.yaml")).unwrap();
    let line = 1 + file.lines().position(|line| line.trim() == "exit: 3").unwrap();
    let block = format!(
        "      ✗ exit scenarios/platform/no-nodes.yaml:{line}\n          expected  3\n          observed  exit code 0\n"
    );
    assert!(said.contains(&block), "{said}");
    assert!(
        said.contains(&format!("again     cargo xtask scenario no-nodes --installer '{liar}' --retain")),
        "{said}"
    );
    assert!(said.contains(&format!("on sim, seed 0: {liar}\n")), "{said}");
    // What was recorded of a failure is kept, and stays the user's.
    let kept = said.lines().find_map(|line| line.trim().strip_prefix("recorded")).unwrap().trim();
    let recorded = std::fs::read_to_string(format!("{kept}/main/run-1/stdout")).unwrap();
    assert!(recorded.contains("completed_phase"));
    assert_eq!(sandbox.processes(), Vec::<String>::new());
    assert_eq!(sandbox.names("state"), Vec::<String>::new());
}

#[test]
fn the_command_that_runs_it_again_does_the_same() {
    let sandbox = Sandbox::new();
    let liar = sandbox.script("a liar", "echo '{}'");
    let scenario = sandbox.scenario("a-file-of-ones-own", "", "{ exit: 3 }");
    let installer = format!("'{liar}' {{args}} {{phase}}");
    let first = sandbox.output(&[
        "scenario",
        &scenario,
        "--installer",
        &installer,
        "--seed",
        "7",
        "--format",
        "json",
    ]);
    let first = report(&first);
    let again = each(&first, "again").remove(0);
    let words = again.strip_prefix("cargo xtask ").unwrap().to_owned() + " --format json";
    let shell = format!("exec \"$0\" {words}");
    let mut second = sandbox.command(&[]);
    let program = second.get_program().to_owned();
    let environment: Vec<_> =
        second.get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
    second = std::process::Command::new("sh");
    second.args(["-c", &shell]).arg(program).current_dir(workspace::root());
    for (name, value) in environment {
        match value {
            Some(value) => second.env(name, value),
            None => second.env_remove(name),
        };
    }
    let second = report(&second.output().unwrap());
    assert_eq!(second["seed"], 7);
    assert_eq!(second["installer"], first["installer"]);
    let mismatches = |report: &Value| report["scenarios"][0]["steps"][0]["mismatches"].clone();
    assert_eq!(mismatches(&second), mismatches(&first));
}

#[test]
fn json_is_one_document_on_standard_output_and_nothing_else_is_said() {
    let sandbox = Sandbox::new();
    let output = sandbox.output(&["scenario", "no-nodes", "--seed", "3", "--format", "json"]);
    assert_eq!(stderr(&output), "");
    let report = report(&output);
    assert_eq!((report["exit"].as_i64(), report["seed"].as_i64()), (Some(0), Some(3)));
    assert_eq!(report["totals"]["passed"], 1);
    assert!(report["scenarios"][0]["steps"][0]["checked"].as_u64().unwrap() > 10);
}

#[test]
fn a_pipe_gets_no_colours_unless_they_are_asked_for() {
    let sandbox = Sandbox::new();
    let escapes = |variables: &[(&str, &str)], args: &[&str]| {
        let output = sandbox.command(args).envs(variables.iter().copied()).output().unwrap();
        output.stdout.contains(&0x1b) || output.stderr.contains(&0x1b)
    };
    for args in [&["scenario", "no-nodes"][..], &["list"], &["scenario", "no-nodez"]] {
        assert!(!escapes(&[], args), "{args:?} in a pipe");
        assert!(escapes(&[("CLICOLOR_FORCE", "1")], args), "{args:?} with colours forced");
        assert!(!escapes(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], args), "{args:?} with NO_COLOR");
    }
}

// Reports and recordings.

/// Some scenarios that take unlike amounts of time, by area and name.
const FEW: [&str; 5] = ["api-unreachable", "forced-gate", "coredns-missing", "no-nodes", "pending-young"];

fn junit_names(text: &str) -> Vec<String> {
    let cases = text.split("<testcase name=\"").skip(1);
    cases.map(|case| case.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn the_reports_stand_in_the_output_folder_and_agree_with_each_other() {
    let sandbox = Sandbox::new();
    let out = sandbox.text("out");
    // A second run into the same folder replaces what the first left.
    for round in ["first", "second"] {
        let scenarios = ["scenario", "no-nodes", "coredns-missing"];
        let output = sandbox.output(&[&scenarios[..], &["--out", &out]].concat());
        assert_eq!(output.status.code(), Some(0), "{round}: {}{}", stdout(&output), stderr(&output));
    }
    assert_eq!(sandbox.names("out"), ["events.ndjson", "junit.xml", "recordings", "report.json"]);
    let read = |name: &str| std::fs::read_to_string(sandbox.path("out").join(name)).unwrap();
    let report: Value = serde_json::from_str(&read("report.json")).unwrap();
    let names = each(&report, "name");
    assert_eq!(names, ["coredns-missing", "no-nodes"]);
    let junit = read("junit.xml");
    assert_eq!(junit_names(&junit), names);
    assert!(
        junit.contains("<testsuite name=\"platform\" tests=\"2\"") && junit.contains("failures=\"0\""),
        "{junit}"
    );
    let events: Vec<Value> =
        read("events.ndjson").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.first().unwrap()["event"], "run-started");
    assert_eq!(events.last().unwrap()["event"], "run-finished");
    let finished = events.iter().filter(|event| event["event"] == "scenario-finished").count();
    assert_eq!(finished, 2, "the events of one run");
    for name in names {
        let recorded = sandbox::names(&sandbox.path("out/recordings").join(&name).join("main/run-1"));
        assert_eq!(recorded, ["calls.ndjson", "requests.ndjson", "run.json", "stderr", "stdout"], "{name}");
    }
    sandbox.assert_nothing_left();
}

#[test]
fn every_report_keeps_the_order_of_the_catalogue_however_many_run_at_once() {
    let sandbox = Sandbox::new();
    let mut shuffled = FEW.to_vec();
    shuffled.reverse();
    for jobs in ["1", "5"] {
        let out = format!("out-{jobs}");
        let rest = ["--jobs", jobs, "--out", &sandbox.text(&out)];
        let words = [&["scenario"][..], &shuffled, &rest].concat();
        let said = stdout(&sandbox.output(&words));
        let shown: Vec<&str> =
            said.lines().filter_map(|line| line.strip_prefix("✓ ")?.split(' ').next()).collect();
        assert_eq!(shown, FEW, "with {jobs} jobs: {said}");
        let read = |name: &str| std::fs::read_to_string(sandbox.path(&out).join(name)).unwrap();
        assert_eq!(each(&serde_json::from_str(&read("report.json")).unwrap(), "name"), FEW);
        assert_eq!(junit_names(&read("junit.xml")), FEW);
    }
}

#[test]
fn what_held_is_kept_only_when_asked_and_the_place_is_said() {
    let sandbox = Sandbox::new();
    sandbox.xtask(&["scenario", "no-nodes"]).assert().code(0).stdout(contains("recorded").not());
    sandbox.assert_nothing_left();
    let said = stdout(&sandbox.output(&["scenario", "no-nodes", "--retain"]));
    let kept = said.lines().find_map(|line| line.strip_prefix("recorded")).expect("the place").trim();
    let result: Value =
        serde_json::from_str(&std::fs::read_to_string(format!("{kept}/main/run-1/stdout")).unwrap()).unwrap();
    assert_eq!(result["status"], "blocked_phase");
    assert_eq!(sandbox.names("state"), Vec::<String>::new(), "what is kept is the user's");
}

// Standing clusters.

#[test]
fn nothing_to_prune_is_said_so() {
    let sandbox = Sandbox::new();
    sandbox.xtask(&["cluster", "prune"]).assert().code(0).stdout("nothing was left behind\n");
}

#[tokio::test]
async fn a_standing_cluster_answers_until_it_is_interrupted() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sandbox = Sandbox::new();
    let told = sandbox.path("told");
    let mut up = sandbox
        .command(&["cluster", "up", "--nodes", "3"])
        .stdout(std::fs::File::create(&told).unwrap())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let kubeconfig = process::eventually("the cluster says where its kubeconfig is", || {
        let said = std::fs::read_to_string(&told).unwrap();
        let line = said.strip_suffix("'\n")?;
        Some(line.strip_prefix("export KUBECONFIG='").expect("a line for a shell").to_owned())
    });
    let config = kube::config::Kubeconfig::read_from(&kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await.unwrap();
    let nodes = http_get(config).await;
    assert_eq!(nodes["items"].as_array().unwrap().len(), 3);
    let private = std::os::unix::fs::PermissionsExt::mode(
        &std::path::Path::new(&kubeconfig).parent().unwrap().metadata().unwrap().permissions(),
    );
    assert_eq!(private & 0o077, 0, "others may not read the credentials");

    nix::sys::signal::kill(pid(&up), nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(up.wait().unwrap().code(), Some(0), "Ctrl-C is how it ends");
    sandbox.assert_nothing_left();
}

fn pid(child: &std::process::Child) -> nix::unistd::Pid {
    nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap())
}

async fn http_get(config: kube::Config) -> Value {
    let client = kube::Client::try_from(config).unwrap();
    let request = http::Request::get("/api/v1/nodes").body(Vec::new()).unwrap();
    client.request(request).await.unwrap()
}

#[test]
fn a_port_that_is_taken_is_named_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let up = sandbox.xtask(&["cluster", "up", "--port", &port.to_string()]).assert();
    up.code(105)
        .stderr(contains(format!("127.0.0.1:{port}")).and(contains("in use")).and(contains("another --port")))
        .stdout("");
    sandbox.assert_nothing_left();
}

#[test]
fn a_kubeconfig_that_cannot_be_written_takes_the_cluster_down_again() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("in-the-way", "");
    let up = sandbox.xtask(&["cluster", "up", "--kubeconfig", &format!("{file}/kubeconfig")]).assert();
    up.code(2).stderr(contains("failed to write the kubeconfig").and(contains("--kubeconfig FILE")));
    sandbox.assert_nothing_left();
}

// Schemas.

#[test]
fn the_kept_schemas_are_what_the_code_generates() {
    let sandbox = Sandbox::new();
    sandbox.xtask(&["schema", "--check"]).assert().code(0).stdout("schemas up to date\n");
}
