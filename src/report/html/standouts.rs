//! The best of each: named where it is one, called tied where the others cannot be told from it.

use super::intervals::Intervals;
use crate::report::columns::{COLUMNS, Cell, Column, Set};
use crate::report::number;
use crate::summary::{Better, Group, Unit};

/// One headline.
pub struct Standout {
    pub what: &'static str,
    pub value: String,
    pub unit: &'static str,
    /// Why the number is uncertain; empty for one that is not.
    pub doubt: String,
    pub who: String,
    /// Who cannot be told from it; empty where it stands alone.
    pub tied: String,
    /// All names.
    pub title: String,
}

struct Candidate {
    at: usize,
    value: f64,
    between: (f64, f64),
    doubt: Option<String>,
}

/// The headlines that the groups give.
pub fn standouts(groups: &[Group], names: &[String], intervals: &[Intervals]) -> Vec<Standout> {
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
        let candidates =
            groups.iter().enumerate().filter_map(|(at, group)| candidate(column, at, group, &intervals[at]));
        best(what, column, candidates.collect(), names)
    })
    .collect()
}

/// Whether what is called a model's memory is that of the whole machine, which is no property of the model.
pub fn whole_machine(group: &Group) -> bool {
    group.memory_primary.iter().any(|figure| figure == "system_used")
}

fn candidate(column: &Column, at: usize, group: &Group, intervals: &Intervals) -> Option<Candidate> {
    if column.set == Set::Memory && whole_machine(group) {
        return None;
    }
    let Cell::Number { value, doubt, .. } = (column.of)(group) else { return None };
    let between = intervals.get(column.key).copied();
    let alone = (group.ok == 1).then(|| "of one request".to_owned());
    Some(Candidate { at, value, between: between.unwrap_or((value, value)), doubt: doubt.or(alone) })
}

fn best(what: &'static str, column: &Column, candidates: Vec<Candidate>, names: &[String]) -> Option<Standout> {
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
        what,
        value: format!("{before}{text}"),
        unit: after,
        doubt: best.doubt.clone().unwrap_or_default(),
        who,
        tied: words,
        title,
    })
}
