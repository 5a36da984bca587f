//! A program in a process group of its own, which is killed with everything that it started.

use process_wrap::std::{ChildWrapper, CommandWrap, ProcessGroup};
use rustix::process::{Pid, Signal, test_kill_process_group};
use std::io;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// The leader of a process group. Dropping it kills the group.
#[derive(Debug)]
pub struct Group {
    leader: Box<dyn ChildWrapper>,
    death: Duration,
    killed: bool,
}

impl Group {
    /// Starts `command` as the leader of a new process group. Once killed, the group is waited for at most for `death`: a
    /// zombie that its parent does not reap never goes.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(command: Command, death: Duration) -> io::Result<Self> {
        let leader = CommandWrap::from(command).wrap(ProcessGroup::leader()).spawn()?;
        Ok(Self { leader, death, killed: false })
    }

    /// The leader, for its pipes.
    pub fn leader(&mut self) -> &mut dyn ChildWrapper {
        self.leader.as_mut()
    }

    /// The id of the group.
    pub fn id(&self) -> u32 {
        self.leader.id()
    }

    /// Asks every process of the group to end.
    pub fn terminate(&self) {
        if !self.killed {
            // A group that is gone needs no signal.
            let _ = self.leader.signal(Signal::TERM.as_raw());
        }
    }

    /// Waits for the leader to exit; its status, or `None` when it still runs after `patience`.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            match self.leader.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                status => return status.ok().flatten(),
            }
        }
    }

    /// Kills the group and waits until it is gone.
    pub fn kill(&mut self) {
        // The id may belong to another group once this one is gone.
        if std::mem::replace(&mut self.killed, true) {
            return;
        }
        let _ = self.leader.start_kill();
        let _ = self.leader.wait();
        let group = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        let deadline = Instant::now() + self.death;
        while group.is_some_and(|group| test_kill_process_group(group).is_ok()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::Stdio;

    #[test]
    fn drop_kills_what_the_leader_left_behind() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; sleep 600 & exit 3"]).stdout(Stdio::piped());
        let mut group = Group::spawn(command, Duration::from_secs(3)).unwrap();
        let mut stdout = group.leader().stdout().take().unwrap();
        assert_eq!(group.wait(Duration::from_secs(30)).and_then(|status| status.code()), Some(3));
        drop(group);
        // The sleep held the other end.
        assert_eq!(stdout.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn wait_ends_when_patience_does() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let mut group = Group::spawn(command, Duration::from_secs(3)).unwrap();
        assert_eq!(group.wait(Duration::from_millis(20)), None);
        group.terminate();
        assert!(group.wait(Duration::from_secs(30)).is_some());
    }
}
