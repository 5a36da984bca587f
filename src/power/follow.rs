//! A file that grows, such as the log of a meter that somebody else runs: read on and on, as `tail -F` does.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the file is looked at when nothing is new in it.
const LOOK: Duration = Duration::from_millis(50);

/// The file.
pub struct Followed {
    path: PathBuf,
    file: File,
    /// What it is by the system's count: device and number.
    identity: (u64, u64),
    read: u64,
}

impl Followed {
    /// The file at `path`.
    ///
    /// # Errors
    /// When it cannot be opened, or is no regular file.
    pub fn open(path: &Path) -> Result<Self, String> {
        let failed = |why: io::Error| format!("{}: {why}", path.display());
        let file = File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(format!("{}: no regular file, which comes by itself: leave --follow out", path.display()));
        }
        Ok(Self { path: path.to_owned(), file, identity: (meta.dev(), meta.ino()), read: 0 })
    }

    /// What is in it at this moment.
    pub fn present(&mut self) -> impl Read {
        Present(self)
    }

    fn read_on(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(bytes)?;
        self.read += read as u64;
        Ok(read)
    }

    /// Begins again where another file has taken its place, or where it was emptied.
    fn begin_again(&mut self) -> io::Result<bool> {
        // Between the old file and the new one there may be none.
        let Ok(meta) = fs::metadata(&self.path) else { return Ok(false) };
        if (meta.dev(), meta.ino()) != self.identity {
            let Ok(file) = File::open(&self.path) else { return Ok(false) };
            (self.file, self.identity) = (file, (meta.dev(), meta.ino()));
        } else if meta.len() < self.read {
            self.file.seek(SeekFrom::Start(0))?;
        } else {
            return Ok(false);
        }
        self.read = 0;
        Ok(true)
    }
}

struct Present<'a>(&'a mut Followed);

impl Read for Present<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read_on(bytes)
    }
}

impl Read for Followed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.read_on(bytes)?;
            if read > 0 || bytes.is_empty() {
                return Ok(read);
            }
            if self.begin_again()? {
                // The last line of the old file ends here, whole or not.
                bytes[0] = b'\n';
                return Ok(1);
            }
            std::thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_read_on_after_it_grew_was_emptied_or_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "old\n").unwrap();
        let mut followed = Followed::open(&path).unwrap();
        let mut present = String::new();
        followed.present().read_to_string(&mut present).unwrap();
        assert_eq!(present, "old\n");
        let mut next = || {
            let mut bytes = [0; 64];
            let read = followed.read(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..read]).into_owned()
        };
        File::options().append(true).open(&path).unwrap().write_all(b"new\n").unwrap();
        assert_eq!(next(), "new\n");
        fs::write(&path, "again\n").unwrap();
        assert_eq!((next(), next()), ("\n".into(), "again\n".into()));
        let other = folder.path().join("other");
        fs::write(&other, "another, longer than before\n").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!((next(), next()), ("\n".into(), "another, longer than before\n".into()));
        assert!(Followed::open(folder.path()).is_err() && Followed::open(Path::new("/nowhere")).is_err());
    }
}
