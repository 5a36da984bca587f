//! Running powermetrics, which only root may: by sudo where that asks for no password, and otherwise not at all.

use super::child::answer;
use super::text::on_path;
use std::process::Command;
use std::time::Duration;

/// How to be allowed to run it.
const ALLOW: &str = "run power-sample with sudo, or let sudo run the meter: \
                     sudo powermetrics -s cpu_power,gpu_power -i 1000 | power-sample --from -";

/// The command that writes the log, through sudo where this program is not root: without a password or not at all.
/// So many samples it writes at most: what cannot be ended from here ends by itself.
pub fn command(interval: Duration, most: Option<u64>) -> Command {
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("powermetrics")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "powermetrics"]);
        sudo
    };
    // The neural engine is told beside the processor; Intel's Macs know no sampler of it.
    command.args(["-s", "cpu_power,gpu_power", "-b", "1", "-i"]).arg(interval.as_millis().to_string());
    if let Some(most) = most {
        command.arg("-n").arg(most.to_string());
    }
    command
}

/// Whether it is there and may be run without asking anyone.
pub fn allowed() -> bool {
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "-l", "powermetrics"]);
    on_path("powermetrics") && (rustix::process::geteuid().is_root() || answer(&sudo).is_some())
}

/// What its end means to whoever wanted to measure.
pub fn explain(why: &str) -> String {
    if !on_path("powermetrics") {
        return "powermetrics: not on this machine: it is a part of macOS; a log from a Mac is read with --from FILE"
            .into();
    }
    if why.is_empty()
        || why.contains("superuser")
        || why.contains("password is required")
        || why.contains("not allowed")
    {
        return needed();
    }
    why.to_owned()
}

/// That it needs root, and the two ways to give it that.
pub fn needed() -> String {
    format!("powermetrics needs root: {ALLOW}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_for_the_interval_in_milliseconds() {
        let args = |most| -> Vec<String> {
            let command = command(Duration::from_millis(1500), most);
            command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect()
        };
        assert!(args(None).ends_with(&["-i".into(), "1500".into()]));
        assert!(args(Some(7)).ends_with(&["-i".into(), "1500".into(), "-n".into(), "7".into()]));
        assert!(needed().contains("with sudo") && needed().contains("| power-sample --from -"));
    }
}
