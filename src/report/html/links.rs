//! Links to artifacts: relative, encoded, and only to files that are where the record says.

use crate::report::Options;
use std::path::{Component, Path, PathBuf};

/// The link to a file of a run folder, as seen from the place of the report. `None` for a path that is not plainly a
/// relative one, for a file that is not there, and where the two places have nothing in common.
pub fn href(options: &Options, folder: Option<usize>, file: &str) -> Option<String> {
    let folder = options.folders.get(folder?)?;
    let file = plain(file).filter(|file| folder.join(file).is_file())?;
    let way = match &options.output {
        // Printed, the page is meant for the folder it was made from.
        None => PathBuf::new(),
        Some(output) => between(&std::path::absolute(output).ok()?, &std::path::absolute(folder).ok()?)?,
    };
    let mut parts = Vec::new();
    for part in way.join(file).components() {
        parts.push(match part {
            Component::ParentDir => "..".to_owned(),
            Component::Normal(name) => encoded(name.to_str()?),
            _ => return None,
        });
    }
    Some(parts.join("/"))
}

/// A path that is plainly a relative one, of names only.
fn plain(file: &str) -> Option<&Path> {
    let path = Path::new(file);
    let names = path.components().all(|part| matches!(part, Component::Normal(_)));
    (names && !file.is_empty() && !file.contains('\\') && !file.chars().any(char::is_control)).then_some(path)
}

/// A produced page of a run folder, to be read: one that is named like a page and is no link to elsewhere, for what it holds
/// goes into the report.
pub fn artifact(folder: &Path, file: &str) -> Option<PathBuf> {
    let path = folder.join(plain(file)?);
    // A record could name any file that lies there.
    path.extension().filter(|end| end.eq_ignore_ascii_case("html") || end.eq_ignore_ascii_case("htm"))?;
    let real = path.canonicalize().ok()?;
    (real.is_file() && real.starts_with(folder.canonicalize().ok()?)).then_some(path)
}

/// The relative way from one absolute folder to another.
fn between(from: &Path, to: &Path) -> Option<PathBuf> {
    let (from, to): (Vec<_>, Vec<_>) = (clean(from)?, clean(to)?);
    let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(PathBuf::from(".."), from.len() - same);
    Some(up.chain(to[same..].iter().map(PathBuf::from)).collect())
}

/// The names of an absolute path, `.` and `..` resolved by their letters.
fn clean(path: &Path) -> Option<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name.to_owned()),
            Component::ParentDir => drop(names.pop()?),
            Component::RootDir | Component::CurDir => {}
            Component::Prefix(prefix) => names.push(prefix.as_os_str().to_owned()),
        }
    }
    Some(names)
}

/// A name with everything but RFC 3986's unreserved characters percent-encoded: no name is a scheme, a query or markup.
fn encoded(name: &str) -> String {
    name.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => (b as char).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_from_the_report_to_the_file_and_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        let run = root.path().join("reports/x y");
        std::fs::create_dir_all(&run).unwrap();
        for name in ["a_b.html", "javascript:alert(1)", "ü?.txt"] {
            std::fs::write(run.join(name), "x").unwrap();
        }
        std::fs::write(root.path().join("secret"), "x").unwrap();
        let at = |output: Option<&str>, file: &str| {
            let output = output.map(|o| root.path().join(o));
            let options = Options { folders: vec![run.clone()], output, ..Options::default() };
            href(&options, Some(0), file)
        };
        for (output, file, expect) in [
            (None, "a_b.html", Some("a_b.html")),
            (Some("reports/x y"), "a_b.html", Some("a_b.html")),
            (Some("."), "a_b.html", Some("reports/x%20y/a_b.html")),
            (Some("out/deep"), "a_b.html", Some("../../reports/x%20y/a_b.html")),
            (None, "javascript:alert(1)", Some("javascript%3Aalert%281%29")),
            (None, "ü?.txt", Some("%C3%BC%3F.txt")),
            (None, "not-there.html", None),
            (None, "../../secret", None),
            (None, "/etc/passwd", None),
            (None, "", None),
        ] {
            assert_eq!(at(output, file).as_deref(), expect, "{output:?} {file}");
        }
    }
}
