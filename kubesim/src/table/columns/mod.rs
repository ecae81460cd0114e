//! The columns of the built-in kinds: heading, type, and what stands in the cell. One file for each family
//! of groups; the headings and their order are those of Kubernetes 1.37's own printers.

mod cluster;
mod core;
mod policy;
mod storage;
mod workloads;

use serde_json::{Value, json};

use super::words::View;
pub(super) use storage::default_class;

/// What fills one cell.
pub(super) type Cell = fn(&View<'_>) -> Value;

/// One column besides the name.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) format: &'static str,
    /// Only `-o wide` shows it.
    pub(super) wide: bool,
    pub(super) cell: Cell,
}

/// Columns of a kind, the name's own among them.
pub(super) type Columns = Vec<Column>;

fn column(name: &'static str, kind: &'static str, cell: Cell) -> Column {
    Column { name, kind, format: "", wide: false, cell }
}

fn text(name: &'static str, cell: Cell) -> Column {
    column(name, "string", cell)
}

fn integer(name: &'static str, cell: Cell) -> Column {
    column(name, "integer", cell)
}

fn boolean(name: &'static str, cell: Cell) -> Column {
    column(name, "boolean", cell)
}

fn wide(name: &'static str, cell: Cell) -> Column {
    Column { wide: true, ..text(name, cell) }
}

fn name() -> Column {
    Column { format: "name", ..text("Name", |view| json!(view.text(&["metadata", "name"]))) }
}

fn age() -> Column {
    text("Age", |view| json!(view.age()))
}

/// The columns of a built-in kind.
pub(super) fn of(group: &str, plural: &str) -> Columns {
    core::of(group, plural)
        .or_else(|| workloads::of(group, plural))
        .or_else(|| storage::of(group, plural))
        .or_else(|| policy::of(group, plural))
        .or_else(|| cluster::of(group, plural))
        // What has no printer of its own: roles, limit ranges.
        .unwrap_or_else(|| {
            let created = |view: &View<'_>| view.at(&["metadata", "creationTimestamp"]).clone();
            vec![name(), column("Created At", "date", created)]
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_kind_that_lists_has_a_name_column_and_cells_for_an_empty_object() {
        for resource in crate::resources::builtins() {
            let columns = of(&resource.group, &resource.plural);
            assert!(columns.iter().any(|column| column.format == "name"), "{}", resource.plural);
            let view = View { object: &json!({}), now: jiff::Timestamp::UNIX_EPOCH };
            for column in columns {
                (column.cell)(&view);
            }
        }
    }
}
