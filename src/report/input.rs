//! Which files a report is made from: result files as they are named, run folders by the names that every flow leaves.

use std::path::{Path, PathBuf};

/// The streams of a run folder, in the order in which they are read: what results refer to comes first.
const STREAMS: [&str; 4] = ["models.ndjson", "results.ndjson", "power.ndjson", "memory.ndjson"];

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file; `-` is standard input.
    pub path: PathBuf,
    /// The number of the run folder it belongs to, in [`Sources::folders`]; `None` for standard input.
    pub folder: Option<usize>,
}

/// What the operands of the program come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The files, in order.
    pub files: Vec<Source>,
    /// The folders that relative paths in them are of.
    pub folders: Vec<PathBuf>,
}

/// Finds the files of operands; none is standard input.
///
/// # Errors
/// When a folder has no `results.ndjson`; the sentence says what was looked for.
pub fn sources(operands: &[PathBuf]) -> anyhow::Result<Sources> {
    let mut sources = Sources::default();
    if operands.is_empty() {
        sources.files.push(Source { path: "-".into(), folder: None });
    }
    for operand in operands {
        if operand.as_os_str() == "-" {
            sources.files.push(Source { path: operand.clone(), folder: None });
        } else if operand.is_dir() {
            let folder = sources.folder(operand);
            let found: Vec<PathBuf> = STREAMS.iter().map(|name| operand.join(name)).filter(|f| f.is_file()).collect();
            if !operand.join("results.ndjson").is_file() {
                anyhow::bail!(
                    "{}: no results.ndjson in this folder: name a run folder or a file of results",
                    operand.display()
                );
            }
            sources.files.extend(found.into_iter().map(|path| Source { path, folder: Some(folder) }));
        } else {
            let parent = operand.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let folder = sources.folder(parent);
            sources.files.push(Source { path: operand.clone(), folder: Some(folder) });
        }
    }
    Ok(sources)
}

impl Sources {
    fn folder(&mut self, folder: &Path) -> usize {
        self.folders.iter().position(|known| known == folder).unwrap_or_else(|| {
            self.folders.push(folder.to_owned());
            self.folders.len() - 1
        })
    }
}
