//! Files that are whole or not there.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Writes `bytes` to `path`, making its folder: whoever looks sees the old file or the whole new one, never a part.
///
/// # Errors
/// When the folder or the file cannot be written; the message names the path.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let named = |why: io::Error| io::Error::new(why.kind(), format!("{}: {why}", path.display()));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(named)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".llm-bench-").suffix(".tmp");
    // A temporary file is private; what is left for people has the rights that their umask leaves any new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(named)?;
    file.write_all(bytes).map_err(named)?;
    file.persist(path).map(|_| ()).map_err(|why| named(why.error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_its_folder_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/x.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        let why = write_atomic(&path.join("below-a-file"), b"x").unwrap_err().to_string();
        assert!(why.contains("below-a-file"), "{why}");
    }
}
