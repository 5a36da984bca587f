//! The best of each: named where it is one, called tied where the others cannot be told from it. Only rows that did the same
//! work are compared: where there are several kinds of work, each has its own best, and it is said of how many rows.

use super::intervals::Intervals;
use crate::record::Search;
use crate::report::columns::{COLUMNS, Cell, Column, Set};
use crate::report::{number, search, work};
use crate::summary::{Better, Group, Metric, Summary, Unit};

/// One headline.
pub struct Standout {
    pub what: String,
    pub value: String,
    pub unit: &'static str,
    /// Why the number is uncertain; empty for one that is not.
    pub doubt: String,
    pub who: String,
    /// Of how many rows it is the best, where that is not all; empty where it is.
    pub among: String,
    /// Who cannot be told from it; empty where it stands alone.
    pub tied: String,
    /// All names.
    pub title: String,
}

struct Candidate {
    at: usize,
    value: f64,
    /// How long the answers were, in tokens.
    wrote: Option<f64>,
    between: (f64, f64),
    doubt: Option<String>,
}

/// Of how many kinds of work the best are named.
const KINDS: usize = 3;

/// How many searches have their headline; the sentences name them all.
const SEARCHES: usize = 4;

/// Answers that are longer than the best one's by more than this factor, or shorter, say nothing of who is done sooner.
const LONGER: f64 = 2.0;

/// The headlines: what searches found, and what the groups give, of the kinds of work that most rows did.
pub fn standouts(summary: &Summary, names: &[String], intervals: &[Intervals]) -> Vec<Standout> {
    let (groups, kinds) = (&summary.groups[..], work::kinds(summary));
    let mut sizes: Vec<(usize, usize)> = Vec::new();
    for kind in &kinds {
        match sizes.iter_mut().find(|(known, _)| known == kind) {
            Some((_, n)) => *n += 1,
            None => sizes.push((*kind, 1)),
        }
    }
    sizes.retain(|(_, n)| *n > 1);
    sizes.sort_by_key(|(kind, n)| (std::cmp::Reverse(*n), *kind));
    let of = |(kind, n): &(usize, usize)| {
        let work = Work { rows: *n, all: *n == groups.len() };
        of_kind(groups, names, intervals, &|at| kinds[at] == *kind, work)
    };
    let found = summary.searches.iter().take(SEARCHES).map(searched);
    found.chain(sizes.iter().take(KINDS).flat_map(of)).collect()
}

/// What a search found, as a headline.
fn searched(search: &Search) -> Standout {
    let said = search::said(search);
    let (value, unit) =
        search.highest_passing.map_or(("–".to_owned(), ""), |load| (load.to_string(), search::unit(search)));
    Standout {
        what: number::shortened(&said.asked, 120),
        value,
        unit,
        doubt: said.doubt.to_owned(),
        who: number::shortened(&said.who, 120),
        among: said.found,
        tied: String::new(),
        title: said.sentence,
    }
}

/// The rows that did one kind of work.
#[derive(Clone, Copy)]
struct Work {
    /// How many.
    rows: usize,
    /// Whether these are all rows.
    all: bool,
}

impl Work {
    /// Of how many of them a number is the best, where that is not all rows: `have` of them have it.
    fn among(self, have: usize) -> String {
        let Self { rows, all } = self;
        match (have < rows, all) {
            (false, true) => String::new(),
            (false, false) => format!("of the {rows} rows that did the same work"),
            (true, true) => format!("of the {have} of {rows} rows that have it"),
            (true, false) => format!("of the {have} that have it of {rows} rows that did the same work"),
        }
    }
}

/// The headlines of the groups that did one kind of work.
fn of_kind(
    groups: &[Group],
    names: &[String],
    intervals: &[Intervals],
    did: &dyn Fn(usize) -> bool,
    work: Work,
) -> Vec<Standout> {
    [
        ("fastest decode", "decode_tok_s"),
        ("first token soonest", "ttft_p50"),
        ("done soonest", "gen_s"),
        ("least energy per token", "j_tok"),
        ("least memory", "mem_high"),
        ("cheapest per 1M tokens", "usd_1m"),
    ]
    .into_iter()
    .filter_map(|(what, key)| {
        let column = COLUMNS.iter().find(|column| column.key == key)?;
        let candidates: Vec<Candidate> = groups
            .iter()
            .enumerate()
            .filter(|(at, _)| did(*at))
            .filter_map(|(at, group)| candidate(column, at, group, &intervals[at]))
            .collect();
        best(what, column, candidates, names, work)
    })
    .collect()
}

/// Whether what is called a model's memory is that of the whole machine, which is no property of the model.
fn whole_machine(group: &Group) -> bool {
    group.memory_primary.iter().any(|figure| figure.starts_with("system_used"))
}

fn candidate(column: &Column, at: usize, group: &Group, intervals: &Intervals) -> Option<Candidate> {
    if column.set == Set::Memory && whole_machine(group) {
        return None;
    }
    let Cell::Number { value, doubt, .. } = (column.of)(group) else { return None };
    let between = intervals.get(column.key).copied();
    let alone = (group.ok == 1).then(|| "of one request".to_owned());
    let wrote = group.stat(Metric::TokensOut).and_then(|stat| stat.quantiles.p50);
    Some(Candidate { at, value, wrote, between: between.unwrap_or((value, value)), doubt: doubt.or(alone) })
}

fn best(
    what: &'static str,
    column: &Column,
    mut candidates: Vec<Candidate>,
    names: &[String],
    work: Work,
) -> Option<Standout> {
    let mut among = work.among(candidates.len());
    if column.key == "gen_s" {
        let all = candidates.len();
        candidates = as_long(candidates);
        if candidates.len() < all {
            among = format!("of the {} of {all} rows whose answers were about as long", candidates.len());
        }
    }
    let order = |a: &&Candidate, b: &&Candidate| a.value.total_cmp(&b.value);
    let best = match column.better {
        Better::Higher => candidates.iter().max_by(order),
        _ => candidates.iter().min_by(order),
    }?;
    // The best of one, or of equals, is no news.
    if candidates.iter().all(|one| one.value == best.value) {
        return None;
    }
    let overlap =
        |one: &&Candidate| one.at != best.at && one.between.0 <= best.between.1 && one.between.1 >= best.between.0;
    let tied: Vec<&str> = candidates.iter().filter(overlap).map(|one| names[one.at].as_str()).collect();
    let unit = column.unit?;
    let text = number::write(best.value, unit, number::decimals(unit, [best.value]));
    let (before, after) = if unit == Unit::Usd { ("$", "") } else { ("", number::scale(unit).0) };
    let who = names[best.at].clone();
    let all = tied.len() + 1 == candidates.len();
    let words = match &tied[..] {
        [] => String::new(),
        _ if all => format!("no difference is sure among all {}", candidates.len()),
        [one] => format!("tied with {one}"),
        more => format!("tied with {} others", more.len()),
    };
    let title = std::iter::once(who.as_str()).chain(tied).collect::<Vec<_>>().join("\n");
    Some(Standout {
        what: what.to_owned(),
        value: format!("{before}{text}"),
        unit: after,
        doubt: best.doubt.clone().unwrap_or_default(),
        who,
        among,
        tied: words,
        title,
    })
}

/// Those whose answers were about as long as the answers of most: whoever writes little is done soon.
fn as_long(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let near = |one: &Candidate, other: &Candidate| match (one.wrote, other.wrote) {
        (Some(a), Some(b)) => a.max(b) <= LONGER * a.min(b),
        _ => true,
    };
    let like = |one: &Candidate| candidates.iter().filter(|other| near(one, other)).count();
    let Some(usual) = candidates.iter().max_by_key(|one| like(one)) else { return candidates };
    let kept: Vec<bool> = candidates.iter().map(|one| near(usual, one)).collect();
    candidates.into_iter().zip(kept).filter_map(|(one, kept)| kept.then_some(one)).collect()
}
