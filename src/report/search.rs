//! What searches for the highest load found, in words.

use super::number;
use crate::record::{Search, SearchOutcome, SearchOver};
use crate::summary::Group;

/// What is said of a search.
pub struct Said {
    /// What was to hold.
    pub asked: String,
    /// Whom it was asked of.
    pub who: String,
    /// What was found.
    pub found: String,
    /// Why it is not sure; empty where it is.
    pub doubt: &'static str,
    /// All of it but the models, in a sentence without a full stop.
    pub sentence: String,
}

/// The unit of the loads of a search.
pub fn unit(search: &Search) -> &'static str {
    match search.over {
        SearchOver::Concurrency => " at once",
        SearchOver::Rate => "/s",
    }
}

/// What a search found.
pub fn said(search: &Search) -> Said {
    let load = |load: f64| format!("{load}{}", unit(search));
    let points = match search.points.len() {
        1 => "1 point".to_owned(),
        n => format!("{n} points"),
    };
    let broke = search.lowest_failing.map(load);
    let (end, doubt) = match (search.outcome, &broke) {
        (SearchOutcome::NonePassed, _) => ("the lowest load that was to be tried".to_owned(), ""),
        (SearchOutcome::AllPassed, _) => ("the highest load that was to be tried".to_owned(), ""),
        (SearchOutcome::Found, Some(broke)) => (format!("and no more at {broke}"), ""),
        (SearchOutcome::Found, None) => (String::new(), ""),
        (SearchOutcome::Unclear | SearchOutcome::Stopped, broke) => {
            let why = match search.outcome {
                SearchOutcome::Unclear => "too few requests ended to tell more",
                _ => "the search was stopped before its end",
            };
            (broke.as_ref().map_or(String::new(), |broke| format!("and no more at {broke}; ")) + why, why)
        }
    };
    let begin = match (search.highest_passing, search.outcome) {
        (Some(holds), _) => format!("passes up to {}", load(holds)),
        (None, SearchOutcome::NonePassed) => format!("fails at {}", load(search.minimum)),
        (None, _) => "was not seen to hold".to_owned(),
    };
    let comma = if end.is_empty() { "" } else { ", " };
    let asked = search.slos.join(" and ");
    let who = search.models.join(", ");
    let found = format!("{begin}{comma}{end} ({points})");
    let sentence = format!("{asked}: {found}");
    Said { asked, who, found, doubt, sentence }
}

/// A search in one line, with its models where the report is of others too.
pub fn line(search: &Search, alone: bool) -> String {
    let said = said(search);
    let who =
        if alone || said.who.is_empty() { String::new() } else { format!("{}: ", number::shortened(&said.who, 120)) };
    format!("{who}{}", said.sentence)
}

/// The load of a group that is a point of a search: steps of one question, that are no rivals.
pub fn step(searches: &[Search], group: &Group) -> Option<u64> {
    let load_of = |search: &Search| match search.over {
        SearchOver::Rate => group.rate,
        SearchOver::Concurrency => group.concurrency.filter(|_| group.rate.is_none()).map(|n| n as f64),
    };
    let is = |search: &&Search| {
        let load = load_of(search);
        search.models.contains(&group.model) && search.points.iter().any(|point| Some(point.load) == load)
    };
    load_of(searches.iter().find(is)?).map(f64::to_bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::SearchPoint;

    #[test]
    fn whatever_a_search_came_to_is_said_in_one_line() {
        use SearchOutcome::{AllPassed, Found, NonePassed, Stopped, Unclear};
        let point = || SearchPoint {
            load: 8.0,
            passes: None,
            requests: 1,
            failed: 0,
            parts: 1,
            values: Vec::new(),
            queue: None,
            reason: None,
        };
        for (over, outcome, holds, breaks, points, expect) in [
            (SearchOver::Rate, Found, Some(26.0), Some(27.0), 7, "passes up to 26/s, and no more at 27/s (7 points)"),
            (
                SearchOver::Concurrency,
                NonePassed,
                None,
                Some(8.0),
                1,
                "fails at 8 at once, the lowest load that was to be tried (1 point)",
            ),
            (
                SearchOver::Rate,
                AllPassed,
                Some(32.0),
                None,
                3,
                "passes up to 32/s, the highest load that was to be tried (3 points)",
            ),
            (
                SearchOver::Rate,
                Unclear,
                Some(16.0),
                None,
                2,
                "passes up to 16/s, too few requests ended to tell more (2 points)",
            ),
            (
                SearchOver::Rate,
                Stopped,
                None,
                Some(9.5),
                2,
                "was not seen to hold, and no more at 9.5/s; the search was stopped before its end (2 points)",
            ),
        ] {
            let search = Search {
                run: "r".into(),
                models: vec!["m".into()],
                slos: vec!["ttft_p95<1s".into(), "failed<1%".into()],
                over,
                minimum: 8.0,
                maximum: 32.0,
                tolerance: 0.05,
                outcome,
                highest_passing: holds,
                lowest_failing: breaks,
                points: (0..points).map(|_| point()).collect(),
            };
            assert_eq!(line(&search, true), format!("ttft_p95<1s and failed<1%: {expect}"));
            assert!(line(&search, false).starts_with("m: ttft"));
        }
    }
}
