//! Executables are found in their order, and a wrong one is told of; Go is played by a script.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

use assets::{Error, Found, Minor, Origin, Places, Progress, Tool, Unusable, Wanted, find, provide};

/// A machine with nothing on it but what a test puts there.
struct Machine {
    folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// A file that is being written cannot be run, and a process forked at that moment holds it open for a little
/// longer. So tests that write scripts and run them do so one after the other.
static ALONE: Mutex<()> = Mutex::new(());

/// A script that says this version, whatever it is asked.
fn says(version: &str) -> String {
    format!("#!/bin/sh\necho '{version}'\n")
}

impl Machine {
    fn new() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let machine = Self { folder: tempfile::tempdir().unwrap(), _alone: alone };
        for folder in ["assets", "path", "cache"] {
            std::fs::create_dir(machine.at(folder)).unwrap();
        }
        machine
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.at(path);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn put_bundle(&self, folder: &str, version: &str) {
        self.put(&format!("{folder}/etcd"), &says("etcd Version: 3.6.5"));
        self.put(&format!("{folder}/kube-apiserver"), &says(&format!("Kubernetes {version}")));
    }

    /// A Go that answers with its version, and else runs this; `$out` is the file to write.
    fn put_go(&self, version: &str, build: &str) {
        let script = format!(
            "#!/bin/sh\nPATH=/usr/bin:/bin\ncase $1 in\n  version) echo 'go version go{version} linux/amd64'; exit;;\n  \
             env) echo local; exit;;\nesac\nwhile [ \"$1\" != -o ]; do shift; done\nout=$2\n{build}\n"
        );
        self.put("path/go", &script);
    }

    fn places(&self) -> Places {
        Places { assets: None, path: Some(self.at("path").into()), cache: self.at("cache") }
    }

    fn bundled(&self) -> Places {
        Places { assets: Some(self.at("assets")), ..self.places() }
    }
}

fn minor(text: &str) -> Option<Minor> {
    Some(text.parse().unwrap())
}

fn api_server(kubernetes: Option<Minor>) -> Wanted {
    Wanted { kubernetes, tools: vec![Tool::Etcd, Tool::ApiServer] }
}

fn origin(found: &Found, tool: Tool) -> Origin {
    found.all().find(|(it, ..)| *it == tool).unwrap().2
}

/// A control plane's builds, each of which prints the version that it was linked with.
const BUILDS: &str = r#"{
  echo '#!/bin/sh'
  echo 'case $0 in *etcd) echo "etcd Version: 3.7.0";; *) echo "Kubernetes v1.37.2";; esac'
} >"$out"
chmod +x "$out"
echo k8s.io/apiserver/pkg/endpoints >&2"#;

#[test]
fn named_executables_come_before_those_on_path_and_these_before_the_cache() {
    let machine = Machine::new();
    machine.put_bundle("assets", "v1.36.1");
    machine.put_bundle("path", "v1.36.2");
    let named = find(&machine.bundled(), &api_server(minor("1.36")), &mut |_| {}).unwrap();
    assert_eq!(origin(&named, Tool::ApiServer), Origin::Assets);
    let on_path = find(&machine.places(), &api_server(minor("1.36")), &mut |_| {}).unwrap();
    assert_eq!(origin(&on_path, Tool::ApiServer), Origin::Path);
    assert_eq!(on_path.path(Tool::Etcd).unwrap(), machine.at("path/etcd"));
}

#[test]
fn the_version_of_named_executables_decides_when_none_is_asked_for() {
    let machine = Machine::new();
    machine.put_bundle("assets", "v1.35.9");
    let found = find(&machine.bundled(), &api_server(None), &mut |_| {}).unwrap();
    assert_eq!(Some(found.kubernetes), minor("1.35"));
}

#[test]
fn a_wrong_named_executable_is_an_error_that_says_why() {
    let machine = Machine::new();
    let refused = |wanted: &Wanted| find(&machine.bundled(), wanted, &mut |_| {}).unwrap_err();
    let why = |error: Error| match error {
        Error::Named { path, why } => (path.file_name().unwrap().to_owned(), why),
        other => panic!("{other}"),
    };
    let any = api_server(minor("1.37"));
    assert_eq!(why(refused(&any)), ("etcd".into(), Unusable::Missing));
    machine.put_bundle("assets", "v1.37.0");
    let file = machine.at("assets/etcd");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = refused(&any);
    assert_eq!(error.hint(), format!("chmod +x {}", file.display()));
    assert_eq!(why(error).1, Unusable::NotExecutable);
    // An ELF header of a machine that this one is not: IBM's s390x, big endian.
    let mut foreign =
        vec![0x7f, b'E', b'L', b'F', 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 22, 0, 0, 0, 1];
    foreign.resize(4096, 0);
    std::fs::write(&file, foreign).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(why(refused(&any)).1, Unusable::WrongArchitecture(_)));
    machine.put("assets/etcd", "#!/bin/sh\necho 'unknown flag: --version' >&2\nexit 1\n");
    assert_eq!(why(refused(&any)).1, Unusable::Silent("unknown flag: --version".into()));
    machine.put_bundle("assets", "v1.29.4");
    let error = refused(&any);
    assert!(error.hint().contains("--kubernetes 1.29"), "{}", error.hint());
    let other = Unusable::OtherVersion { has: "v1.29.4".into(), wanted: "1.37".into() };
    assert_eq!(why(error), ("kube-apiserver".into(), other));
}

#[test]
fn bundles_without_a_scheduler_are_completed_in_the_same_version() {
    let machine = Machine::new();
    machine.put_bundle("assets", "v1.37.0");
    machine.put("path/kube-scheduler", &says("Kubernetes v1.36.0"));
    machine.put("path/kube-controller-manager", &says("Kubernetes v1.37.1"));
    machine.put_go("1.26.8", BUILDS);
    let mut passed_over = Vec::new();
    let wanted = Wanted::control_plane(None);
    let found = provide(&machine.bundled(), &wanted, &mut |progress| {
        if let Progress::PassedOver { tool, .. } = progress {
            passed_over.push(tool);
        }
    })
    .unwrap();
    assert_eq!(passed_over, [Tool::Scheduler]);
    assert_eq!(origin(&found, Tool::ApiServer), Origin::Assets);
    assert_eq!(origin(&found, Tool::ControllerManager), Origin::Path);
    assert_eq!(origin(&found, Tool::Scheduler), Origin::Built);
    assert_eq!(found.folder(), None, "they are in several folders");
}

#[test]
fn what_is_nowhere_is_built_once_and_then_found_in_the_cache() {
    let machine = Machine::new();
    machine.put_go("1.26.8", BUILDS);
    let wanted = Wanted::control_plane(None);
    let nowhere = find(&machine.places(), &wanted, &mut |_| {}).unwrap_err();
    assert_eq!(nowhere.hint(), "cargo xtask assets --kubernetes 1.37");
    let mut compiled = 0;
    let built = provide(&machine.places(), &wanted, &mut |progress| {
        compiled += usize::from(matches!(progress, Progress::Compiled { packages: 1, .. }));
    })
    .unwrap();
    assert_eq!(compiled, 4);
    assert!(built.all().all(|(_, _, origin)| origin == Origin::Built));
    let again = find(&machine.places(), &wanted, &mut |_| {}).unwrap();
    assert!(again.all().all(|(_, _, origin)| origin == Origin::Cache));
    assert_eq!(built.folder().unwrap(), again.folder().unwrap());
    let left: Vec<PathBuf> = drafts(again.folder().unwrap());
    assert!(left.is_empty(), "{left:?}");
}

fn drafts(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(".new")).collect()
}

#[test]
fn a_build_that_was_cut_off_is_never_seen_and_the_next_one_succeeds() {
    let machine = Machine::new();
    let wanted = Wanted { kubernetes: minor("1.37"), tools: vec![Tool::Scheduler] };
    machine.put_go("1.26.8", "echo half >\"$out\"; chmod +x \"$out\"; kill -9 $$");
    let cut = provide(&machine.places(), &wanted, &mut |_| {}).unwrap_err();
    assert!(matches!(cut, Error::Build { .. }), "{cut}");
    assert!(find(&machine.places(), &wanted, &mut |_| {}).is_err());
    machine.put_go("1.26.8", BUILDS);
    let found = provide(&machine.places(), &wanted, &mut |_| {}).unwrap();
    assert!(drafts(found.path(Tool::Scheduler).unwrap().parent().unwrap()).is_empty());
}

#[test]
fn two_builders_at_once_build_once() {
    let machine = Machine::new();
    let pipe = machine.at("gate");
    make_pipe(&pipe);
    // The build waits until the test has seen the other builder wait.
    machine.put_go(
        "1.26.8",
        &format!(
            "read -r line <'{}'\n{BUILDS}\necho once >>'{}'",
            pipe.display(),
            machine.at("count").display()
        ),
    );
    let wanted = Wanted { kubernetes: minor("1.37"), tools: vec![Tool::Scheduler] };
    let mut gate = std::fs::File::options().read(true).write(true).open(&pipe).unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (sender, machine, wanted) = (sender.clone(), &machine, &wanted);
            scope.spawn(move || {
                let told = |progress: Progress<'_>| {
                    if matches!(progress, Progress::Waiting(_)) {
                        sender.send(()).unwrap();
                    }
                };
                let mut told = told;
                provide(&machine.places(), wanted, &mut told).unwrap();
            });
        }
        receiver.recv().unwrap();
        // A line for each, so that a second build would end too, and be counted.
        gate.write_all(b"go\ngo\n").unwrap();
    });
    assert_eq!(std::fs::read_to_string(machine.at("count")).unwrap(), "once\n");
}

fn make_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[test]
fn what_keeps_go_from_building_is_told_with_what_to_do() {
    let machine = Machine::new();
    let wanted = Wanted { kubernetes: minor("1.37"), tools: vec![Tool::ApiServer] };
    let refused = || provide(&machine.places(), &wanted, &mut |_| {}).unwrap_err();
    assert!(matches!(refused(), Error::NoGo(_)));
    machine.put_go("1.20.3", BUILDS);
    let old = refused();
    assert_eq!(
        old.to_string(),
        "failed to build kube-apiserver: it needs Go 1.26.0, and 1.20.3 is installed"
    );
    assert!(old.hint().contains("https://go.dev/dl"));
    machine.put_go("1.26.8", "echo 'write /x: no space left on device' >&2; exit 1");
    assert!(matches!(refused(), Error::DiskFull { .. }));
    machine.put_go("1.26.8", "echo 'dial tcp: lookup proxy.golang.org: no such host' >&2; exit 1");
    let away = refused();
    assert!(matches!(away, Error::NoNetwork { .. }));
    assert!(away.hint().contains("GOPROXY"));
    machine.put_go(
        "1.26.8",
        "echo '#!/bin/sh' >\"$out\"; echo 'echo Kubernetes v1.2.3' >>\"$out\"; chmod +x \"$out\"",
    );
    assert!(matches!(refused(), Error::Wrong { .. }), "a build that is not what it should be has no name");
    assert!(find(&machine.places(), &wanted, &mut |_| {}).is_err());
}

#[test]
fn a_version_that_nobody_has_pinned_says_which_there_are() {
    let machine = Machine::new();
    let wanted = Wanted { kubernetes: minor("1.12"), tools: vec![Tool::ApiServer] };
    let error = provide(&machine.places(), &wanted, &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Unpinned { .. }));
    assert!(error.hint().contains("1.37, 1.36, 1.35"), "{}", error.hint());
}

/// To build the rest of it is no way out where it cannot be built.
#[test]
fn a_bundle_of_an_unknown_version_is_used_as_far_as_it_goes_and_what_it_lacks_has_no_module() {
    let machine = Machine::new();
    machine.put_bundle("assets", "v1.99.0");
    let found = find(&machine.bundled(), &api_server(None), &mut |_| {}).unwrap();
    assert_eq!(Some(found.kubernetes), minor("1.99"));
    let error = find(&machine.bundled(), &Wanted::control_plane(None), &mut |_| {}).unwrap_err();
    assert!(
        error.to_string().starts_with("failed to find kube-controller-manager of Kubernetes 1.99"),
        "{error}"
    );
    assert!(error.hint().contains("1.37, 1.36, 1.35"), "{}", error.hint());
}

#[test]
fn a_named_folder_that_is_none_and_words_that_are_no_version_are_told_of() {
    let machine = Machine::new();
    let nowhere = Places { assets: Some(machine.at("nowhere")), ..machine.places() };
    for wanted in [api_server(None), api_server(minor("1.37"))] {
        let error = find(&nowhere, &wanted, &mut |_| {}).unwrap_err();
        assert!(matches!(&error, Error::Named { why: Unusable::Missing, .. }), "{error}");
        assert!(error.hint().contains("KUBEBUILDER_ASSETS"), "{}", error.hint());
    }
    machine.put_bundle("assets", "of a kind");
    let error = find(&machine.bundled(), &api_server(None), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("it does not tell its version: Kubernetes of a kind"), "{error}");
}
