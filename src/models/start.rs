//! LM Studio's models where perhaps no server runs: it is found on another port, started with `lms server start` and waited
//! for, or done without by `lms ls`. What was done is said, because the user did not do it.

use super::lmstudio::{greets, list, list_by_lms};
use crate::http::{Api, is_loopback, shown};
use crate::lms::Lms;
use crate::record::{Failure, FailureKind, Model};
use std::time::{Duration, Instant};

/// How long a server that was started may take to answer.
const WAIT: Duration = Duration::from_secs(30);

/// What may be done.
pub struct Rule<'a> {
    /// Embedding models too.
    pub all: bool,
    /// Whether a server may be started.
    pub start: bool,
    /// Whether the user said where the server is: then it is there, or nowhere.
    pub named: bool,
    /// The API at another port of this machine.
    pub at_port: &'a dyn Fn(u16) -> anyhow::Result<Api>,
}

/// Lists; `say` hears what was done to get there.
///
/// # Errors
/// When there is no list to be had; the failure is that of the server.
pub async fn list_or_start(api: &Api, rule: &Rule<'_>, say: &mut dyn FnMut(String)) -> Result<Vec<Model>, Failure> {
    let why = match list(api, rule.all).await {
        Ok(models) => {
            if models.iter().all(|model| model.loaded.is_none()) && !greets(api).await {
                let place = shown(api.base());
                if super::ollama::list(api, true).await.is_ok() {
                    let message =
                        format!("{place} is an Ollama: `llm-models ollama --base-url {place}` lists its models");
                    return Err(Failure {
                        kind: FailureKind::Protocol,
                        message,
                        retryable: false,
                        ..Failure::default()
                    });
                }
                say(format!("{place} does not say that it is LM Studio: `llm-models openai` may fit it better"));
            }
            return Ok(models);
        }
        Err(why) => why,
    };
    let down = why.kind == FailureKind::Connect;
    // A server that answers, but has no list, is done without; and `lms` speaks to this machine.
    if !is_loopback(api.base())
        || (down && !rule.start)
        || !matches!(why.kind, FailureKind::Connect | FailureKind::Protocol)
    {
        return Err(why);
    }
    let lms = match Lms::find(None) {
        Ok(lms) => lms,
        Err(_) if down => {
            return Err(Failure { message: format!("{}, and no `lms` to start it with", why.message), ..why });
        }
        Err(_) => return Err(why),
    };
    if down && let Some(models) = started(&lms, api, rule, say).await.map_err(|lms| told(&why, &lms))? {
        return Ok(models);
    }
    say(format!("{} has no list of models: listing with `lms ls`", shown(api.base())));
    list_by_lms(&lms, api.base(), rule.all).await.map_err(|lms| told(&why, &lms))
}

fn told(why: &Failure, lms: &str) -> Failure {
    Failure { message: format!("{}; {lms}", why.message), ..why.clone() }
}

/// Finds the server on another port, or starts it; `None` when it was started and does not answer.
async fn started(
    lms: &Lms,
    api: &Api,
    rule: &Rule<'_>,
    say: &mut dyn FnMut(String),
) -> Result<Option<Vec<Model>>, String> {
    let elsewhere = |port: u16| (rule.at_port)(port).map_err(|why| format!("{why:#}"));
    let mut api = api.clone();
    let own = port_of(api.base());
    if !rule.named
        && let Some(port) = lms.server_port().await.filter(|port| Some(*port) != own)
    {
        let other = elsewhere(port)?;
        if let Ok(models) = list(&other, rule.all).await {
            say(format!("LM Studio's server is on port {port}, not on {}", own.unwrap_or_default()));
            return Ok(Some(models));
        }
    }
    let said = lms.start_server(own.filter(|_| rule.named)).await?;
    say(format!("no server answered; started it with `lms server start`: {said}"));
    if let Some(port) = told_port(&said).filter(|port| !rule.named && Some(*port) != own) {
        api = elsewhere(port)?;
    }
    let began = Instant::now();
    while began.elapsed() < WAIT {
        if let Ok(models) = list(&api, rule.all).await {
            return Ok(Some(models));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(None)
}

fn port_of(base: &str) -> Option<u16> {
    crate::http::authority(base)?.rsplit_once(':')?.1.parse().ok()
}

/// The port in what `lms server start` says: "Success! Server is now running on port 1234".
fn told_port(said: &str) -> Option<u16> {
    let (_, rest) = said.rsplit_once("on port ")?;
    rest.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_where_lms_says_it() {
        for (said, port) in [
            ("Success! Server is now running on port 1234", Some(1234)),
            ("Server is now running on port 41343.", Some(41343)),
            ("Server is now running on port 99999", None),
            ("Success!", None),
        ] {
            assert_eq!(told_port(said), port, "{said}");
        }
        assert_eq!(port_of("http://127.0.0.1:1234"), Some(1234));
    }
}
