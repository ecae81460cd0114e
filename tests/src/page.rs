//! Pages for users, as tests read them.

use std::path::{Path, PathBuf};

use crate::workspace;

/// A page.
pub struct Page {
    /// Its path below the root of the workspace.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// A fenced block.
pub struct Block<'p> {
    /// The word after the fence: `yaml`, `console`.
    pub language: &'p str,
    /// Line of the fence, counted from 1.
    pub line: usize,
    /// What stands between the fences.
    pub text: String,
}

impl Page {
    /// Reads one, by its path below the root.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn read(path: &str) -> Self {
        let text = std::fs::read_to_string(workspace::root().join(path)).expect("the page is there");
        Self { path: path.into(), text }
    }

    /// Every page of the workspace that is written for people.
    ///
    /// # Panics
    /// The folder of the documentation cannot be read.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let markdown = |path: &PathBuf| path.extension().is_some_and(|it| it == "md");
        let folders = ["", "docs", "installer"].map(|folder| workspace::root().join(folder));
        let entries = folders.iter().flat_map(|it| std::fs::read_dir(it).expect("a folder").flatten());
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(markdown).collect();
        paths.sort();
        let below = |path: &PathBuf| path.strip_prefix(workspace::root()).map(Path::to_path_buf);
        paths.iter().filter_map(|path| Some(Self::read(below(path).ok()?.to_str()?))).collect()
    }

    /// Its fenced blocks, in order.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut open: Option<Block<'_>> = None;
        for (index, line) in self.text.lines().enumerate() {
            match (line.strip_prefix("```"), open.take()) {
                (Some(_), Some(block)) => blocks.push(block),
                (Some(language), None) => {
                    open = Some(Block { language, line: index + 1, text: String::new() });
                }
                (None, Some(mut block)) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                    open = Some(block);
                }
                (None, None) => {}
            }
        }
        blocks
    }

    /// Its text without fenced blocks and without what stands between backticks.
    #[must_use]
    pub fn prose(&self) -> String {
        let mut fenced = false;
        let lines = self.text.lines().filter(|line| {
            let fence = line.starts_with("```");
            fenced ^= fence;
            !fence && !fenced
        });
        let spans = |line: &str| line.split('`').step_by(2).collect::<String>();
        lines.map(|line| spans(line) + "\n").collect()
    }

    /// The anchors of its headings.
    #[must_use]
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.text.lines().filter(|line| line.starts_with('#'));
        let letter = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        let anchor = |heading: &str| {
            let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            words.chars().filter(|c| letter(*c)).collect()
        };
        headings.map(anchor).collect()
    }
}
