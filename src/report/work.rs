//! Which rows did the same work: only those are compared with each other where a best is named.
//!
//! Two rows did the same when the settings that make a task are the same (`Effect::Task` of `RunSettings`) and when of the
//! prompts that the one with fewer asked at least half were asked by the other too.
//! The loads that a search tried are steps of one question: only rows of the same step are compared.

use super::search;
use crate::summary::{Group, Summary, is_task};
use std::collections::HashMap;

/// How many kinds with the same settings are told apart by their prompts; of more, a row is a kind of its own.
const MOST: usize = 64;

/// What a group's settings say of its work, and which step of a search it is.
type Work<'a> = (Vec<(&'a str, &'a str)>, Option<u64>);

/// The kind of work of each group, numbered from 0 in the order of the groups.
pub fn kinds(summary: &Summary) -> Vec<usize> {
    // By settings and step: the first group of each kind, and the kind's number.
    let mut firsts: HashMap<Work, Vec<(&Group, usize)>> = HashMap::new();
    let mut next = 0;
    let mut kinds = Vec::new();
    for group in &summary.groups {
        let step = search::step(&summary.searches, group);
        let set = group.settings.iter().filter(|(name, _)| is_task(name));
        let task = set.map(|(name, value)| (*name, value.as_str())).collect();
        let near = firsts.entry((task, step)).or_default();
        let known = near.iter().find(|(first, _)| first.prompts.alike(&group.prompts)).map(|(_, kind)| *kind);
        kinds.push(known.unwrap_or_else(|| {
            if near.len() < MOST {
                near.push((group, next));
            }
            next += 1;
            next - 1
        }));
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{PromptUsed, fixture};
    use crate::summary::Collector;

    #[test]
    fn rows_did_the_same_work_when_they_were_asked_the_same() {
        let mut collector = Collector::default();
        for (id, (model, prompt, max_tokens, temperature)) in (1..).zip([
            ("a", "chat", 80, None),
            ("b", "chat", 80, Some(0.5)),
            ("c", "website", 80, None),
            ("d", "chat", 400, None),
            ("e", "website", 80, None),
            ("e", "chat", 80, None),
        ]) {
            let max_tokens = Some(max_tokens);
            let prompt = PromptUsed { id: prompt.into(), max_tokens, temperature, ..PromptUsed::default() };
            collector.add(fixture::result(id, model).set(|o| o.prompt = Some(prompt)).into(), None);
        }
        assert_eq!(kinds(&collector.finish()), [0, 0, 1, 2, 0]);
    }

    #[test]
    fn all_prompts_tell_it_and_not_the_first_of_them() {
        let mut collector = Collector::default();
        // The same 100 in another order, and 100 of which the first 50 are others.
        let asked = (0..100).map(|n| ("a", n)).chain((0..100).map(|n| ("b", 99 - n)));
        let begins_alike = (0..100).map(|n| ("c", if n < 45 { n } else { 1000 + n }));
        for (id, (model, prompt)) in (1..).zip(asked.chain(begins_alike)) {
            collector.add(fixture::result(id, model).prompt(format!("p{prompt}")).into(), None);
        }
        assert_eq!(kinds(&collector.finish()), [0, 0, 1]);
    }
}
