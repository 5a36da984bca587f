//! One parser of names: a key, a head, a JSON name or what another tool calls it, with a statistic before or behind it.

use super::column::ASKED;
use super::{COLUMNS, Column, Columns, Figure, MetricDef, PEERS, Set, Statistic, metrics};
use crate::text::distance;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A metric as somebody named it.
#[derive(Clone, Copy)]
pub struct Named {
    /// Its row.
    pub row: &'static MetricDef,
    /// The statistic, where one was named.
    pub statistic: Option<Statistic>,
}

/// Every accepted name in its plain form. A key is never the name of another metric, whatever other tools call theirs.
static NAMES: LazyLock<BTreeMap<String, &'static MetricDef>> = LazyLock::new(|| {
    let mut names = BTreeMap::new();
    let mut add = |name: &str, row| {
        if !name.is_empty() {
            names.entry(plain(name)).or_insert(row);
        }
    };
    metrics().for_each(|row| add(row.key, row));
    metrics().for_each(|row| [row.name, row.label].iter().chain(row.aliases).for_each(|name| add(name, row)));
    (0..PEERS.len()).for_each(|peer| metrics().for_each(|row| add(row.peers[peer], row)));
    names
});

/// Every accepted name in its plain form, with the key of its metric.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    NAMES.iter().map(|(name, row)| (name.as_str(), row.key))
}

/// A name in lower case, with `_` for everything that is no letter, digit or decimal point.
fn plain(text: &str) -> String {
    let word = |c: char| c.is_alphanumeric() || c == '.';
    text.to_lowercase().split(|c| !word(c)).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

/// The metric that is named, and its statistic: `ttft_p95`, `TTFT p95`, `p95_ttft_ms`, `time_to_first_token`.
///
/// # Errors
/// When there is none; the sentence names the nearest.
pub fn metric(text: &str) -> Result<Named, String> {
    find(&plain(text)).ok_or_else(|| format!("no metric is called {text}{}", is_it(text)))
}

fn find(name: &str) -> Option<Named> {
    let known = |name: &str| NAMES.get(name).copied();
    if let Some(row) = known(name) {
        return Some(Named { row, statistic: None });
    }
    // Other tools put the unit behind the name.
    let bare = ["_ms", "_s", "_seconds"].into_iter().find_map(|unit| name.strip_suffix(unit));
    let behind = name.rsplit_once('_').map(|(name, statistic)| (statistic, name));
    for (statistic, name) in [name.split_once('_'), behind].into_iter().flatten() {
        if let (Some(statistic), Some(row)) = (Statistic::parse(statistic), known(name)) {
            return Some(Named { row, statistic: Some(statistic) });
        }
    }
    find(bare?)
}

/// The column that is named: of a metric of requests without a statistic, the one that stands for it.
///
/// # Errors
/// When there is none; the sentence names the nearest and lists all metrics.
pub fn column(text: &str) -> Result<&'static Column, String> {
    let name = plain(text);
    if let Some(column) = COLUMNS.iter().find(|column| column.key == name) {
        return Ok(column);
    }
    let Some(Named { row, statistic }) = find(&name) else {
        let sets = Set::ALL.map(|set| {
            let keys = set.rows().iter().map(|row| row.key);
            format!("  {:7} {}", set.name(), keys.collect::<Vec<_>>().join(" "))
        });
        return Err(format!("no metric is called {text}{} There are\n{}", is_it(text), sets.join("\n")));
    };
    let asked = match (&row.figure, statistic) {
        (Figure::Request(figure), statistic) => {
            let usual = match figure.columns {
                Columns::Percentiles(_) => Statistic::MEDIAN,
                Columns::One(usual, _) => usual,
            };
            Some(statistic.unwrap_or(usual))
        }
        (_, None) => None,
        (_, Some(_)) => return Err(format!("{text}: {} is one number of a group: it has no statistics", row.key)),
    };
    let all = || COLUMNS.iter().chain(ASKED.iter()).filter(|column| column.row.key == row.key);
    all().find(|column| column.of_requests.map(|(_, statistic)| statistic) == asked).ok_or_else(|| {
        let known: Vec<&str> = Statistic::all().map(Statistic::label).collect();
        format!("{text}: the statistics are {}", known.join(", "))
    })
}

fn is_it(text: &str) -> String {
    let near = nearest(text);
    if near.is_empty() { ".".into() } else { format!(": is it {}?", near.join(", ")) }
}

/// How many columns a typo is told it may be.
const NEAR: usize = 4;

/// The keys of the columns that a word may mean: those that have it in a name, or differ from it in few letters, the nearest
/// first.
pub fn nearest(word: &str) -> Vec<&'static str> {
    let word = plain(word);
    let far = |column: &Column| {
        let parts = column.key.split('_').map(str::to_owned);
        let aliases = column.row.aliases.iter().chain(&column.row.peers).copied().chain([column.row.name]);
        let names = [column.key.clone(), plain(&column.label)].into_iter().chain(aliases.map(plain)).chain(parts);
        // What is less than half of a word is in it by chance.
        let holds =
            |name: &str| word.len() > 1 && name.contains(&word) || 2 * name.len() > word.len() && word.contains(name);
        let far_of = |name: String| match name {
            name if name.is_empty() => usize::MAX,
            name if name == word => 0,
            name if holds(&name) => 1,
            name => 2 * distance(&word, &name),
        };
        names.map(far_of).min().unwrap_or(usize::MAX)
    };
    let limit = (2 * word.chars().count() / 3).max(2);
    let all = COLUMNS.iter().map(|column| (far(column), distance(&word, &column.key), column.key.as_str()));
    let mut near: Vec<(usize, usize, &'static str)> = all.filter(|(n, ..)| *n <= limit).collect();
    near.sort_by_key(|(n, letters, _)| (*n, *letters));
    near.into_iter().take(NEAR).map(|(.., key)| key).collect()
}
