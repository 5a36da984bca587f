//! Badges: in a word or two how far the numbers can be trusted, each with its reason.

use crate::record::{LoadLevel, RunEnd};
use crate::report::{accuracy, number};
use crate::summary::{Group, Metric, Summary};
use crate::units::Unit;

/// A badge.
pub struct Badge {
    /// `good`, `warn`, `bad` or `info`.
    pub tone: &'static str,
    /// The word or two.
    pub text: String,
    /// The reason.
    pub why: String,
}

fn badge(tone: &'static str, text: impl Into<String>, why: impl Into<String>) -> Badge {
    Badge { tone, text: text.into(), why: why.into() }
}

/// Every badge that the summary earns.
pub fn badges(summary: &Summary) -> Vec<Badge> {
    if summary.totals.requests == 0 {
        return Vec::new();
    }
    let groups = &summary.groups;
    let mut badges: Vec<Badge> = valid(summary).into_iter().collect();
    badges.extend(doubled(summary));
    badges.extend([failures(summary), samples(groups)]);
    badges.extend(lag(groups));
    badges.extend(schedule(summary));
    badges.extend(truth(groups));
    badges.extend(
        accuracy::judged(summary)
            .map(|judged| badge(if judged.right { "good" } else { "warn" }, judged.short, judged.sentence)),
    );
    badges.extend(cache(groups));
    badges.extend(meter(summary));
    badges.extend(tokens(groups));
    badges.extend(words(groups));
    badges.extend(kept_up(summary));
    badges.extend(summary.window.as_ref().map(|why| {
        let steady = groups.iter().filter_map(|g| g.throughput.as_ref()).any(|t| t.part.steady);
        let counted = "A request that lies in that part only partly counts in part, with its tokens: of a closed loop the share of its time \
                       that lies inside, of a rate the share of its time from the first token on.";
        badge("info", if steady { "steady part" } else { "whole load" }, format!("{why} {counted}"))
    }));
    if summary.warmups > 0 {
        badges.push(badge(
            "info",
            format!("{} warm-up", summary.warmups),
            "Warm-up requests are drawn on the time axis and count nowhere, except as load: what of them still runs beside those that count is in the throughput.",
        ));
    }
    if summary.sampled() {
        badges.push(badge(
            "info",
            format!("{} of {} requests", summary.rows.len(), summary.results),
            "The table is of all requests. Charts of single requests, the requests of a row and the downloads are of an \
             even sample of them.",
        ));
    }
    badges
}

/// Whether the runs did what they were asked to, from beginning to end; of runs that do not tell how they ended, nothing.
fn valid(summary: &Summary) -> Option<Badge> {
    if summary.ends.is_empty() {
        return None;
    }
    let sum = |of: fn(&RunEnd) -> u64| summary.ends.iter().map(of).sum::<u64>();
    let endless = summary.runs.iter().filter(|run| summary.ends.iter().all(|end| end.run != run.run)).count() as u64;
    let late: u64 = summary.groups.iter().filter_map(|g| g.warnings.get("client_lag")).sum();
    let against: Vec<String> = [
        (endless, "without an end: cut off, or still going on", "run"),
        (sum(|end| u64::from(end.interrupted)), "stopped before its time", "run"),
        (sum(|end| end.not_sent), "due or planned, and never sent", "request"),
        (summary.totals.failed, "failed", "request"),
        (late, "sent or read late by the client itself", "request"),
    ]
    .into_iter()
    .filter(|(n, ..)| *n > 0)
    .map(|(n, what, of)| format!("{n} {of}{} {what}", if n == 1 { "" } else { "s" }))
    .collect();
    Some(if against.is_empty() {
        let why = "Every run came to its end, all that was planned was sent, nothing failed, and the client was nowhere late enough \
                   to matter.";
        badge("good", "valid", why)
    } else {
        badge("warn", "with reservations", format!("{}.", against.join("; ")))
    })
}

/// Whether results are there twice.
fn doubled(summary: &Summary) -> Option<Badge> {
    let runs = summary.doubled.len();
    let said: Vec<String> = summary.doubled.iter().take(5).map(|one| number::shortened(&one.said(), 300)).collect();
    let more = if runs > said.len() { format!("; {} more runs", runs - said.len()) } else { String::new() };
    let text = if runs == 1 { "a run twice".to_owned() } else { format!("{runs} runs twice") };
    (runs > 0).then(|| badge("bad", text, format!("{}{more}.", said.join("; "))))
}

fn failures(summary: &Summary) -> Badge {
    let (failed, all) = (summary.totals.failed, summary.totals.requests);
    match failed {
        0 if all == 1 => badge("good", "no failures", "The one request did not fail."),
        0 => badge("good", "no failures", format!("None of {all} requests failed.")),
        _ => badge(
            "bad",
            format!("{failed} of {all} failed"),
            "What they said is under Failures. The times of failed requests count nowhere.",
        ),
    }
}

fn samples(groups: &[Group]) -> Badge {
    let ns = || groups.iter().map(|group| group.ok).filter(|ok| *ok > 0);
    let (least, most) = (ns().min().unwrap_or(0), ns().max().unwrap_or(0));
    let text = if most == 0 {
        "nothing succeeded".into()
    } else if least == most {
        format!("n = {least} each")
    } else {
        format!("n = {least} to {most}")
    };
    let why = "How many requests of a row did not fail. A median needs 10 of them, a 95th percentile 100, a 99th 500; \
               what fewer cannot tell is marked.";
    badge(if least < 10 { "warn" } else { "good" }, text, why)
}

fn lag(groups: &[Group]) -> Option<Badge> {
    let worst =
        groups.iter().filter_map(|g| g.stat(Metric::CLIENT_LAG)).filter_map(|s| s.quantiles.max).reduce(f64::max)?;
    let doubted: u64 = groups.iter().filter_map(|g| g.warnings.get("client_lag")).sum();
    let said = number::alone(worst, Unit::Seconds);
    Some(match doubted {
        0 => badge(
            "good",
            format!("client lag ≤ {said}"),
            "The most that the client's own event loop can have added to a stamp.",
        ),
        n => badge(
            "warn",
            format!("client lag {said}"),
            format!(
                "In {n} request{} the client was late enough to matter: the machine that sent was itself too busy.",
                if n == 1 { "" } else { "s" }
            ),
        ),
    })
}

/// How late an open loop sent after the moments that were due.
fn schedule(summary: &Summary) -> Option<Badge> {
    // Later than this is no schedule any more.
    const LATE: f64 = 0.005;
    let lags = summary.levels.iter().filter_map(|level| level.schedule_lag_seconds.as_ref());
    let worst = lags.filter_map(|lag| lag.p99).reduce(f64::max).filter(|lag| lag.is_finite())?;
    let said = number::alone(worst, Unit::Seconds);
    Some(if worst < LATE {
        badge(
            "good",
            format!("sent on time: p99 {said}"),
            format!("99 % of the requests of every rate were sent within {said} of the moment that they were due."),
        )
    } else {
        badge(
            "warn",
            format!("sent late: p99 {said}"),
            format!(
                "At one rate at least, 1 % of the requests were sent more than {said} after they were due: there was no room for them, or this machine is too slow for the rate. Times from the moment that was due have it in them."
            ),
        )
    })
}

/// What the tool itself got wrong, where a simulated server tells the truth.
fn truth(groups: &[Group]) -> Option<Badge> {
    let known: u64 = groups.iter().filter_map(|g| g.worst_error).map(|error| error.requests).sum();
    let worst = groups.iter().filter_map(|g| g.worst_error?.ttft_seconds).reduce(f64::max)?;
    let why = format!(
        "Over {known} request{} to a simulated server that logs when it wrote what: the most by which a time to first token \
         was measured wrong.",
        if known == 1 { "" } else { "s" }
    );
    Some(badge("info", format!("own error ≤ {}", number::alone(worst, Unit::Seconds)), why))
}

fn cache(groups: &[Group]) -> Option<Badge> {
    let known: u64 = groups.iter().map(|g| g.cache_known).sum();
    let warm: u64 = groups.iter().map(|g| g.cached_requests).sum();
    if known == 0 {
        return groups.iter().any(|g| g.ok > 0).then(|| {
            badge("info", "cache unknown", "The server does not tell how much of a prompt it had in its cache.")
        });
    }
    Some(match warm {
        0 => badge(
            "good",
            "cache cold",
            match known {
                1 => "In the one request no token of the prompt came from a cache.".to_owned(),
                _ => format!("In none of {known} requests did tokens of the prompt come from a cache."),
            },
        ),
        n => badge(
            "warn",
            "cache warm",
            format!(
                "In {n} of {known} requests tokens of the prompt came from a cache: the first token came sooner for it."
            ),
        ),
    })
}

fn meter(summary: &Summary) -> Vec<Badge> {
    let meters: Vec<_> = summary.groups.iter().filter_map(|g| g.meter.as_ref()).collect();
    if meters.is_empty() {
        let why =
            "No request was joined with readings of a power meter, so there is no energy: see bench-join --power.";
        return vec![badge("info", "no power meter", why)];
    }
    let mut names: Vec<&str> = meters.iter().flat_map(|m| m.meters.iter().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    let covered = meters.iter().filter_map(|m| m.coverage_min).fold(1.0, f64::min);
    let text = if names.is_empty() { "power meter".to_owned() } else { number::shortened(&names.join(", "), 60) };
    let mut badges = vec![if covered >= 0.95 {
        badge(
            "good",
            text,
            format!("Every request is covered by readings for at least {:.0} % of its time.", covered * 100.0),
        )
    } else {
        badge(
            "warn",
            format!("{text}: {:.0} % covered", covered * 100.0),
            "The least covered request has readings for only this part of its time. Nothing is extrapolated.",
        )
    }];
    if meters.iter().any(|m| m.simulated) {
        badges.push(badge(
            "warn",
            "simulated meter",
            "The watts come from a simulation: they say nothing of a machine.",
        ));
    }
    if meters.iter().any(|m| m.estimated) {
        badges.push(badge("warn", "estimated power", "The meter estimates rather than measures."));
    }
    badges
}

fn tokens(groups: &[Group]) -> Option<Badge> {
    let counted: u64 = groups.iter().filter_map(|g| g.token_methods.get("chunks")).sum();
    (counted > 0).then(|| {
        badge(
            "warn",
            "tokens counted by chunks",
            format!(
                "For {counted} request{} the server gave no usage; chunks were counted, and a chunk is not a token.",
                if counted == 1 { "" } else { "s" }
            ),
        )
    })
}

/// Whether the load that was asked for was there: what was sent per second, and how many were in flight.
fn kept_up(summary: &Summary) -> Option<Badge> {
    // By how much the least of the asked was there, and the words for it.
    let mut worst: Option<(f64, String)> = None;
    let shared: Vec<&LoadLevel> = summary.levels.iter().filter(|level| level.models.len() > 1).collect();
    // Models that share a load kept it up together: the client says how far.
    let alone = |group: &&Group| {
        !shared.iter().any(|level| {
            (level.rate, level.concurrency) == (group.rate, group.concurrency) && level.models.contains(&group.model)
        })
    };
    let of_groups = summary.groups.iter().filter(alone).filter_map(|group| {
        let through = group.throughput.as_ref()?;
        // While the last requests of the whole end none are sent: over it fewer are than were asked for.
        let sent = through.part.steady.then_some(through.sent_per_second);
        Some((group.rate, group.concurrency, sent, Some(through.concurrency)))
    });
    let of_levels =
        shared.iter().map(|level| (level.rate, level.concurrency, level.sent_per_second, level.in_flight_mean));
    for (rate, concurrency, sent, in_flight) in of_groups.chain(of_levels) {
        let (asked, there, unit) = match (rate, concurrency) {
            (Some(rate), _) => (rate, sent, "/s"),
            (None, Some(n)) if n > 1 => (n as f64, in_flight, " at once"),
            _ => continue,
        };
        let Some(there) = there else { continue };
        if worst.as_ref().is_none_or(|(share, _)| there / asked < *share) {
            let words = format!("{there:.1} of {asked}{unit}");
            worst = Some((there / asked, words));
        }
    }
    let (share, words) = worst?;
    let why = "Asked is what the settings say; there is what was sent per second (rates) or in flight on average (levels), \
               over the part of the load that is told. The columns asked rate, sent, ended and in flight have all of them.";
    Some(if share >= 0.95 {
        badge("good", "load as asked", format!("At the least {words}. {why}"))
    } else {
        badge("warn", format!("load {words}"), why)
    })
}

/// What the runner doubts, where it has no badge of its own.
fn words(groups: &[Group]) -> Vec<Badge> {
    let count = |word: &str| groups.iter().filter_map(|g| g.warnings.get(word)).sum::<u64>();
    [
        ("truncated_by_length", "cut by max_tokens", "answers ended because they reached the most tokens allowed."),
        ("served_other_model", "another model answered", "answers came from a model other than the one asked for."),
        (
            "served_other_provider",
            "another provider answered",
            "answers came from a provider other than the one they were pinned to.",
        ),
        (
            "provider_retried",
            "providers failed first",
            "requests were tried by several providers: the time of those that failed is in theirs.",
        ),
        ("cost_differs", "cost differs", "costs are not those of OpenRouter's ledger."),
        ("cost_unverified", "cost not verified", "costs were not found in OpenRouter's ledger."),
        (
            "buffered_stream",
            "buffered stream",
            "answers came in few large pieces: gaps between chunks say nothing of the model.",
        ),
    ]
    .into_iter()
    .filter(|(word, ..)| count(word) > 0)
    .map(|(word, text, why)| badge("warn", text, format!("{} {why}", count(word))))
    .collect()
}
