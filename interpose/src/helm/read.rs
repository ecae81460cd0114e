//! `helm status`, `list`, `history`, `get values`, `get manifest`, `version`: what only reads.

use serde::Serialize;
use serde_json::{Value, json};

use super::flags::Format;
use super::release::{Release, Status};
use super::{Failure, Session, time};

/// `helm version`, in the words of the Helm that is imitated.
pub(super) fn version(short: bool) -> String {
    if short {
        return "v3.22.0\n".into();
    }
    "version.BuildInfo{Version:\"v3.22.0\", GitCommit:\"\", GitTreeState:\"\", GoVersion:\"go1.26.8\"}\n"
        .into()
}

impl Session<'_> {
    pub(super) async fn status(&mut self) -> Result<(), Failure> {
        self.reachable().await?;
        let name = self.line.word(0).to_owned();
        let revision = self.line.number("revision", 0)?;
        let mut release = self.storage().get(&name, revision).await?;
        // Helm 3 leaves the chart out of what it shows, and does not know of apply methods.
        release.chart = None;
        release.apply_method = None;
        self.print(&release)
    }

    /// A release as `status`, `install` and `upgrade` print it.
    pub(super) fn print(&mut self, release: &Release) -> Result<(), Failure> {
        match self.line.format()? {
            Format::Json => self.out += &go_json(release)?,
            Format::Yaml => self.out += &yaml(release)?,
            Format::Table => {
                self.out += &format!("NAME: {}\n", release.name);
                if let Some(at) = release.info.last_deployed {
                    self.out += &format!("LAST DEPLOYED: {}\n", time::ansic(at));
                }
                self.out += &format!(
                    "NAMESPACE: {}\nSTATUS: {}\nREVISION: {}\n",
                    release.namespace,
                    release.info.status.word(),
                    release.version
                );
                if self.line.is("show-desc") {
                    self.out += &format!("DESCRIPTION: {}\n", release.info.description);
                }
                self.out += "TEST SUITE: None\n";
                if release.info.description == "Dry run complete" {
                    self.out += &format!("HOOKS:\nMANIFEST:\n{}\n", release.manifest);
                }
                if !release.info.notes.is_empty() && !self.line.is("hide-notes") {
                    self.out += &format!("NOTES:\n{}\n", release.info.notes.trim());
                }
            }
        }
        Ok(())
    }

    pub(super) async fn list(&mut self) -> Result<(), Failure> {
        self.reachable().await?;
        let filter = match self.line.one("filter") {
            Some(pattern) => Some(
                regex_lite::Regex::new(pattern)
                    .map_err(|error| Failure::said(format!("error parsing regexp: {error}")))?,
            ),
            None => None,
        };
        let all = self.storage().list(self.line.is("all-namespaces")).await?;
        let matching =
            all.into_iter().filter(|it| filter.as_ref().is_none_or(|filter| filter.is_match(&it.name)));
        let mut shown: Vec<Release> = Vec::new();
        let superseded_only = self.states() == [Status::Superseded];
        for release in matching {
            let same =
                shown.iter_mut().find(|it| (&it.name, &it.namespace) == (&release.name, &release.namespace));
            match same {
                Some(newest) if !superseded_only => {
                    if newest.version < release.version {
                        *newest = release;
                    }
                }
                _ => shown.push(release),
            }
        }
        let states = self.states();
        shown.retain(|it| states.contains(&it.info.status));
        if self.line.is("date") {
            shown.sort_by_key(|it| it.info.last_deployed);
        } else {
            shown.sort_by(|a, b| (&a.name, &a.namespace).cmp(&(&b.name, &b.namespace)));
        }
        if self.line.is("reverse") {
            shown.reverse();
        }
        let offset = usize::try_from(self.line.number("offset", 0)?).unwrap_or(0);
        let max = usize::try_from(self.line.number("max", 256)?).unwrap_or(0);
        let max = if max == 0 { usize::MAX } else { max };
        let shown: Vec<Release> = shown.into_iter().skip(offset).take(max).collect();
        self.print_list(&shown)
    }

    /// The states that the flags ask for.
    fn states(&self) -> Vec<Status> {
        if self.line.is("all") {
            return Status::ALL.to_vec();
        }
        let mut states = Vec::new();
        for (flag, of_flag) in [
            ("deployed", &[Status::Deployed][..]),
            ("uninstalled", &[Status::Uninstalled]),
            ("uninstalling", &[Status::Uninstalling]),
            ("pending", &[Status::PendingInstall, Status::PendingUpgrade, Status::PendingRollback]),
            ("failed", &[Status::Failed]),
            ("superseded", &[Status::Superseded]),
        ] {
            if self.line.is(flag) {
                states.extend(of_flag);
            }
        }
        if states.is_empty() {
            states = vec![Status::Deployed, Status::Failed];
        }
        states
    }

    fn print_list(&mut self, releases: &[Release]) -> Result<(), Failure> {
        let format = self.line.format()?;
        if self.line.is("short") {
            let names: Vec<&str> = releases.iter().map(|it| it.name.as_str()).collect();
            self.out += &match format {
                Format::Json => go_json(&names)?,
                Format::Yaml => yaml(&names)?,
                Format::Table => names.iter().map(|name| format!("{name}\n")).collect(),
            };
            return Ok(());
        }
        let updated = |it: &Release| it.info.last_deployed.map_or_else(|| "-".to_owned(), time::string);
        if format == Format::Table {
            let mut rows = Vec::new();
            if !self.line.is("no-headers") {
                rows.push(
                    ["NAME", "NAMESPACE", "REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION"]
                        .map(str::to_owned)
                        .to_vec(),
                );
            }
            rows.extend(releases.iter().map(|it| {
                vec![
                    it.name.clone(),
                    it.namespace.clone(),
                    it.version.to_string(),
                    updated(it),
                    it.info.status.word().to_owned(),
                    it.chart_name(),
                    it.app_version(),
                ]
            }));
            self.out += &table(&rows);
            return Ok(());
        }
        let rows: Vec<Listed> = releases
            .iter()
            .map(|it| Listed {
                name: &it.name,
                namespace: &it.namespace,
                revision: it.version.to_string(),
                updated: updated(it),
                status: it.info.status,
                chart: it.chart_name(),
                app_version: it.app_version(),
            })
            .collect();
        self.out += &if format == Format::Json { go_json(&rows)? } else { yaml(&rows)? };
        Ok(())
    }

    pub(super) async fn history(&mut self) -> Result<(), Failure> {
        self.reachable().await?;
        let name = self.line.word(0).to_owned();
        let all = self.storage().history(&name).await?;
        let max = usize::try_from(self.line.number("max", 256)?).unwrap_or(0);
        let releases = &all[all.len().saturating_sub(max)..];
        match self.line.format()? {
            Format::Table => {
                let head = ["REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION", "DESCRIPTION"];
                let mut rows = vec![head.map(str::to_owned).to_vec()];
                rows.extend(releases.iter().map(|it| {
                    vec![
                        it.version.to_string(),
                        it.info.last_deployed.map(time::ansic).unwrap_or_default(),
                        it.info.status.word().to_owned(),
                        it.chart_name(),
                        it.app_version(),
                        it.info.description.clone(),
                    ]
                }));
                self.out += &table(&rows);
            }
            format => {
                let rows: Vec<Past> = releases
                    .iter()
                    .map(|it| Past {
                        revision: it.version,
                        updated: it.info.last_deployed.map(|at| at.to_string()).unwrap_or_default(),
                        status: it.info.status,
                        chart: it.chart_name(),
                        app_version: it.app_version(),
                        description: &it.info.description,
                    })
                    .collect();
                self.out += &if format == Format::Json { go_json(&rows)? } else { yaml(&rows)? };
            }
        }
        Ok(())
    }

    pub(super) async fn get_values(&mut self) -> Result<(), Failure> {
        self.reachable().await?;
        let name = self.line.word(0).to_owned();
        let release = self.storage().get(&name, self.line.number("revision", 0)?).await?;
        let user = release.config.clone();
        let values = if self.line.is("all") {
            let defaults = release.chart.as_ref().and_then(|it| it["values"].as_object().cloned());
            Value::Object(super::values::computed(&defaults.unwrap_or_default(), &user.unwrap_or_default()))
        } else {
            user.map_or(Value::Null, Value::Object)
        };
        self.out += &match self.line.format()? {
            Format::Json => go_json(&values)?,
            Format::Yaml => yaml(&values)?,
            Format::Table => {
                let head = if self.line.is("all") { "COMPUTED VALUES:" } else { "USER-SUPPLIED VALUES:" };
                format!("{head}\n{}", yaml(&values)?)
            }
        };
        Ok(())
    }

    pub(super) async fn get_manifest(&mut self) -> Result<(), Failure> {
        self.reachable().await?;
        let name = self.line.word(0).to_owned();
        let release = self.storage().get(&name, self.line.number("revision", 0)?).await?;
        self.out += &release.manifest;
        self.out.push('\n');
        Ok(())
    }
}

/// An entry of `helm list -o json`; the revision is a text here.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    namespace: &'a str,
    revision: String,
    updated: String,
    status: Status,
    chart: String,
    app_version: String,
}

/// An entry of `helm history -o json`; the revision is a number here.
#[derive(Serialize)]
struct Past<'a> {
    revision: i64,
    updated: String,
    status: Status,
    chart: String,
    app_version: String,
    description: &'a str,
}

/// JSON as Go's encoder writes it: one line, and three characters escaped.
fn go_json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::said(error.to_string()))?;
    Ok(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026") + "\n")
}

fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    let value = serde_json::to_value(value).map_err(|error| Failure::said(error.to_string()))?;
    if value == json!({}) || value == json!([]) || value.is_null() {
        return Ok(format!("{value}\n"));
    }
    Ok(super::chart::yaml(&value))
}

/// Columns padded to their widest cell, a tab between them.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("\t") + "\n"
    };
    rows.iter().map(line).collect()
}
