//! Which files a report is made from: result files as they are named, run folders by the names that every flow leaves.

use crate::record::Accuracy;
use anyhow::Context;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The streams of a run folder, in the order in which they are read: what results refer to comes first.
const STREAMS: [&str; 5] = ["models.ndjson", "results.ndjson", "power.ndjson", "memory.ndjson", CALIBRATION];

/// What an accuracy curve leaves in its run folder.
const CALIBRATION: &str = "accuracy.ndjson";

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file; `-` is standard input.
    pub path: PathBuf,
    /// The number of the run folder it belongs to, in [`Sources::folders`]; `None` for standard input.
    pub folder: Option<usize>,
    /// Whether it is one document of the scripts before us rather than lines of records.
    pub legacy: bool,
}

/// What the operands of the program come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The files, in order.
    pub files: Vec<Source>,
    /// The folders that relative paths in them are of.
    pub folders: Vec<PathBuf>,
}

impl Sources {
    /// The files that lie in folders: the number of the folder, and the name; each once.
    pub fn named(&self) -> Vec<(usize, String)> {
        let mut named = Vec::new();
        for source in &self.files {
            let name = source.path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            named.extend(source.folder.zip(name).filter(|one| !named.contains(one)));
        }
        named
    }
}

/// Finds the files of operands; none is standard input.
///
/// # Errors
/// When a folder has neither a `results.ndjson` nor any JSON file; the sentence says what was looked for.
pub fn sources(operands: &[PathBuf]) -> anyhow::Result<Sources> {
    let mut sources = Sources::default();
    if operands.is_empty() {
        sources.files.push(Source { path: "-".into(), folder: None, legacy: false });
    }
    for operand in operands {
        if operand.as_os_str() == "-" {
            sources.files.push(Source { path: operand.clone(), folder: None, legacy: false });
        } else if operand.is_dir() {
            let folder = sources.folder(operand);
            let ours = operand.join("results.ndjson").is_file();
            let found = if ours {
                STREAMS.iter().map(|name| operand.join(name)).filter(|file| file.is_file()).collect()
            } else {
                documents(operand)?
            };
            if found.is_empty() {
                anyhow::bail!(
                    "{}: no results.ndjson in this folder, nor MODEL.json files: name a run folder or a file of results",
                    operand.display()
                );
            }
            sources.files.extend(found.into_iter().map(|path| Source { path, folder: Some(folder), legacy: !ours }));
        } else {
            let parent = operand.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let folder = sources.folder(parent);
            sources.files.push(Source { path: operand.clone(), folder: Some(folder), legacy: false });
        }
    }
    Ok(sources)
}

/// A short name for one of several operands: its last part, unless another has the same.
pub fn name(one: &Path, all: &[PathBuf]) -> String {
    let alone = all.iter().filter(|other| other.file_name() == one.file_name()).count() == 1;
    let short = one.file_name().filter(|_| alone).map(|name| name.to_string_lossy().into_owned());
    short.unwrap_or_else(|| one.display().to_string())
}

/// The accuracy in a file of records, or in the folder that an accuracy curve left.
///
/// # Errors
/// When the file cannot be read, or has none.
pub fn accuracy(path: &Path) -> anyhow::Result<Accuracy> {
    let file = if path.is_dir() { path.join(CALIBRATION) } else { path.to_owned() };
    let open = std::fs::File::open(&file).with_context(|| file.display().to_string())?;
    let found = super::accuracy::read(std::io::BufReader::new(open)).with_context(|| file.display().to_string())?;
    found.with_context(|| {
        format!(
            "{}: no accuracy record in it: name what `make accuracy` left, the folder or its {CALIBRATION}",
            file.display()
        )
    })
}

/// What tells an input from what it was: where it lies on the disk, how long it is, and when it was last written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    place: (u64, u64),
    length: u64,
    written: (i64, i64),
}

/// The state of each input now, so that a change is seen; a file that is not there has none.
///
/// # Errors
/// When an operand is standard input or a pipe, which cannot be read twice.
pub fn states(operands: &[PathBuf]) -> anyhow::Result<Vec<(PathBuf, Option<State>)>> {
    if operands.is_empty() || operands.iter().any(|operand| operand.as_os_str() == "-") {
        anyhow::bail!("--follow: standard input cannot be read again: name a file that grows, or a run folder");
    }
    let mut states = Vec::new();
    for operand in operands {
        let files: Vec<PathBuf> = if operand.is_dir() {
            // A run folder of ours has documents too, which nobody reads; the report itself may be one of them.
            let ours = operand.join("results.ndjson").is_file();
            let documents = if ours { Vec::new() } else { documents(operand).unwrap_or_default() };
            STREAMS.iter().map(|name| operand.join(name)).chain(documents).collect()
        } else {
            vec![operand.clone()]
        };
        for file in files {
            let known = std::fs::metadata(&file).ok();
            if known.as_ref().is_some_and(|known| !known.is_file() && !known.is_dir()) {
                anyhow::bail!(
                    "--follow: {} is no file, and cannot be read again: name a file that grows, or a run folder",
                    file.display()
                );
            }
            let state = known.map(|known| State {
                place: (known.dev(), known.ino()),
                length: known.len(),
                written: (known.mtime(), known.mtime_nsec()),
            });
            states.push((file, state));
        }
    }
    Ok(states)
}

/// How many files end in the middle of a line: whoever writes them is not through with it.
pub fn unended(sources: &Sources) -> u64 {
    let unended = |path: &Path| -> std::io::Result<bool> {
        let mut file = std::fs::File::open(path)?;
        let mut end = [b'\n'];
        if file.metadata()?.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut end)?;
        }
        Ok(end != [b'\n'])
    };
    sources.files.iter().filter(|source| !source.legacy && unended(&source.path).unwrap_or(false)).count() as u64
}

/// Whether there is anything at an operand that can be read: a file, or a folder that holds what is looked for.
pub fn is_there(operand: &Path) -> bool {
    if operand.is_dir() {
        return operand.join("results.ndjson").is_file()
            || documents(operand).is_ok_and(|documents| !documents.is_empty());
    }
    operand.exists()
}

/// The JSON files of a folder, by name.
fn documents(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        if path.extension().is_some_and(|ending| ending == "json") && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

impl Sources {
    fn folder(&mut self, folder: &Path) -> usize {
        self.folders.iter().position(|known| known == folder).unwrap_or_else(|| {
            self.folders.push(folder.to_owned());
            self.folders.len() - 1
        })
    }
}
