//! `schema`: what is generated of the types, kept in the repository so that a change is a visible diff: the JSON
//! Schemas, and the reference of scenario files.

use harness::verdict::ExitCode;
use xshell::cmd;

use crate::args::SchemaArgs;
use crate::failure::Failure;
use crate::{build, scenario};

/// `cargo xtask schema`.
pub(crate) fn run(args: &SchemaArgs) -> Result<ExitCode, Failure> {
    let built = build::executables(&["eks-installer"])?;
    let shell = build::shell()?;
    let installer = build::executable(&built, "eks-installer")?;
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(ExitCode::Infrastructure, format!("failed to make the schemas: {error}"))
    };
    let result = cmd!(shell, "{installer} schema").quiet().read().map_err(|error| failed(&error))?;
    let config = cmd!(shell, "{installer} schema config").quiet().read().map_err(|error| failed(&error))?;
    let schema = harness::scenario::schema();
    let scenario_schema = serde_json::to_string_pretty(&schema).map_err(|error| failed(&error))?;
    let reference = harness::scenario::reference(&schema);
    let mut differing = Vec::new();
    for (name, text) in [
        ("schemas/result.json", result),
        ("schemas/installer-config.json", config),
        ("schemas/scenario.json", scenario_schema),
        ("docs/scenario-reference.md", reference),
    ] {
        let path = build::root().join(name);
        let text = format!("{}\n", text.trim_end());
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        if kept == text {
            continue;
        }
        differing.push(name);
        if !args.check {
            std::fs::create_dir_all(path.parent().unwrap_or(&path))
                .and_then(|()| std::fs::write(&path, text))
                .map_err(|error| failed(&error))?;
        }
    }
    if args.check && !differing.is_empty() {
        let what = format!("not what the code generates: {}", differing.join(", "));
        return Err(Failure::new(ExitCode::Failed, what).hint("cargo xtask schema"));
    }
    let words = if differing.is_empty() {
        "up to date".to_owned()
    } else {
        format!("written: {}", differing.join(", "))
    };
    scenario::print(&format!("schemas {words}\n"))?;
    Ok(ExitCode::Ok)
}
