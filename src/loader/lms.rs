//! The `lms` program. Its exit codes say little: what it did is found out by asking the server.

use super::Wanted;
use std::process::Stdio;
use tokio::process::Command;

/// `lms load KEY -y …`.
pub async fn load(key: &str, wanted: &Wanted) -> Result<(), String> {
    let mut args = vec!["load".to_owned(), key.to_owned(), "-y".to_owned()];
    let mut flag = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            args.extend([name.to_owned(), value]);
        }
    };
    flag("--gpu", wanted.gpu.clone());
    flag("--context-length", wanted.context_length.map(|n| n.to_string()));
    flag("--ttl", wanted.ttl.map(|ttl| ttl.as_secs().to_string()));
    flag("--parallel", wanted.parallel.map(|n| n.to_string()));
    call(&args).await
}

/// `lms unload --all`.
pub async fn unload_all() -> Result<(), String> {
    call(&["unload".to_owned(), "--all".to_owned()]).await
}

async fn call(args: &[String]) -> Result<(), String> {
    let output = Command::new("lms")
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|why| match why.kind() {
            std::io::ErrorKind::NotFound => "no `lms` on PATH: enable the CLI in LM Studio's settings".to_owned(),
            _ => format!("lms: {why}"),
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Err(format!("lms {}: {}", args.join(" "), said.join(" ").chars().take(400).collect::<String>()))
}
