//! `helm install` and `helm upgrade`.
//!
//! The order of steps is Helm's, because an installer that is killed in the middle meets what the
//! last step left: the pending Secret is stored before the first object is touched. Facts: helm
//! pkg/action (install.go, upgrade.go), cmd/helm/upgrade.go.

use std::time::Duration;

use serde_json::{Map, Value};

use super::chart::Chart;
use super::flags::Format;
use super::objects::{self, Item};
use super::release::{Info, Release, Status};
use super::{Failure, Session, chart, values, wait};

const BUSY: &str = "another operation (install/upgrade/rollback) is in progress";

/// Most revisions that Helm keeps.
const HISTORY_MAX: i64 = 10;

impl Session<'_> {
    pub(super) async fn install_command(&mut self) -> Result<(), Failure> {
        let name = self.line.word(0).to_owned();
        let replace = self.line.is("replace");
        let installed = self.install(&name, replace).await;
        let release = installed.map_err(|failure| failure.within("INSTALLATION FAILED"))?;
        self.print(&release)
    }

    pub(super) async fn upgrade_command(&mut self) -> Result<(), Failure> {
        let name = self.line.word(0).to_owned();
        let table = self.line.format()? == Format::Table;
        if self.line.is("install") {
            self.reachable().await?;
            let history = self.storage().history(&name).await;
            let uninstalled = matches!(&history, Ok(all)
                if all.last().is_some_and(|it| it.info.status == Status::Uninstalled));
            if uninstalled || matches!(history, Err(Failure::NotFound)) {
                if table {
                    self.out += &format!("Release \"{name}\" does not exist. Installing it now.\n");
                }
                // Here Helm does not say INSTALLATION FAILED.
                let release = self.install(&name, uninstalled).await?;
                return self.print(&release);
            }
            history?;
        }
        let (chart, said) = self.locate()?;
        self.err += &said;
        let given = values::given(&self.line, self.invocation)?;
        let upgraded = self.upgrade(&name, &chart, given).await;
        let release = upgraded.map_err(|failure| failure.within("UPGRADE FAILED"))?;
        if table {
            self.out += &format!("Release \"{name}\" has been upgraded. Happy Helming!\n");
        }
        self.print(&release)
    }

    /// The chart of the command line.
    fn locate(&self) -> Result<(Chart, String), Failure> {
        chart::locate(self.line.word(1), self.line.one("version"), &self.world.credentials)
    }

    async fn install(&mut self, name: &str, replace: bool) -> Result<Release, Failure> {
        let (chart, said) = self.locate()?;
        self.err += &said;
        let given = values::given(&self.line, self.invocation)?;
        self.reachable().await?;
        valid_name(name).map_err(|why| Failure::said(format!("release name \"{name}\": {why}")))?;
        let dry = self.line.dry_run();
        // Helm reads "cannot say" as "free" here, and so does the stand-in.
        let history = if dry { Vec::new() } else { self.storage().history(name).await.unwrap_or_default() };
        if let Some(last) = history.last() {
            let reusable = replace && matches!(last.info.status, Status::Uninstalled | Status::Failed);
            if !reusable {
                return Err(Failure::said("cannot re-use a name that is still in use"));
            }
        }
        if !self.line.is("skip-crds") && !dry {
            let made = objects::create_crds(&self.api, &chart.crds).await?;
            wait::ready(&self.api, &made, &self.namespace, Duration::from_secs(60)).await?;
        }
        let mut release = self.draft(&chart, name, given)?;
        release.set(Status::PendingInstall, "Initial install underway");
        let mut items =
            self.items(&release.manifest, "unable to build kubernetes objects from release manifest").await?;
        own_all(&mut items, &release);
        let adopted =
            objects::adoptable(&self.api, &items, name, &self.namespace, self.line.is("take-ownership"))
                .await
                .map_err(|failure| failure.within("Unable to continue with install"))?;
        if dry {
            release.info.description = "Dry run complete".into();
            return Ok(release);
        }
        if self.line.is("create-namespace") {
            let namespace = objects::namespace(&self.namespace);
            match self.api.create("v1", "namespaces", None, &namespace).await {
                Err(error) if !error.already_exists() => return Err(Failure::api(error)),
                _ => {}
            }
        }
        if let Some(mut last) = history.last().cloned().filter(|_| replace) {
            release.version = last.version + 1;
            if last.info.status != Status::Failed {
                last.set(Status::Superseded, "superseded by new release");
                self.storage().update(&last, self.now()).await?;
            }
        }
        self.storage().create(&release, self.now(), 0).await?;
        let performed = tokio::select! {
            biased;
            () = self.stopped() => Err(Failure::said("context canceled")),
            done = self.perform_install(&items, &adopted) => done,
        };
        match performed {
            Ok(()) => {
                release.set(Status::Deployed, self.line.one("description").unwrap_or("Install complete"));
                // Helm does not mind when this cannot be written: the objects are there.
                drop(self.storage().update(&release, self.now()).await);
                Ok(release)
            }
            Err(failure) => Err(self.fail_install(release, failure).await),
        }
    }

    async fn perform_install(&self, items: &[Item], adopted: &[Item]) -> Result<(), Failure> {
        if adopted.is_empty() {
            objects::create(&self.api, items).await?;
        } else {
            objects::update(&self.api, adopted, items).await?;
        }
        self.wait_if_asked(items).await
    }

    async fn fail_install(&mut self, mut release: Release, failure: Failure) -> Failure {
        self.cancelled(&release.name, &failure);
        release.set(Status::Failed, format!("Release \"{}\" failed: {failure}", release.name));
        if self.line.is("atomic") {
            return match self.uninstall(&release.name, false, None).await {
                Ok(_) => failure.within(&format!(
                    "release {} failed, and has been uninstalled due to atomic being set",
                    release.name
                )),
                Err(second) => second.within(&format!(
                    "an error occurred while uninstalling the release. original install error: {failure}"
                )),
            };
        }
        drop(self.storage().update(&release, self.now()).await);
        failure
    }

    async fn upgrade(
        &mut self,
        name: &str,
        chart: &Chart,
        given: Map<String, Value>,
    ) -> Result<Release, Failure> {
        self.reachable().await?;
        valid_name(name).map_err(|_| Failure::said(format!("release name is invalid: {name}")))?;
        let nothing = || Failure::said(format!("\"{name}\" has no deployed releases"));
        let last = match self.storage().last(name).await {
            Err(Failure::NotFound) => return Err(nothing()),
            other => other?,
        };
        if last.info.status.pending() {
            return Err(Failure::said(BUSY));
        }
        let mut current = if last.info.status == Status::Deployed {
            last.clone()
        } else {
            match self.storage().deployed(name).await?.pop() {
                Some(deployed) => deployed,
                None if matches!(last.info.status, Status::Failed | Status::Superseded) => last.clone(),
                None => return Err(nothing()),
            }
        };
        let (config, defaults) = self.reuse(chart, &current, given);
        let mut release = self.draft_with(chart, name, config, &defaults)?;
        release.version = last.version + 1;
        release.namespace.clone_from(&current.namespace);
        release.info.first_deployed = current.info.first_deployed;
        release.labels.clone_from(&last.labels);
        release.set(Status::PendingUpgrade, "Preparing upgrade");
        let mut original = self
            .items(&current.manifest, "unable to build kubernetes objects from current release manifest")
            .await?;
        let mut target = self
            .items(&release.manifest, "unable to build kubernetes objects from new release manifest")
            .await?;
        own_all(&mut target, &release);
        let new: Vec<Item> =
            target.iter().filter(|it| !original.iter().any(|old| old.place == it.place)).cloned().collect();
        let adopted =
            objects::adoptable(&self.api, &new, name, &self.namespace, self.line.is("take-ownership"))
                .await
                .map_err(|failure| failure.within("Unable to continue with update"))?;
        original.extend(adopted);
        if self.line.dry_run() {
            release.info.description = "Dry run complete".into();
            return Ok(release);
        }
        let keep = self.line.number("history-max", HISTORY_MAX)?;
        self.storage().create(&release, self.now(), keep).await?;
        let performed = tokio::select! {
            biased;
            () = self.stopped() => Err(Failure::said("context canceled")),
            done = async {
                objects::update(&self.api, &original, &target).await?;
                self.wait_if_asked(&target).await
            } => done,
        };
        match performed {
            Ok(()) => {
                current.info.status = Status::Superseded;
                drop(self.storage().update(&current, self.now()).await);
                release.set(Status::Deployed, self.line.one("description").unwrap_or("Upgrade complete"));
                self.storage().update(&release, self.now()).await?;
                Ok(release)
            }
            Err(failure) => Err(self.fail_upgrade(release, failure).await),
        }
    }

    async fn fail_upgrade(&mut self, mut release: Release, failure: Failure) -> Failure {
        self.cancelled(&release.name, &failure);
        release.set(Status::Failed, format!("Upgrade \"{}\" failed: {failure}", release.name));
        drop(self.storage().update(&release, self.now()).await);
        if !self.line.is("atomic") {
            return failure;
        }
        let history = match self.storage().history(&release.name).await {
            Ok(history) => history,
            Err(second) => {
                return second.within(&format!(
                    "an error occurred while finding last successful release. original upgrade error: {failure}"
                ));
            }
        };
        let good = history
            .iter()
            .rev()
            .find(|it| matches!(it.info.status, Status::Superseded | Status::Deployed))
            .map(|it| it.version);
        let Some(good) = good else {
            return failure.within(
                "unable to find a previously successful release when attempting to rollback. original upgrade error",
            );
        };
        match self.rollback(&release.name, good, true).await {
            Ok(()) => failure.within(&format!(
                "release {} failed, and has been rolled back due to atomic being set",
                release.name
            )),
            Err(second) => second.within(&format!(
                "an error occurred while rolling back the release. original upgrade error: {failure}"
            )),
        }
    }

    /// The user's values and the chart's defaults for an upgrade, by the flags that say what to reuse.
    fn reuse(
        &self,
        chart: &Chart,
        current: &Release,
        given: Map<String, Value>,
    ) -> (Map<String, Value>, Map<String, Value>) {
        let old = current.config.clone().unwrap_or_default();
        let laid_over = |given: Map<String, Value>| {
            let mut all = old.clone();
            values::overlay(&mut all, given);
            all
        };
        let defaults = chart.values.clone();
        if self.line.is("reset-values") {
            (given, defaults)
        } else if self.line.is("reuse-values") {
            // The old chart's defaults are frozen in, too.
            let stored = current.chart.as_ref().and_then(|it| it["values"].as_object().cloned());
            (laid_over(given), values::computed(&stored.unwrap_or(defaults), &old))
        } else if self.line.is("reset-then-reuse-values") {
            (laid_over(given), defaults)
        } else if given.is_empty() {
            (old, defaults)
        } else {
            (given, defaults)
        }
    }

    fn draft(&self, chart: &Chart, name: &str, config: Map<String, Value>) -> Result<Release, Failure> {
        self.draft_with(chart, name, config, &chart.values)
    }

    /// A release that is rendered and nothing more.
    fn draft_with(
        &self,
        chart: &Chart,
        name: &str,
        config: Map<String, Value>,
        defaults: &Map<String, Value>,
    ) -> Result<Release, Failure> {
        let now = self.now();
        let manifest = chart.manifest(name, &self.namespace, &values::computed(defaults, &config))?;
        Ok(Release {
            name: name.to_owned(),
            info: Info {
                first_deployed: Some(now),
                last_deployed: Some(now),
                deleted: None,
                description: String::new(),
                status: Status::Unknown,
                notes: chart.notes.clone(),
            },
            chart: Some(chart.stored()),
            config: Some(config),
            manifest,
            hooks: None,
            version: 1,
            namespace: self.namespace.clone(),
            apply_method: None,
            labels: std::collections::BTreeMap::new(),
        })
    }

    pub(super) async fn items(&self, manifest: &str, otherwise: &str) -> Result<Vec<Item>, Failure> {
        let built = objects::build(&self.api, manifest, &self.namespace).await;
        built.map_err(|failure| failure.within(otherwise))
    }

    async fn wait_if_asked(&self, items: &[Item]) -> Result<(), Failure> {
        if self.line.is("wait") || self.line.is("atomic") {
            return wait::ready(&self.api, items, &self.namespace, self.line.timeout()?).await;
        }
        Ok(())
    }

    fn cancelled(&mut self, name: &str, failure: &Failure) {
        if *failure == Failure::said("context canceled") {
            self.out += &format!("Release {name} has been cancelled.\n");
        }
    }
}

/// Marks all objects as the release's.
pub(super) fn own_all(items: &mut [Item], release: &Release) {
    for item in items {
        objects::own(&mut item.object, &release.name, &release.namespace);
    }
}

/// Names as Helm allows them: DNS labels joined by dots, at most 53 characters.
fn valid_name(name: &str) -> Result<(), &'static str> {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.is_empty() {
        return Err("no name provided");
    }
    if name.len() > 53 || !name.split('.').all(label) {
        return Err(
            "invalid release name, must match regex ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must not be longer than 53",
        );
    }
    Ok(())
}
