//! The `lms` program, LM Studio's command line: found, called with a time limit, and verified afterwards.
//!
//! Its exit status says almost nothing (a wrong model is loaded with 0, an unknown one is unloaded with 0), so that whoever calls
//! it asks the server afterwards. Only `--json` output is data; everything else is for people, on stderr, and may be drawn
//! with terminal sequences. No key is ever in its arguments, and of the keys in the environment it sees only LM Studio's own.
//! Source: LM Studio's command line, `src/subcommands/{list,load,unload,server}.ts`.

use crate::text;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// How long a question may take; the program may have to wake LM Studio first, which it waits a minute for.
pub const QUERY_LIMIT: Duration = Duration::from_secs(90);

/// How long it may take to leave after an interrupt, which cancels a load inside LM Studio too.
const GRACE: Duration = Duration::from_millis(700);

/// How long its output is still read when it has ended: whatever it started may hold the pipe open for ever.
const OUTPUT_LIMIT: Duration = Duration::from_millis(300);

/// The program, and the LM Studio that it speaks to.
#[derive(Debug, Clone)]
pub struct Lms {
    program: PathBuf,
    /// `host:port` of another machine's server.
    at: Option<String>,
    /// Environment variables that hold keys of other services, and that the program does not see.
    hidden_variables: Vec<&'static str>,
}

/// The arguments of `lms load`.
#[derive(Debug, Clone, Default)]
pub struct LoadArguments {
    /// A whole `modelKey`: anything less loads something else.
    pub key: String,
    /// `max`, `off` or a ratio.
    pub gpu: Option<String>,
    /// In tokens.
    pub context_length: Option<u64>,
    /// In seconds.
    pub ttl_seconds: Option<u64>,
    /// Requests at once.
    pub parallel: Option<u64>,
    /// The name of the instance.
    pub identifier: Option<String>,
}

/// What `lms load` reports.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadOutput {
    /// The name under which requests reach the instance.
    pub identifier: Option<String>,
    /// How long it took by its own clock, its own start not included.
    pub seconds: Option<f64>,
}

struct Output {
    status: ExitStatus,
    stdout: String,
    stderr: Vec<String>,
}

impl Lms {
    /// Finds the program: on PATH, else where LM Studio puts it. `at` is the `host:port` of a server on another machine; the program
    /// does not see the `hidden_variables`.
    ///
    /// # Errors
    /// When there is none, with what to do.
    pub fn find(at: Option<String>, hidden_variables: &[&'static str]) -> Result<Self, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let home = std::env::home_dir().unwrap_or_default();
        let own = [".lmstudio/bin", ".cache/lm-studio/bin"].map(|folder| home.join(folder));
        let found =
            std::env::split_paths(&path).chain(own).map(|folder| folder.join("lms")).find(|file| file.is_file());
        let program = found.ok_or("no `lms` on PATH: enable the command line in LM Studio's settings")?;
        Ok(Self { program, at, hidden_variables: hidden_variables.to_vec() })
    }

    /// `lms ls --json`: the models that are there.
    ///
    /// # Errors
    /// When it fails, or prints something else.
    pub async fn ls(&self) -> Result<Vec<Value>, String> {
        self.json(&["ls", "--json"]).await
    }

    /// `lms ps --json`: the models that are loaded.
    ///
    /// # Errors
    /// When it fails, or prints something else.
    pub async fn ps(&self) -> Result<Vec<Value>, String> {
        self.json(&["ps", "--json"]).await
    }

    async fn json(&self, args: &[&str]) -> Result<Vec<Value>, String> {
        let output = self.call(args, QUERY_LIMIT).await?;
        let list = serde_json::from_str(output.stdout.trim()).or_else(|error| {
            // Text may precede the data.
            let lines = text::lines(&output.stdout);
            let from = lines.iter().position(|line| line.starts_with('[')).ok_or(error)?;
            serde_json::from_str(&lines[from..].join("\n"))
        });
        list.map_err(|error: serde_json::Error| format!("lms {}: not a list ({error})", args.join(" ")))
    }

    /// `lms load KEY -y …`, for at most `limit`. Dropped before its end, it is interrupted, and with it the load.
    ///
    /// # Errors
    /// With the output, when it fails or takes too long.
    pub async fn load(&self, arguments: &LoadArguments, limit: Duration) -> Result<LoadOutput, String> {
        if arguments.key.starts_with('-') {
            return Err(format!("{}: not the key of a model", arguments.key));
        }
        let mut args = vec!["load".to_owned(), arguments.key.clone(), "-y".to_owned()];
        let mut flag = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                args.extend([name.to_owned(), value]);
            }
        };
        flag("--gpu", arguments.gpu.clone());
        flag("--context-length", arguments.context_length.map(|n| n.to_string()));
        flag("--ttl", arguments.ttl_seconds.map(|n| n.to_string()));
        flag("--parallel", arguments.parallel.map(|n| n.to_string()));
        flag("--identifier", arguments.identifier.clone());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Ok(loaded(&self.call(&args, limit).await?.stderr))
    }

    /// `lms unload --all`.
    ///
    /// # Errors
    /// With the output.
    pub async fn unload_all(&self) -> Result<(), String> {
        self.call(&["unload", "--all"], QUERY_LIMIT).await.map(drop)
    }

    /// The port of the server, when `lms server status` reports a running one. It does not start LM Studio.
    pub async fn server_port(&self) -> Option<u16> {
        let output = self.call(&["server", "status", "--json"], QUERY_LIMIT).await.ok()?;
        let status: Value = serde_json::from_str(output.stdout.trim()).ok()?;
        let port =
            status.get("port").and_then(Value::as_u64).filter(|_| status.get("running") == Some(&Value::Bool(true)));
        port.and_then(|port| u16::try_from(port).ok())
    }

    /// `lms server start`, on `port` if one is given; returns the last line of output.
    ///
    /// # Errors
    /// With the output.
    pub async fn start_server(&self, port: Option<u16>) -> Result<String, String> {
        let port = port.map(|port| port.to_string());
        let mut args = vec!["server", "start"];
        if let Some(port) = &port {
            args.extend(["--port", port]);
        }
        Ok(self.call(&args, QUERY_LIMIT).await?.stderr.pop().unwrap_or_default())
    }

    async fn call(&self, args: &[&str], limit: Duration) -> Result<Output, String> {
        let named = || format!("lms {}", args.join(" "));
        let mut command = Command::new(&self.program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: what it starts is stopped with it.
        command.env("LC_ALL", "C").env("NO_COLOR", "1").process_group(0);
        if let Some((host, port)) = self.at.as_deref().and_then(|at| at.rsplit_once(':')) {
            command.args(["--host", host.trim_matches(['[', ']']), "--port", port]);
        }
        for name in &self.hidden_variables {
            command.env_remove(name);
        }
        let mut running = Process(command.spawn().map_err(|error| format!("{}: {error}", self.program.display()))?);
        let result = tokio::time::timeout(limit, running.output()).await;
        let output = match result {
            Ok(output) => output.map_err(|error| format!("{}: {error}", named()))?,
            Err(_) => return Err(format!("{}: no end within {limit:?}", named())),
        };
        if output.status.success() {
            return Ok(output);
        }
        let error = if output.stderr.is_empty() { output.status.to_string() } else { output.stderr.join(" ") };
        Err(text::cut(&format!("{}: {error}", named()), 500))
    }
}

/// A child that is interrupted, then killed, with all that it started, when it is not waited for to its end.
struct Process(Child);

impl Process {
    async fn output(&mut self) -> std::io::Result<Output> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let reading = {
            let (out, err) = (self.0.stdout.take(), self.0.stderr.take());
            let (stdout, stderr) = (&mut stdout, &mut stderr);
            async move { tokio::join!(read(out, stdout), read(err, stderr)) }
        };
        let mut reading = Box::pin(reading);
        let mut read = false;
        let status = loop {
            tokio::select! {
                status = self.0.wait() => break status?,
                _ = &mut reading, if !read => read = true,
            }
        };
        if !read {
            let _ = tokio::time::timeout(OUTPUT_LIMIT, &mut reading).await;
        }
        drop(reading);
        let stdout = String::from_utf8_lossy(&stdout).into_owned();
        Ok(Output { status, stdout, stderr: text::lines(&String::from_utf8_lossy(&stderr)) })
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>, to: &mut Vec<u8>) {
    if let Some(mut from) = from {
        // What was read until it failed is what there is.
        let _ = from.read_to_end(to).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // No id: it has ended, and was waited for.
        let Some(group) = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) else { return };
        let _ = kill_process_group(group, Signal::INT);
        // Nothing is timed while a model is not loaded, so that this thread may wait.
        let began = Instant::now();
        while began.elapsed() < GRACE && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Parses the output of `lms load`.
fn loaded(lines: &[String]) -> LoadOutput {
    let after = |words: &str| lines.iter().find_map(|line| line.split_once(words)).map(|(_, rest)| rest);
    LoadOutput {
        seconds: after("loaded successfully in ").and_then(|rest| elapsed(rest.split(" (").next().unwrap_or(rest))),
        identifier: after("use the identifier \"").and_then(|rest| Some(rest.rsplit_once('"')?.0.to_owned())),
    }
}

/// `850.00ms`, `4.87s`, `1m 3.20s`, `1h 2m 3.00s`, as `lms` writes a length of time; in seconds.
fn elapsed(text: &str) -> Option<f64> {
    let mut seconds = None;
    for part in text.trim().trim_end_matches('.').split(' ') {
        let unit = part.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, unit) = part.split_at(unit);
        let factor = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let number = number.parse::<f64>().ok().filter(|n| (0.0..1e6).contains(n))?;
        seconds = Some(seconds.unwrap_or(0.0) + number * factor);
    }
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_as_lms_writes_them() {
        for (text, expect) in [
            ("850.00ms", Some(0.85)),
            ("4.87s.", Some(4.87)),
            ("1m 3.20s.", Some(63.2)),
            ("1h 2m 3.00s", Some(3723.0)),
            ("", None),
            ("soon", None),
            ("4.87", None),
            ("-1s", None),
        ] {
            let read = elapsed(text);
            assert!(read.zip(expect).map_or(read == expect, |(a, b)| (a - b).abs() < 1e-9), "{text}: {read:?}");
        }
    }

    #[test]
    fn finds_identifier_and_duration_of_a_load() {
        let output = "! 2 models match the provided model key on the same device. Loading the first one.\n\
            Model loaded successfully in 1m 3.20s.\n(7.40 GB)\n\
            To use the model in the API/SDK, use the identifier \"acme/small:2\".";
        let lines: Vec<String> = output.lines().map(str::to_owned).collect();
        assert_eq!(loaded(&lines), LoadOutput { identifier: Some("acme/small:2".into()), seconds: Some(63.2) });
        let on_one_line = ["Model loaded successfully in 4.87s. (2 GB)".to_owned()];
        assert_eq!(loaded(&on_one_line), LoadOutput { identifier: None, seconds: Some(4.87) });
        assert_eq!(loaded(&[]), LoadOutput::default());
    }
}
