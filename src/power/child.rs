//! A meter that is a program of its own: started, read, and never left behind.
//!
//! It runs in a process group of its own, under a shell that holds it on a leash: a pipe whose other end this program
//! has. When that end closes, for whatever reason (also when this program is killed and can do nothing any more), the
//! shell ends the whole group, so that what the meter started goes with it.

use super::text::on_path;
use crate::process_group::Group;
use std::io::{self, Read};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a meter may take to end after it was asked to.
const GRACE: Duration = Duration::from_millis(500);
/// How long those that were killed may take to be gone.
const DEATH: Duration = Duration::from_millis(200);
/// How much of what it complains about is kept, in bytes.
const COMPLAINT: u64 = 4096;

/// The shell that holds the meter: `$@`. Whoever waits for the end of standard input is deaf to the signal that it gives
/// to all, so that it is there to give the last one; what runs under sudo hears only sudo. The shell, too, is deaf as soon
/// as the meter runs: it ends when the meter does, and with its status.
const LEASH: &str = r#"
exec 3<&0 </dev/null
(
    trap '' TERM
    exec >/dev/null 2>&1
    read -r _ <&3
    kill -TERM 0
    [ "$1" = sudo ] && sudo -n kill -TERM -- "-$$"
    sleep 1
    kill -KILL 0
) &
leash=$!
exec 3<&-
"$@" &
meter=$!
trap '' TERM
exec >/dev/null
wait "$meter"
status=$?
exec 2>/dev/null
kill -KILL "$leash"
wait "$leash"
exit "$status"
"#;

/// How long a program that is only asked something may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How much of its answer is taken, in bytes.
const MOST_ANSWER: u64 = 1 << 20;

/// What a program says, when it ends in time and with success: a driver that hangs must not hang whoever asks it.
pub fn answer(command: &Command) -> Option<String> {
    let (mut child, mut stdout) = Child::start(command).ok()?;
    let (tell, said) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stdout.by_ref().take(MOST_ANSWER).read_to_end(&mut bytes);
        let _ = io::copy(&mut stdout, &mut io::sink());
        let _ = tell.send(bytes);
    });
    let ended = child.group.wait(ANSWER).is_some() && child.verdict().is_none();
    drop(child);
    // Who went away from the group may still hold its output open, and is not waited for.
    let said = ended.then(|| said.recv_timeout(GRACE).ok()).flatten()?;
    Some(String::from_utf8_lossy(&said).into_owned())
}

/// A running meter. Dropping it ends it.
#[derive(Debug)]
pub struct Child {
    group: Group,
    leash: Option<ChildStdin>,
    name: String,
    complaint: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Child {
    /// Starts a meter, in the plain locale, with nothing to read; its standard output is for the caller. Of `command` its
    /// program and its arguments are taken.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &Command) -> io::Result<(Self, ChildStdout)> {
        let program = command.get_program();
        let name = program.to_string_lossy().into_owned();
        if !name.contains('/') && !on_path(&name) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such program: install it"));
        }
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", LEASH, "sh"]).arg(program).args(command.get_args());
        shell.env("LC_ALL", "C");
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // ^C is for this program, which ends the group.
        let mut group = Group::spawn(shell, DEATH)?;
        let shell = group.leader();
        let complaint = Arc::new(Mutex::new(String::new()));
        let (Some(stdout), Some(mut stderr)) = (shell.stdout().take(), shell.stderr().take()) else {
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
        // Held for its end, not for its use.
        let leash = shell.stdin().take();
        Ok((Self { group, leash, name, complaint, listener: Some(listener) }, stdout))
    }

    /// How it ended, after its output has: `None` when all went well or it was stopped, otherwise what it said.
    pub fn verdict(&mut self) -> Option<String> {
        self.leash.as_ref()?;
        let status = self.group.wait(GRACE)?;
        self.kill();
        if let Some(listener) = self.listener.take() {
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
        // What --command says is the user's own, and has no name.
        Some(if self.name == "sh" { format!("the program: {said}") } else { format!("{}: {said}", self.name) })
    }

    /// Ends it and all that it started: first asked, then, when it does not listen, killed. What runs under sudo cannot be
    /// signalled by whoever is not root: sudo is asked to, and where it will not, the meter ends at its next line, because
    /// nobody reads it any more.
    pub fn stop(&mut self) {
        self.group.terminate();
        if self.group.wait(GRACE).is_none() && self.name == "sudo" {
            self.ask_sudo();
        }
        self.kill();
    }

    fn ask_sudo(&mut self) {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "kill", "-TERM", "--"]).arg(format!("-{}", self.group.id()));
        let sudo = sudo.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.group.wait(GRACE);
        if let Ok(mut sudo) = sudo {
            let _ = sudo.kill();
            let _ = sudo.wait();
        }
    }

    fn kill(&mut self) {
        self.group.kill();
        self.leash = None;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_asked_answers_in_time_or_not_at_all() {
        let asked = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            answer(&command)
        };
        assert_eq!(asked("echo yes").as_deref(), Some("yes\n"));
        assert_eq!(asked("echo yes; exit 3"), None);
        let started = Instant::now();
        assert_eq!(asked("echo yes; sleep 60"), None);
        assert!(started.elapsed() < Duration::from_secs(20));
        assert_eq!(answer(&Command::new("no-such-program-anywhere")), None);
    }
}
