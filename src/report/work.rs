//! Which rows did the same work: only those are compared with each other where a best is named.
//!
//! Two rows did the same when what their runs say of the work is the same (suite, prompts, lengths, data set, turns, prefix,
//! the most tokens allowed) and when of the prompts that the one with fewer asked at least half were asked by the other too.

use crate::summary::Group;
use std::collections::HashMap;

/// The settings that make a task; the others are how it is done.
const WORK: [&str; 10] =
    ["suite", "prompts", "synthetic", "dataset", "turns", "shared_prefix", "max_tokens", "prompt", "category", "turn"];

/// How many kinds with the same settings are told apart by their prompts; of more, a row is a kind of its own.
const MOST: usize = 64;

/// The kind of work of each group, numbered from 0 in the order of the groups.
pub fn kinds<'a>(groups: &'a [Group]) -> Vec<usize> {
    // By settings: the first group of each kind, and the kind's number.
    let mut firsts: HashMap<[Option<&'a String>; WORK.len()], Vec<(&'a Group, usize)>> = HashMap::new();
    let mut next = 0;
    let kind = |group: &'a Group| {
        let near = firsts.entry(WORK.map(|name| group.settings.get(name))).or_default();
        let known = near.iter().find(|(first, _)| asked_the_same(first, group)).map(|(_, kind)| *kind);
        known.unwrap_or_else(|| {
            if near.len() < MOST {
                near.push((group, next));
            }
            next += 1;
            next - 1
        })
    };
    groups.iter().map(kind).collect()
}

fn asked_the_same(a: &Group, b: &Group) -> bool {
    let both = a.prompts.intersection(&b.prompts).count();
    2 * both >= a.prompts.len().min(b.prompts.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record;
    use crate::summary::Collector;

    #[test]
    fn rows_did_the_same_work_when_they_were_asked_the_same() {
        let mut collector = Collector::default();
        for (model, prompt, more) in [
            ("a", "chat", ",\"max_tokens\":80"),
            ("b", "chat", ",\"max_tokens\":80,\"temperature\":0.5"),
            ("c", "website", ",\"max_tokens\":80"),
            ("d", "chat", ",\"max_tokens\":400"),
            ("e", "website", ",\"max_tokens\":80"),
            ("e", "chat", ",\"max_tokens\":80"),
        ] {
            let line =
                format!(r#"{{"type":"result","v":1,"model":"{model}","run":"r","prompt":{{"id":"{prompt}"{more}}}}}"#);
            collector.add(record::read(&line).unwrap(), None);
        }
        assert_eq!(kinds(&collector.finish().groups), [0, 0, 1, 2, 0]);
    }
}
