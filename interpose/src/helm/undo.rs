//! `helm rollback` and `helm uninstall`. Facts: helm pkg/action (rollback.go, uninstall.go).

use super::change::own_all;
use super::release::{Info, Release, Status};
use super::{Failure, Session, objects, wait};

impl Session<'_> {
    pub(super) async fn rollback_command(&mut self) -> Result<(), Failure> {
        let name = self.line.word(0).to_owned();
        let revision = match self.line.word(1) {
            "" => 0,
            text => text.parse().map_err(|_| {
                Failure::said(format!(
                    "could not convert revision to a number: strconv.Atoi: parsing \"{text}\": invalid syntax"
                ))
            })?,
        };
        if revision < 0 {
            return Err(Failure::said("invalid release revision"));
        }
        self.rollback(&name, revision, self.line.is("wait")).await?;
        self.out += "Rollback was a success! Happy Helming!\n";
        Ok(())
    }

    /// Rolls back to a revision, 0 being the one before the newest.
    pub(super) async fn rollback(&mut self, name: &str, revision: i64, waits: bool) -> Result<(), Failure> {
        self.reachable().await?;
        let history = self.storage().history(name).await?;
        let Some(mut current) = history.last().cloned() else { return Err(Failure::NotFound) };
        let revision = if revision == 0 { current.version - 1 } else { revision };
        let previous = history.iter().find(|it| it.version == revision);
        let previous =
            previous.ok_or_else(|| Failure::said(format!("release has no {revision} version")))?.clone();
        let mut release = Release {
            info: Info {
                first_deployed: current.info.first_deployed,
                last_deployed: Some(self.now()),
                deleted: None,
                description: format!("Rollback to {revision}"),
                status: Status::PendingRollback,
                notes: previous.info.notes.clone(),
            },
            version: current.version + 1,
            ..previous
        };
        if self.line.dry_run() {
            return Ok(());
        }
        let keep =
            if self.line.command.name == "rollback" { self.line.number("history-max", 10)? } else { 10 };
        self.storage().create(&release, self.now(), keep).await?;
        let original = self
            .items(&current.manifest, "unable to build kubernetes objects from current release manifest")
            .await?;
        let mut target = self
            .items(&release.manifest, "unable to build kubernetes objects from new release manifest")
            .await?;
        own_all(&mut target, &release);
        if let Err(failure) = objects::update(&self.api, &original, &target).await {
            current.info.status = Status::Superseded;
            release.set(Status::Failed, format!("Rollback \"{name}\" failed: {failure}"));
            drop(self.storage().update(&current, self.now()).await);
            drop(self.storage().update(&release, self.now()).await);
            return Err(failure);
        }
        if waits
            && let Err(failure) = wait::ready(&self.api, &target, &self.namespace, self.line.timeout()?).await
        {
            release.set(Status::Failed, format!("Release \"{name}\" failed: {failure}"));
            drop(self.storage().update(&current, self.now()).await);
            drop(self.storage().update(&release, self.now()).await);
            return Err(failure.within(&format!("release {name} failed")));
        }
        for mut old in self.storage().deployed(name).await? {
            old.info.status = Status::Superseded;
            drop(self.storage().update(&old, self.now()).await);
        }
        release.info.status = Status::Deployed;
        self.storage().update(&release, self.now()).await
    }

    pub(super) async fn uninstall_command(&mut self) -> Result<(), Failure> {
        let cascade = self.line.one("cascade").unwrap_or("background").to_owned();
        if !matches!(cascade.as_str(), "background" | "foreground" | "orphan") {
            return Err(Failure::said(format!(
                "invalid cascade value ({cascade}). Must be \"background\", \"foreground\", or \"orphan\""
            )));
        }
        for name in self.line.positional.clone() {
            let keep_history = self.line.is("keep-history");
            let policy = format!("{}{}", cascade[..1].to_uppercase(), &cascade[1..]);
            let kept = self.uninstall(&name, keep_history, Some(&policy)).await?;
            if !kept.is_empty() {
                self.out += &format!(
                    "These resources were kept due to the resource policy:\n{}\n\n",
                    kept.join("\n")
                );
            }
            self.out += &format!("release \"{name}\" uninstalled\n");
        }
        Ok(())
    }

    /// Uninstalls a release; says which objects stayed by policy.
    pub(super) async fn uninstall(
        &mut self,
        name: &str,
        keep_history: bool,
        policy: Option<&str>,
    ) -> Result<Vec<String>, Failure> {
        self.reachable().await?;
        if self.line.dry_run() {
            return self.storage().last(name).await.map(|_| Vec::new());
        }
        let history = match self.storage().history(name).await {
            Ok(history) => history,
            Err(_) if self.line.is("ignore-not-found") => return Ok(Vec::new()),
            Err(failure) => return Err(failure.within(&format!("uninstall: Release not loaded: {name}"))),
        };
        let Some(mut release) = history.last().cloned() else { return Err(Failure::NotFound) };
        if release.info.status == Status::Uninstalled {
            if keep_history {
                return Err(Failure::said(format!("the release named \"{name}\" is already deleted")));
            }
            return self.purge(&history).await.map(|()| Vec::new());
        }
        release.info.deleted = Some(self.now());
        release.set(Status::Uninstalling, "Deletion in progress (or silently failed)");
        drop(self.storage().update(&release, self.now()).await);
        let failed = || Failure::said(format!("failed to delete release: {name}"));
        let items = self.items(&release.manifest, "").await.map_err(|_| failed())?;
        let (deleted, kept, errors) =
            objects::delete(&self.api, &items, policy.unwrap_or("Background")).await;
        if !errors.is_empty() {
            return Err(failed());
        }
        let mut errors: Vec<String> = Vec::new();
        // A failed `install --atomic` uninstalls without waiting.
        if self.line.command.name == "uninstall"
            && self.line.is("wait")
            && let Err(failure) = wait::gone(&self.api, &deleted, &self.namespace, self.line.timeout()?).await
        {
            errors.push(failure.to_string());
        }
        release.set(
            Status::Uninstalled,
            self.line.one("description").unwrap_or("Uninstallation complete").to_owned(),
        );
        if keep_history {
            drop(self.storage().update(&release, self.now()).await);
            for mut old in self.storage().deployed(name).await? {
                old.info.status = Status::Superseded;
                drop(self.storage().update(&old, self.now()).await);
            }
        } else if let Err(failure) = self.purge(&history).await {
            errors.push(failure.to_string());
        }
        if errors.is_empty() {
            return Ok(kept);
        }
        Err(Failure::said(format!(
            "uninstallation completed with {} error(s): {}",
            errors.len(),
            errors.join("; ")
        )))
    }

    async fn purge(&self, history: &[Release]) -> Result<(), Failure> {
        for release in history {
            self.storage()
                .delete(release)
                .await
                .map_err(|failure| failure.within("uninstall: Failed to purge the release"))?;
        }
        Ok(())
    }
}
