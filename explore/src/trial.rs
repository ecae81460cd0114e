//! One case under way: the cluster, the tools and the installer on one paused clock.

use std::sync::Arc;
use std::time::Duration;

use eks_installer::identity::Identity;
use eks_installer::redact::Redactor;
use eks_installer::seams::{Connection, FixedConnection, TokioClock};
use eks_installer::stop::Stop;
use eks_installer::{Context, Outcome, Settings, install};
use interpose::cloud::Cloud;
use interpose::helm::{Credentials, karpenter_release};
use interpose::plan::ClusterIdentity;
use jiff::Timestamp;
use kubesim::kubelet::NodeShape;
use kubesim::store::{GroupResource, Meta as _};
use kubesim::transport::User;
use kubesim::{Cluster, Config};

use crate::case::{Case, Run};
use crate::journal::{CaseHeader, Happening, Journal, RunHeader, millis};
use crate::report::{Report, RunEnd};
use crate::scene::Scene;
use crate::schedule::{Agenda, Goes, Killed, Stagehand};
use crate::state::ClusterState;
use crate::tools::{StandIns, Surroundings};

/// What every cluster's clock reads at the start.
const ORIGIN: Timestamp = Timestamp::constant(1_767_323_045, 0);

/// Whom the installer and its tools are to the API; their requests are known by it.
const SUBJECT: &str = "seatrial:installer";

/// The API server's address in what people read; there is no socket behind it.
pub(crate) const SERVER: &str = "https://cluster.local";

/// Why a case could not be played. Never a verdict on the installer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no runtime to be had.
    #[error("failed to start a runtime: {0}")]
    Runtime(#[from] std::io::Error),
    /// The cluster did not start.
    #[error(transparent)]
    Cluster(#[from] kubesim::Error),
    /// A release that should have been left behind could not be.
    #[error("failed to leave a release behind: {0}")]
    Leftover(String),
    /// A fault could not be injected or healed.
    #[error("failed to change the cluster: {}", .0.message)]
    Fault(kubesim::status::Status),
    /// A result is no JSON.
    #[error("failed to read the installer's result: {0}")]
    Result(#[from] serde_json::Error),
}

/// Plays a case to its end, on a runtime of its own.
///
/// # Errors
/// When the case cannot be played.
pub fn sail(case: &Case, seed: u64) -> Result<Report, Error> {
    // Without I/O: whatever would wait for the real world fails instead of timing out in no time.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let mut trial = Trial::start(&case.scene, seed, case.name).await?;
        for run in &case.runs {
            trial.run(run).await?;
        }
        Ok(trial.finish())
    })
}

/// The newest minor version of Kubernetes that the Karpenter which is installed by default runs on.
const KUBERNETES: u8 = 34;

/// A cluster, an account and tools that runs of the installer follow one another on.
pub struct Trial {
    pub(crate) cluster: Cluster,
    pub(crate) journal: Journal,
    pub(crate) tools: StandIns,
    connection: Connection,
    seed: u64,
    runs: usize,
}

impl Trial {
    /// Starts the cluster on the current runtime, whose clock should be paused, and sets the scene.
    ///
    /// # Errors
    /// When the cluster does not start, or a release cannot be left behind.
    pub async fn start(scene: &Scene, seed: u64, name: &str) -> Result<Self, Error> {
        let mut config = Config { seed, origin: Some(ORIGIN), kubernetes: KUBERNETES, ..Config::default() };
        let region = config.identity.region.clone();
        config.nodes = (0..scene.nodes).map(|number| NodeShape::numbered(number, &region)).collect();
        let cluster = Cluster::start(config).await?;
        let admin = kube::Client::new(cluster.service(), "default");
        if let Some(leftover) = scene.leftover {
            let seeded =
                karpenter_release(&leftover.seed(), cluster.clock().now()).map_err(Error::Leftover)?;
            seeded.plant(admin.clone()).await.map_err(Error::Leftover)?;
            cluster.settled().await;
        }
        let subject = cluster.service().as_user(User::new(SUBJECT, ["system:masters"]));
        let client = kube::Client::new(subject, "default");
        let clock = cluster.clock();
        let eks = cluster.identity();
        let account = ClusterIdentity {
            name: eks.name.clone(),
            region: eks.region.clone(),
            account: eks.account.clone(),
            endpoint: None,
        };
        let env = [("CLUSTER_NAME", &eks.name), ("AWS_REGION", &eks.region)];
        let around = Surroundings {
            client: client.clone(),
            cloud: Cloud::within(account, scene.eks.clone(), admin, {
                let clock = clock.clone();
                move || clock.now()
            }),
            credentials: Credentials::expired(&scene.registry.expired_tokens),
            clock,
            env: env.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect(),
        };
        let connection = Connection {
            client,
            kubeconfig: None,
            context: Some(eks.arn()),
            server: SERVER.to_owned(),
            identity: Identity::from_names([eks.arn().as_str()]),
        };
        let journal = Journal::new(cluster.tap(), cluster.clock(), ORIGIN);
        journal.note(Happening::Case(CaseHeader { name: name.to_owned(), seed, origin: ORIGIN }));
        let tools = StandIns::new(around, journal.clone());
        Ok(Self { cluster, journal, tools, connection, seed, runs: 0 })
    }

    /// Runs the installer once, under the run's faults.
    ///
    /// # Errors
    /// When a fault cannot be injected or healed.
    pub async fn run(&mut self, run: &Run) -> Result<RunEnd, Error> {
        tokio::time::sleep(run.pause).await;
        self.cluster.settled().await;
        self.runs += 1;
        self.journal.note(Happening::RunBegan(RunHeader {
            number: self.runs,
            phase: run.phase,
            faults: run.faults.clone(),
            interruption: run.interruption,
            found: ClusterState::of(&self.cluster),
        }));
        let (began, first) = (self.journal.elapsed(), self.cluster.tap().recordings().len());
        let stop = Stop::default();
        let context = self.context(&stop);
        let settings = self.settings(&run.settings);
        let agenda = Agenda::of(run);
        let mut stagehand = Stagehand::of(self, run, &stop, first);
        let outcome = match stagehand.prepare(&agenda).await? {
            Goes::Over => None,
            Goes::On => tokio::select! {
                biased;
                killed = stagehand.attend(agenda) => killed.map(|Killed| None)?,
                outcome = install(&context, &settings, run.phase.into()) => Some(outcome),
            },
        };
        stagehand.clear().await?;
        self.cluster.settled().await;
        let end = self.end(outcome, began, first)?;
        self.journal.note(Happening::RunEnded(Box::new(end.clone())));
        self.journal.note(Happening::Cluster(ClusterState::of(&self.cluster)));
        Ok(end)
    }

    /// Closes the book: the cluster's events, and everything that was written down.
    #[must_use]
    pub fn finish(self) -> Report {
        let events = GroupResource::new("", "events");
        let mut events = self.cluster.store().list(&events, None).0;
        // In order of their last occurrence.
        events.sort_by_key(|event| event.resource_version().parse::<u64>().unwrap_or(0));
        for event in events {
            self.journal.note(Happening::Event((*event).clone()));
        }
        Report { lines: self.journal.lines(), elapsed: self.journal.elapsed() }
    }

    fn context(&self, stop: &Stop) -> Context {
        Context {
            cluster: Arc::new(FixedConnection(self.connection.clone())),
            tools: Arc::new(self.tools.clone()),
            clock: Arc::new(TokioClock::new(self.cluster.clock().now())),
            log: Arc::new(self.journal.clone()),
            stop: stop.clone(),
            redactor: Redactor::default(),
        }
    }

    fn settings(&self, asked: &Settings) -> Settings {
        let eks = self.cluster.identity();
        let cluster = Identity {
            name: Some(eks.name.clone()),
            region: Some(eks.region.clone()),
            account: Some(eks.account.clone()),
        };
        Settings { cluster, seed: self.seed, ..asked.clone() }
    }

    fn end(&self, outcome: Option<Outcome>, began: Duration, first: usize) -> Result<RunEnd, Error> {
        let result = outcome.as_ref().map(|outcome| serde_json::to_value(&outcome.result)).transpose()?;
        Ok(RunEnd {
            exit: outcome.map(|outcome| outcome.exit),
            result,
            took_ms: millis(self.journal.elapsed() - began),
            writes: self.writes(first, |_| true),
        })
    }

    /// How many of the subject's writes, from the `first` recording on, are as asked.
    pub(crate) fn writes(&self, first: usize, asked: impl Fn(&kubesim::tap::Recording) -> bool) -> usize {
        let recordings = self.cluster.tap().recordings();
        let later = recordings.iter().skip(first);
        later.filter(|it| it.user == SUBJECT && it.mutating() && asked(it)).count()
    }
}
