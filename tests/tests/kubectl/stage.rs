//! A cluster, its kubeconfig, and kubectl.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use kubesim::transport::{Server, User};
use kubesim::{Cluster, Config};
use seatrial_tests::tool;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// What kubectl said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A cluster that is served, and a kubectl that knows the way to it.
pub struct Stage {
    pub cluster: Cluster,
    server: Server,
    dir: tempfile::TempDir,
    kubectl: PathBuf,
}

impl Stage {
    /// Two nodes and EKS's content; `None` when there is no kubectl.
    pub async fn new() -> Option<Self> {
        Self::with(Config::default()).await
    }

    /// A cluster of this kind; `None` when there is no kubectl.
    pub async fn with(config: Config) -> Option<Self> {
        let kubectl = tool::real("SEATRIAL_KUBECTL")?;
        // Whoever is first installs it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let cluster = Cluster::start(config).await.unwrap();
        let server = cluster.serve(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("kubeconfig"), server.kubeconfig(&User::admin())).unwrap();
        Some(Self { cluster, server, dir, kubectl })
    }

    /// A path in the stage's own folder.
    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a kubeconfig for somebody else, and gives its path.
    pub fn kubeconfig_of(&self, user: &User) -> String {
        let path = self.path(&format!("kubeconfig-{}", user.name));
        std::fs::write(&path, self.server.kubeconfig(user)).unwrap();
        path
    }

    /// A kubeconfig whose token the server does not know.
    pub fn kubeconfig_of_nobody(&self) -> String {
        let path = self.path("kubeconfig-nobody");
        std::fs::write(&path, self.server.kubeconfig_with_token("k8s-aws-v1.unknown")).unwrap();
        path
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.kubectl);
        command
            .args(shlex::split(line).unwrap())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("KUBECONFIG", self.dir.path().join("kubeconfig"))
            .env("KUBECACHEDIR", self.dir.path().join("cache"))
            .current_dir(self.dir.path())
            .kill_on_drop(true);
        command
    }

    /// Runs `kubectl <line>`, quoted as for a shell.
    pub async fn run(&self, line: &str) -> Said {
        self.run_with(line, "", &[]).await
    }

    /// [`Stage::run`] with something on stdin and in the environment.
    pub async fn run_with(&self, line: &str, stdin: &str, env: &[(&str, &str)]) -> Said {
        let mut child = self
            .command(line)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        // A kubectl that does not read its input may be gone already.
        let _ = pipe.write_all(stdin.as_bytes()).await;
        drop(pipe);
        let output = child.wait_with_output().await.unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What it prints when it succeeds.
    #[track_caller]
    pub fn ok<'a>(&'a self, line: &'a str) -> impl Future<Output = String> + 'a {
        self.ok_with(line, "")
    }

    /// [`Stage::ok`] with something on stdin.
    pub async fn ok_with(&self, line: &str, stdin: &str) -> String {
        let said = self.run_with(line, stdin, &[]).await;
        assert_eq!(said.code, 0, "kubectl {line}: {said:?}");
        said.stdout
    }

    /// What it says on stderr when it fails with exit code 1, without the last newline.
    pub async fn refused(&self, line: &str) -> String {
        self.refused_with(line, "").await
    }

    /// [`Stage::refused`] with something on stdin.
    pub async fn refused_with(&self, line: &str, stdin: &str) -> String {
        let said = self.run_with(line, stdin, &[]).await;
        assert_eq!(said.code, 1, "kubectl {line}: {said:?}");
        said.stderr.trim_end().to_owned()
    }

    /// Starts `kubectl <line>` and lets it run; its lines, and what holds it.
    pub fn watch(&self, line: &str) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut child = self
            .command(line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    }
}

/// A printed table as rows of cells: columns are three spaces apart.
pub fn rows(table: &str) -> Vec<Vec<&str>> {
    table
        .lines()
        .map(|line| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect()
}

/// The same without the last column, which tells ages.
pub fn ageless(table: &str) -> Vec<Vec<&str>> {
    let mut rows = rows(table);
    for row in &mut rows {
        row.pop();
    }
    rows
}

/// A deployment of two pods and its service.
pub const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: registry.example/web:1
        ports: [{containerPort: 8080, name: http}]
        env: [{name: MODE, value: fast}]
        resources: {requests: {cpu: 100m, memory: 64Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
";
