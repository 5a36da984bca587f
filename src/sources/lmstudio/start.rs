//! LM Studio's models where perhaps no server runs: it is found on another port, started with `lms server start` and waited
//! for, or replaced by `lms ls`. Each such step is reported, because the user did not take it.

use super::list::{greets, list, list_by_lms};
use super::lms::Lms;
use crate::http::{Api, is_loopback, shown};
use crate::record::{Failure, FailureKind, Model};
use std::time::{Duration, Instant};

/// How long a server that was started may take to answer.
const WAIT: Duration = Duration::from_secs(30);

/// What may be done to reach a server.
pub struct StartOptions<'a> {
    /// Embedding models too.
    pub all: bool,
    /// Whether a server may be started.
    pub start: bool,
    /// Whether the user gave the address of the server: then no other port is tried.
    pub named: bool,
    /// Environment variables that `lms` does not see: keys of other services.
    pub hidden_variables: &'a [&'static str],
    /// The API at another port of this machine.
    pub at_port: &'a dyn Fn(u16) -> anyhow::Result<Api>,
}

/// Lists; `say` hears what was done to get there.
///
/// # Errors
/// When there is no list to be had; the failure is that of the server.
pub async fn list_or_start(
    api: &Api,
    options: &StartOptions<'_>,
    report: &mut dyn FnMut(String),
) -> Result<Vec<Model>, Failure> {
    let failure = match list(api, options.all).await {
        Ok(models) => {
            if models.iter().all(|model| model.loaded.is_none()) && !greets(api).await {
                let place = shown(api.base());
                if crate::sources::ollama::list::list(api, true).await.is_ok() {
                    let message =
                        format!("{place} is an Ollama: `llm-models ollama --base-url {place}` lists its models");
                    return Err(Failure {
                        kind: FailureKind::Protocol,
                        message,
                        retryable: false,
                        ..Failure::default()
                    });
                }
                report(format!("{place} does not say that it is LM Studio: `llm-models openai` may fit it better"));
            }
            return Ok(models);
        }
        Err(failure) => failure,
    };
    let down = failure.kind == FailureKind::Connect;
    // A server that answers, but has no list, is done without; and `lms` speaks to this machine.
    if !is_loopback(api.base())
        || (down && !options.start)
        || !matches!(failure.kind, FailureKind::Connect | FailureKind::Protocol)
    {
        return Err(failure);
    }
    let lms = match Lms::find(None, options.hidden_variables) {
        Ok(lms) => lms,
        Err(_) if down => {
            return Err(Failure { message: format!("{}, and no `lms` to start it with", failure.message), ..failure });
        }
        Err(_) => return Err(failure),
    };
    if down
        && let Some(models) =
            started(&lms, api, options, report).await.map_err(|lms| with_error_of_lms(&failure, &lms))?
    {
        return Ok(models);
    }
    report(format!("{} has no list of models: listing with `lms ls`", shown(api.base())));
    list_by_lms(&lms, api.base(), options.all).await.map_err(|lms| with_error_of_lms(&failure, &lms))
}

fn with_error_of_lms(failure: &Failure, lms: &str) -> Failure {
    Failure { message: format!("{}; {lms}", failure.message), ..failure.clone() }
}

/// Finds the server on another port, or starts it; `None` when it was started and does not answer.
async fn started(
    lms: &Lms,
    api: &Api,
    options: &StartOptions<'_>,
    report: &mut dyn FnMut(String),
) -> Result<Option<Vec<Model>>, String> {
    let elsewhere = |port: u16| (options.at_port)(port).map_err(|failure| format!("{failure:#}"));
    let mut api = api.clone();
    let own = port_of(api.base());
    if !options.named
        && let Some(port) = lms.server_port().await.filter(|port| Some(*port) != own)
    {
        let other = elsewhere(port)?;
        if let Ok(models) = list(&other, options.all).await {
            report(format!("LM Studio's server is on port {port}, not on {}", own.unwrap_or_default()));
            return Ok(Some(models));
        }
    }
    let output = lms.start_server(own.filter(|_| options.named)).await?;
    report(format!("no server answered; started it with `lms server start`: {output}"));
    if let Some(port) = port_in(&output).filter(|port| !options.named && Some(*port) != own) {
        api = elsewhere(port)?;
    }
    let began = Instant::now();
    while began.elapsed() < WAIT {
        if let Ok(models) = list(&api, options.all).await {
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
fn port_in(output: &str) -> Option<u16> {
    let (_, rest) = output.rsplit_once("on port ")?;
    rest.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_port_that_lms_reports() {
        for (output, port) in [
            ("Success! Server is now running on port 1234", Some(1234)),
            ("Server is now running on port 41343.", Some(41343)),
            ("Server is now running on port 99999", None),
            ("Success!", None),
        ] {
            assert_eq!(port_in(output), port, "{output}");
        }
        assert_eq!(port_of("http://127.0.0.1:1234"), Some(1234));
    }
}
