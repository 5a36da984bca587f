//! The texts about a load level.

use crate::record::{LoadLevel, Quantiles};

/// The event loop's lateness, at its 99th percentile in seconds, that is worth a warning.
const LATE: f64 = 0.005;

/// Warns of fewer concurrent requests than asked for, though there were `enough`, and of a client that
/// was late itself.
pub fn warnings(level: &LoadLevel, enough: bool) -> impl Iterator<Item = String> {
    let load = level.concurrency.map_or_else(
        || format!("{}/s", level.rate.map_or_else(String::new, |rate| rate.to_string())),
        |n| format!("{n} at once"),
    );
    let below = level
        .concurrency
        .zip(level.in_flight_max)
        .filter(|(wanted, most)| enough && level.sent >= *wanted && most < wanted);
    let below = below.map(|(_, most)| {
        format!(
            "{load} was not reached: at most {most} ran at once, because the first had ended when the last were sent: \
             ask for more --requests, a --duration or longer answers, or for fewer at once"
        )
    });
    let late = level.loop_lag_seconds.as_ref().and_then(|lag| lag.p99).filter(|p99| *p99 > LATE).map(|p99| {
        format!(
            "{load}: this client was {:.0} ms late itself (event loop, p99), and its times are as much too long: ask for less at \
             once, give it more --threads, or a machine with less to do",
            p99 * 1e3
        )
    });
    below.into_iter().chain(late)
}

/// The level in a line: the load that was asked for, and what was reached.
pub fn summary(level: &LoadLevel) -> String {
    let short = |value: f64| {
        let text = format!("{value:.*}", if value < 10.0 { 2 } else { 1 });
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let ms = |seconds: f64| format!("{} ms", short(seconds * 1e3));
    let p99 = |lag: &Option<Quantiles>| lag.as_ref().and_then(|lag| lag.p99);
    let per_second = |rate: Option<f64>| rate.map(|rate| format!("{}/s", short(rate)));
    let mut parts = Vec::new();
    let target = match (level.concurrency, level.rate) {
        (Some(n), _) => {
            parts.extend(level.in_flight_mean.map(|mean| format!("{} running on average", short(mean))));
            parts.extend(per_second(level.requests_per_second).map(|rate| format!("{rate} done")));
            format!("{n} at once asked")
        }
        (None, rate) => {
            parts.extend(per_second(level.sent_per_second).map(|rate| format!("{rate} sent")));
            parts.extend(p99(&level.schedule_lag_seconds).map(|p99| format!("lag p99 {}", ms(p99))));
            parts.extend(level.in_flight_mean.map(|mean| format!("{} running on average", short(mean))));
            format!("{}/s asked", rate.map_or_else(String::new, |rate| rate.to_string()))
        }
    };
    if level.sent + level.failed + level.not_sent == 0 {
        return format!(
            "{target}: no request was due before its time was over: give a longer --duration, or another --load-seed"
        );
    }
    parts.push(format!("{} requests", level.sent));
    if level.failed > 0 {
        parts.push(format!("{} failed", level.failed));
    }
    if level.not_sent > 0 {
        parts.push(format!("{} not sent", level.not_sent));
    }
    parts.extend(p99(&level.loop_lag_seconds).map(|p99| format!("event loop p99 {} late", ms(p99))));
    format!("{target}: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_say_what_was_not_reached() {
        let lag = |p99| Some(Quantiles { p99: Some(p99), ..Quantiles::default() });
        let level = |sent, most, p99| LoadLevel {
            concurrency: Some(8),
            sent,
            in_flight_max: Some(most),
            loop_lag_seconds: lag(p99),
            ..LoadLevel::default()
        };
        for (level, enough, expect) in [
            (level(8, 8, 0.001), true, &[][..]),
            (level(8, 7, 0.001), true, &["8 at once was not reached: at most 7"]),
            (level(8, 7, 0.001), false, &[]),
            (level(7, 7, 0.001), true, &[]),
            (level(8, 8, 0.0121), true, &["8 at once: this client was 12 ms late"]),
            (level(9, 3, 0.5), true, &["8 at once was not", "8 at once: this client was 500 ms"]),
            (
                LoadLevel { rate: Some(2.5), loop_lag_seconds: lag(0.006), ..LoadLevel::default() },
                true,
                &["2.5/s: this"],
            ),
        ] {
            let warnings: Vec<String> = super::warnings(&level, enough).collect();
            assert_eq!(warnings.len(), expect.len(), "{warnings:?}");
            assert!(warnings.iter().zip(expect).all(|(text, expect)| text.starts_with(expect)), "{warnings:?}");
        }
    }

    #[test]
    fn summaries_begin_with_the_target_load() {
        let lag = Quantiles { p99: Some(0.0009), ..Quantiles::default() };
        let open = LoadLevel {
            rate: Some(50.0),
            sent: 499,
            sent_per_second: Some(49.83),
            in_flight_mean: Some(7.25),
            schedule_lag_seconds: Some(lag.clone()),
            not_sent: 1,
            ..LoadLevel::default()
        };
        assert_eq!(
            summary(&open),
            "50/s asked: 49.8/s sent, lag p99 0.9 ms, 7.25 running on average, 499 requests, 1 not sent"
        );
        let closed = LoadLevel {
            concurrency: Some(8),
            sent: 40,
            failed: 2,
            in_flight_mean: Some(8.0),
            requests_per_second: Some(12.0),
            loop_lag_seconds: Some(lag),
            ..LoadLevel::default()
        };
        assert_eq!(
            summary(&closed),
            "8 at once asked: 8 running on average, 12/s done, 40 requests, 2 failed, event loop p99 0.9 ms late"
        );
        assert_eq!(
            summary(&LoadLevel { concurrency: Some(1), sent: 1, ..LoadLevel::default() }),
            "1 at once asked: 1 requests"
        );
    }
}
