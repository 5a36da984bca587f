//! Where a key comes from, and where it may go: the flags that llm-models and llm-run share.

use super::Talk;
use crate::http::{KeyRule, Secret, authority, base_url};
use crate::record::Source;
use crate::sources::kind;
use crate::text::encoding;
use anyhow::{Context, anyhow};
use clap::Args;
use std::env;
use std::path::PathBuf;

/// The flags about keys.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Keys")]
pub struct KeyArgs {
    /// Read the key from the first line of FILE
    #[arg(long, global = true, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// The key itself; other users of this machine can see it
    #[arg(long, global = true, value_name = "KEY", conflicts_with = "api_key_file")]
    pub api_key: Option<String>,
    /// Also send the key to HOST (host, or host:port); keys go only to their own service, this machine, and hosts named by you
    #[arg(long, global = true, value_name = "HOST")]
    pub key_host: Vec<String>,
    /// Send the key over unencrypted http to other machines too
    #[arg(long, global = true)]
    pub plain_http_key: bool,
}

impl KeyArgs {
    /// Makes sure that the key file is there, before anything is asked.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check(&self) -> anyhow::Result<()> {
        let Some(file) = &self.api_key_file else { return Ok(()) };
        // Not opened: a pipe could be read only once.
        std::fs::metadata(file).map(drop).with_context(|| format!("--api-key-file {}", file.display()))
    }

    /// The key of a source, if there is one, and where it may go. `named` are base URLs that the user gave by flag or
    /// environment, and so hosts that they trust.
    ///
    /// # Errors
    /// When the key file cannot be read or holds no key.
    pub fn resolve(&self, source: Source, named: &[String], talk: Talk) -> anyhow::Result<(Option<Secret>, KeyRule)> {
        let facts = kind(source);
        let unusable = |place: String| anyhow!("{place}: holds no usable key: one line of printable characters is one");
        let key = if let Some(file) = &self.api_key_file {
            let text = encoding::read_to_string(file).with_context(|| file.display().to_string())?;
            let line = text.lines().next().unwrap_or_default();
            Some(Secret::new(line).ok_or_else(|| unusable(file.display().to_string()))?)
        } else if let Some(text) = &self.api_key {
            talk.warn("--api-key: other users of this machine can see it: prefer --api-key-file or the environment");
            Some(Secret::new(text).ok_or_else(|| unusable("--api-key".into()))?)
        } else {
            let given = facts.key_variable.and_then(|name| Some((name, env::var(name).ok()?)));
            let given = given.filter(|(_, text)| !text.trim().is_empty());
            given.map(|(name, text)| Secret::new(&text).ok_or_else(|| unusable(name.to_owned()))).transpose()?
        };
        let mut hosts: Vec<String> = facts.key_hosts.iter().map(|host| (*host).to_owned()).collect();
        hosts.extend(named.iter().filter_map(|url| authority(url)));
        for host in &self.key_host {
            let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            hosts.push(if has_port { host.clone() } else { format!("{host}:443") });
        }
        Ok((key, KeyRule { hosts, plain_http: self.plain_http_key }))
    }
}

/// The base URL of a source: the flag, the environment, the usual place; and whether the user named it.
///
/// # Errors
/// When what was given is no URL, or nothing was given and there is no usual place.
pub fn base_url_of(source: Source, flag: Option<&str>) -> anyhow::Result<(String, bool)> {
    let facts = kind(source);
    if let Some(text) = flag {
        return Ok((base_url(text).map_err(|why| anyhow!("--base-url {why}"))?, true));
    }
    if let Some(name) = facts.base_url_variable
        && let Some(text) = env::var(name).ok().filter(|text| !text.trim().is_empty())
    {
        let text = (facts.read_variable)(&text);
        return Ok((base_url(&text).map_err(|why| anyhow!("{name}: {why}"))?, true));
    }
    let base = facts.base_url.ok_or_else(|| anyhow!("{source}: which server? give --base-url http://HOST:PORT"))?;
    Ok((base.to_owned(), false))
}
