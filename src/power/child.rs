//! A meter that is a program of its own: started, read, and never left behind.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{self, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a meter may take to end after it was asked to.
const GRACE: Duration = Duration::from_millis(500);
/// How much of what it complains about is kept, in bytes.
const COMPLAINT: u64 = 4096;

/// A running meter. Dropping it ends it.
#[derive(Debug)]
pub struct Child {
    child: process::Child,
    name: String,
    complaint: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Child {
    /// Starts a meter, in the plain locale, with nothing to read; its standard output is for the caller.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command) -> io::Result<(Self, ChildStdout)> {
        let name = command.get_program().to_string_lossy().into_owned();
        // In a group of its own: ^C is for us, and we end it.
        command.process_group(0).env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let complaint = Arc::new(Mutex::new(String::new()));
        let (Some(stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::Error::other("no pipe to it"));
        };
        let heard = Arc::clone(&complaint);
        let listener = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.by_ref().take(COMPLAINT).read_to_end(&mut bytes);
            if let Ok(mut heard) = heard.lock() {
                *heard = String::from_utf8_lossy(&bytes).trim().to_owned();
            }
            // The rest is read and dropped, so that it never waits for us.
            let _ = io::copy(&mut stderr, &mut io::sink());
        });
        Ok((Self { child, name, complaint, listener: Some(listener) }, stdout))
    }

    /// How it ended, after its output has: `None` when all went well, otherwise what it said.
    pub fn verdict(&mut self) -> Option<String> {
        let status = self.wait(GRACE)?;
        if let Some(listener) = self.listener.take() {
            // Its grandchildren may hold stderr open for longer: what was heard by now must do.
            let until = Instant::now() + GRACE;
            while !listener.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        if status.success() {
            return None;
        }
        let said = self.complaint.lock().map(|said| said.clone()).unwrap_or_default();
        let said = if said.is_empty() { status.to_string() } else { said };
        Some(format!("{}: {said}", self.name))
    }

    /// Ends it: first asked, then, when it does not listen, killed. A meter under sudo cannot be signalled by whoever is
    /// not root; it ends at its next line, because nobody reads it any more.
    pub fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if self.wait(GRACE).is_none() {
            let _ = self.child.kill();
            self.wait(GRACE);
        }
    }

    fn wait(&mut self, patience: Duration) -> Option<process::ExitStatus> {
        let until = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
                _ => return None,
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}
