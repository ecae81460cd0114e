//! One container: from pulling its image to crashing, and again.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::images::{Behaviour, Images};
use crate::clock::Moment;

/// The first wait after a failure; it doubles with each.
const BACKOFF: Duration = Duration::from_secs(10);
/// The longest wait.
const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// How long a container is seen as `ErrImagePull` before it is `ImagePullBackOff`.
const SEEN: Duration = Duration::from_secs(1);

/// What happened to a container: an event (if it has a reason) and a piece of log.
pub(super) struct Said {
    pub(super) container: String,
    pub(super) kind: &'static str,
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// Text, and whether it begins a new instance of the container.
    pub(super) log: Option<(String, bool)>,
}

/// How a container ended.
#[derive(Clone, Debug)]
struct Ended {
    id: u32,
    code: i32,
    started: Moment,
    finished: Moment,
}

#[derive(Clone, Debug)]
enum State {
    /// Not begun.
    New,
    /// The image could not be pulled; the next try is at `until`.
    Pull {
        error: String,
        since: Moment,
        until: Moment,
        tries: u32,
    },
    /// What it is configured by is missing.
    Unconfigured {
        error: String,
    },
    Running {
        since: Moment,
        probed: Option<Moment>,
    },
    Ended(Ended),
    /// Ended, and to be started again at `until`.
    CrashLoop {
        until: Moment,
        wait: Duration,
    },
}

/// A container of a pod.
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) init: bool,
    always_pull: bool,
    probe_period: Option<Duration>,
    /// How long a container runs before it is probed for the first time: at least until the probe is set up.
    probe_delay: Duration,
    state: State,
    last: Option<Ended>,
    restarts: u32,
    ready: bool,
}

/// When a container is started again after it has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    Always,
    OnFailure,
    Never,
}

impl Restart {
    pub(super) fn of(pod: &Value) -> Self {
        match pod["spec"]["restartPolicy"].as_str() {
            Some("Never") => Self::Never,
            Some("OnFailure") => Self::OnFailure,
            _ => Self::Always,
        }
    }
}

/// Everything that a container's life depends on besides itself.
pub(super) struct World<'a> {
    pub(super) images: &'a Images,
    pub(super) pulled: &'a mut BTreeSet<(String, String)>,
    pub(super) node: &'a str,
    /// `name_namespace(uid)`, as the kubelet names pods.
    pub(super) pod: &'a str,
    pub(super) restart: Restart,
    pub(super) now: Moment,
    pub(super) said: &'a mut Vec<Said>,
    /// What keeps a container of this name from being created.
    pub(super) unset: &'a dyn Fn(&str) -> Option<String>,
}

impl Container {
    pub(super) fn new(spec: &Value, init: bool) -> Self {
        let image = spec["image"].as_str().unwrap_or_default().to_owned();
        let period = spec["readinessProbe"]["periodSeconds"].as_u64().unwrap_or(10).max(1);
        Self {
            name: spec["name"].as_str().unwrap_or_default().to_owned(),
            image,
            init,
            always_pull: spec["imagePullPolicy"] == "Always",
            probe_period: spec["readinessProbe"].is_object().then(|| Duration::from_secs(period)),
            probe_delay: Duration::from_secs(
                spec["readinessProbe"]["initialDelaySeconds"].as_u64().unwrap_or(0),
            ),
            state: State::New,
            last: None,
            restarts: 0,
            ready: false,
        }
    }

    /// The pod's spec may name another image for a container that runs.
    pub(super) fn set_image(&mut self, image: &str) {
        if self.image != image {
            image.clone_into(&mut self.image);
            self.state = State::New;
            self.ready = false;
            self.restarts += 1;
        }
    }

    /// Moves on to `now`; says when there is more to do.
    pub(super) fn advance(&mut self, world: &mut World<'_>) -> Option<Moment> {
        loop {
            let behaviour = world.images.get(&self.image);
            match self.state.clone() {
                State::New => self.pull(world, &behaviour, 0),
                State::Unconfigured { error } => {
                    // What is missing now may be something else.
                    if (world.unset)(&self.name).is_some_and(|now| now == error) {
                        return None;
                    }
                    self.pull(world, &behaviour, 0);
                }
                State::Pull { until, tries, error, since } => {
                    // Healed meanwhile: the next try is still due only when the wait is over.
                    if world.now < until {
                        let turn = since.later(SEEN);
                        if world.now < turn {
                            return Some(turn);
                        }
                        if since < turn && error_is_new(&self.state) {
                            self.say(
                                world,
                                "Normal",
                                "BackOff",
                                format!("Back-off pulling image \"{}\"", self.image),
                            );
                            self.say(world, "Warning", "Failed", "Error: ImagePullBackOff".into());
                            self.state = State::Pull { error, since: Moment::MIN, until, tries };
                        }
                        return Some(until);
                    }
                    self.pull(world, &behaviour, tries);
                }
                State::Running { since, probed } => {
                    if let Some(ends) = self.ends(world, &behaviour, since) {
                        if world.now < ends.0 {
                            self.ready = self.is_ready(&behaviour, since, world.now);
                            return Some(ends.0);
                        }
                        let id = self.restarts;
                        self.ready = false;
                        self.state = State::Ended(Ended {
                            id,
                            code: ends.1,
                            started: since,
                            finished: ends.0.max(since),
                        });
                        continue;
                    }
                    self.ready = self.is_ready(&behaviour, since, world.now);
                    return match &behaviour {
                        Behaviour::ReadyAfter(wait) if !self.ready => Some(since.later(*wait)),
                        Behaviour::NeverReady { probe } => {
                            let period = self.probe_period?;
                            let due = probed.map_or(since, |last| last.later(period));
                            if world.now < due {
                                return Some(due);
                            }
                            self.say(
                                world,
                                "Warning",
                                "Unhealthy",
                                format!("Readiness probe failed: {probe}"),
                            );
                            self.state = State::Running { since, probed: Some(world.now) };
                            Some(world.now.later(period))
                        }
                        _ => None,
                    };
                }
                State::Ended(ended) => {
                    let again = match world.restart {
                        Restart::Always => !(self.init && ended.code == 0),
                        Restart::OnFailure => ended.code != 0,
                        Restart::Never => false,
                    };
                    if !again {
                        return None;
                    }
                    // The first restart is not delayed.
                    let wait = if self.restarts == 0 { Duration::ZERO } else { backoff(self.restarts - 1) };
                    let until = ended.finished.later(wait);
                    self.last = Some(ended);
                    if world.now < until {
                        let message = format!(
                            "Back-off restarting failed container {} in pod {}",
                            self.name, world.pod
                        );
                        self.say(world, "Warning", "BackOff", message);
                    }
                    self.state = State::CrashLoop { until, wait };
                }
                State::CrashLoop { until, .. } => {
                    if world.now < until {
                        return Some(until);
                    }
                    self.restarts += 1;
                    self.pull(world, &behaviour, 0);
                }
            }
        }
    }

    fn pull(&mut self, world: &mut World<'_>, behaviour: &Behaviour, tries: u32) {
        let image = self.image.clone();
        let place = (world.node.to_owned(), image.clone());
        let here = world.pulled.contains(&place);
        if let Behaviour::CannotPull { error } = behaviour
            && (self.always_pull || !here)
        {
            self.say(world, "Normal", "Pulling", format!("Pulling image \"{image}\""));
            self.say(world, "Warning", "Failed", format!("Failed to pull image \"{image}\": {error}"));
            self.say(world, "Warning", "Failed", "Error: ErrImagePull".into());
            self.state = State::Pull {
                error: error.clone(),
                since: world.now,
                until: world.now.later(backoff(tries)),
                tries: tries + 1,
            };
            return;
        }
        if here && !self.always_pull {
            let message = format!(
                "Container image \"{image}\" already present on machine and can be accessed by the pod"
            );
            self.say(world, "Normal", "Pulled", message);
        } else {
            self.say(world, "Normal", "Pulling", format!("Pulling image \"{image}\""));
            let message = format!(
                "Successfully pulled image \"{image}\" in 412ms (412ms including waiting). \
                 Image size: {} bytes.",
                size(&image)
            );
            self.say(world, "Normal", "Pulled", message);
            world.pulled.insert(place);
        }
        if let Some(error) = (world.unset)(&self.name) {
            self.say(world, "Warning", "Failed", format!("Error: {error}"));
            self.state = State::Unconfigured { error };
            return;
        }
        self.say(world, "Normal", "Created", "Container created".into());
        self.say(world, "Normal", "Started", "Container started".into());
        let text = match behaviour {
            Behaviour::CrashLoop { log, .. } => log.clone(),
            _ => world.images.log(&image),
        };
        world.said.push(Said {
            container: self.name.clone(),
            kind: "Normal",
            reason: "",
            message: String::new(),
            log: Some((text, true)),
        });
        self.state = State::Running { since: world.now, probed: None };
    }

    /// When a running container ends, and with what exit code.
    fn ends(&self, world: &World<'_>, behaviour: &Behaviour, since: Moment) -> Option<(Moment, i32)> {
        match behaviour {
            Behaviour::CrashLoop { exit_code, after, .. } => Some((since.later(*after), *exit_code)),
            _ if self.init || world.restart != Restart::Always => Some((since, 0)),
            _ => None,
        }
    }

    fn is_ready(&self, behaviour: &Behaviour, since: Moment, now: Moment) -> bool {
        match behaviour {
            _ if self.probe_period.is_none() => true,
            Behaviour::NeverReady { .. } => false,
            Behaviour::ReadyAfter(wait) => now >= since.later(*wait),
            // One that is gone before its first probe is never ready; the probe of what stays up is taken to
            // succeed at once.
            Behaviour::CrashLoop { after, .. } => *after > self.probe_delay,
            _ => true,
        }
    }

    fn say(&self, world: &mut World<'_>, kind: &'static str, reason: &'static str, message: String) {
        world.said.push(Said { container: self.name.clone(), kind, reason, message, log: None });
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Whether it waits and has never run.
    pub(super) fn has_never_run(&self) -> bool {
        matches!(self.state, State::New | State::Pull { .. } | State::Unconfigured { .. })
            && self.last.is_none()
    }

    /// Whether anything has been done about it.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.state, State::New) || self.last.is_some()
    }

    /// Whether what it is configured by is missing.
    pub(super) fn is_unconfigured(&self) -> bool {
        matches!(self.state, State::Unconfigured { .. })
    }

    /// The exit code, once it has ended for good.
    pub(super) fn exit_code(&self) -> Option<i32> {
        match &self.state {
            State::Ended(ended) => Some(ended.code),
            _ => None,
        }
    }

    pub(super) fn is_ready_now(&self) -> bool {
        if self.init { self.exit_code() == Some(0) } else { self.ready && self.is_running() }
    }

    /// The container's `ContainerStatus`. `waiting` is the reason of one that has not begun.
    pub(super) fn status(&self, pod: &str, uid: &str, waiting: &str) -> Value {
        let mut state = json!({});
        let mut last = json!({});
        match &self.state {
            State::New => state["waiting"] = json!({"reason": waiting}),
            State::Pull { error, since, .. } => {
                state["waiting"] = if *since == Moment::MIN {
                    json!({
                        "reason": "ImagePullBackOff",
                        "message": format!("Back-off pulling image \"{}\": ErrImagePull: {error}", self.image),
                    })
                } else {
                    json!({"reason": "ErrImagePull", "message": error})
                };
            }
            State::Unconfigured { error } => {
                state["waiting"] = json!({"reason": "CreateContainerConfigError", "message": error});
            }
            State::Running { since, .. } => state["running"] = json!({"startedAt": time(*since)}),
            State::Ended(ended) => state["terminated"] = self.terminated(ended, uid),
            State::CrashLoop { wait, .. } => {
                let message = format!(
                    "back-off {} restarting failed container={} pod={pod}",
                    go_duration(*wait),
                    self.name
                );
                state["waiting"] = json!({"reason": "CrashLoopBackOff", "message": message});
            }
        }
        if let Some(ended) = &self.last {
            last["terminated"] = self.terminated(ended, uid);
        }
        let began = !self.has_never_run();
        let mut status = json!({
            "name": self.name, "image": self.image, "ready": self.is_ready_now(),
            "restartCount": self.restarts, "started": self.is_running(), "state": state, "lastState": last,
            "imageID": if began { format!("{}@sha256:{}", repository(&self.image), digest(&self.image)) } else { String::new() },
        });
        if began {
            let id = match &self.state {
                State::CrashLoop { .. } => self.restarts,
                State::Ended(ended) => ended.id,
                _ => self.restarts,
            };
            status["containerID"] = json!(self.id(uid, id));
        }
        status
    }

    fn terminated(&self, ended: &Ended, uid: &str) -> Value {
        json!({
            "exitCode": ended.code, "reason": if ended.code == 0 { "Completed" } else { "Error" },
            "startedAt": time(ended.started), "finishedAt": time(ended.finished),
            "containerID": self.id(uid, ended.id),
        })
    }

    fn id(&self, uid: &str, instance: u32) -> String {
        format!("containerd://{}", digest(&format!("{uid}/{}/{instance}", self.name)))
    }
}

fn error_is_new(state: &State) -> bool {
    matches!(state, State::Pull { since, .. } if *since != Moment::MIN)
}

fn backoff(failures: u32) -> Duration {
    BACKOFF.saturating_mul(2_u32.saturating_pow(failures.min(10))).min(MAX_BACKOFF)
}

pub(super) fn time(at: Moment) -> String {
    crate::clock::rfc3339(at.shown)
}

/// A duration as Go prints it: `10s`, `1m20s`, `5m0s`.
fn go_duration(wait: Duration) -> String {
    let seconds = wait.as_secs();
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}

/// Sixty-four hexadecimal digits that hang on `text` alone.
fn digest(text: &str) -> String {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    (0..4_u8)
        .map(|round| {
            for byte in text.bytes().chain([round]) {
                state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            format!("{state:016x}")
        })
        .collect()
}

fn size(image: &str) -> u64 {
    let hash = u64::from_str_radix(&digest(image)[..6], 16).unwrap_or(0);
    20_000_000 + hash
}

fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let slash = image.rfind('/').map_or(0, |at| at + 1);
    image[slash..].find(':').map_or(image, |colon| &image[..slash + colon])
}
