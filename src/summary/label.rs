//! Words for what groups have in common and what tells them apart.

use super::group::Group;
use super::key::MACHINE;
use super::window::Window;
use crate::record::{Effect, RunSettings};
use std::collections::{BTreeMap, BTreeSet};

/// Gives each group the settings that are not the same in all groups of its model, in words.
pub fn label(groups: &mut [Group]) {
    let who = |group: &Group| (group.source, group.model.clone());
    let mut values: BTreeMap<_, BTreeMap<&'static str, BTreeSet<Option<&String>>>> = BTreeMap::new();
    for group in groups.iter() {
        values.entry(who(group)).or_default();
        for name in group.settings.keys() {
            values.entry(who(group)).or_default().entry(name).or_default();
        }
    }
    // A closed loop has no settings of open loops: that they are absent is no difference.
    let has = |group: &Group, name: &str| RunSettings::effect(name) != Some(Effect::OpenLoop) || group.rate.is_some();
    for group in groups.iter() {
        for (name, seen) in values.entry(who(group)).or_default() {
            if has(group, name) {
                seen.insert(group.settings.get(name));
            }
        }
    }
    // Another machine is another thing also where each model ran on one alone.
    let machines: BTreeSet<Option<&String>> = groups.iter().map(|group| group.settings.get(MACHINE)).collect();
    if machines.len() > 1 {
        values.values_mut().for_each(|names| drop(names.insert(MACHINE, machines.clone())));
    }
    let subs: Vec<Option<String>> = groups
        .iter()
        .map(|group| {
            let differing = values[&who(group)].iter().filter(|(name, seen)| seen.len() > 1 && has(group, name));
            let say = |name: &str| match group.settings.get(name) {
                Some(value) => format!("{} {value}", name.replace('_', " ")),
                None if name == MACHINE => "machine not told".to_owned(),
                None => format!("{} not set", name.replace('_', " ")),
            };
            let words: Vec<String> = differing.map(|(name, _)| say(name)).collect();
            (!words.is_empty()).then(|| words.join(", "))
        })
        .collect();
    groups.iter_mut().zip(subs).for_each(|(group, sub)| group.sub = sub);
}

/// What part of their loads the throughputs are of, in a sentence; `None` where no group has one to speak of.
pub fn described(window: Window, groups: &[Group], lost: bool) -> Option<String> {
    let looked_for =
        |group: &Group| group.throughput.as_ref().is_some_and(|t| t.part.steady || t.part.reason.is_some());
    let loaded = |group: &&Group| group.rate.is_some() || group.concurrency.is_some_and(|n| n > 1) || looked_for(group);
    let parts: Vec<_> = groups.iter().filter(loaded).filter_map(|group| group.throughput.as_ref()).collect();
    if parts.is_empty() {
        return None;
    }
    let whole = "from the first start to the last end";
    if window == Window::All {
        return Some(format!("Throughput, rates and concurrency are of the whole load, {whole}, as was asked."));
    }
    if lost {
        return Some(format!(
            "Throughput, rates and concurrency are of the whole load, {whole}: there are more requests than a steady part is \
             looked for in ({}).",
            super::window::FLIGHTS
        ));
    }
    let steady = parts.iter().filter(|t| t.part.steady).count();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in parts.iter().filter_map(|t| t.part.reason.as_deref()) {
        *reasons.entry(reason).or_default() += 1;
    }
    let mut why: Vec<(usize, &str)> = reasons.into_iter().map(|(why, n)| (n, why)).collect();
    why.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let most = reasoned(&why);
    Some(match (steady, parts.len() - steady) {
        (0, _) => {
            format!("Throughput, rates and concurrency are of the whole load, {whole}: no steady part was found{most}.")
        }
        (_, 0) => {
            let cut: f64 = parts.iter().map(|t| t.part.ramp_seconds + t.part.tail_seconds).sum();
            let all: f64 = cut + parts.iter().map(|t| t.span_seconds).sum::<f64>();
            format!(
                "Throughput, rates and concurrency are of the steady part of each load, while what was asked for was in flight or sent: \
                 {:.0} % of the time, ramp and tail left out.",
                (1.0 - cut / all) * 100.0
            )
        }
        (n, rest) => format!(
            "Throughput, rates and concurrency are of the steady part of {n} of {} loads, while what was asked for was in \
             flight or sent; of {rest} they are of the whole, {whole}: no steady part was found{most}.",
            n + rest
        ),
    })
}

/// Reasons, each with how many loads it is of where it is not of all of them.
fn reasoned(why: &[(usize, &str)]) -> String {
    const TOLD: usize = 3;
    if let [(_, only)] = why {
        return format!(" ({only})");
    }
    let mut told: Vec<String> =
        why.iter().take(TOLD).map(|(n, why)| format!("{n} load{}: {why}", if *n == 1 { "" } else { "s" })).collect();
    let others: usize = why.iter().skip(TOLD).map(|(n, _)| n).sum();
    told.extend((others > 0).then(|| format!("{others} more for other reasons, which stand with their numbers")));
    if told.is_empty() { String::new() } else { format!(" ({})", told.join("; ")) }
}

#[cfg(test)]
mod tests {
    use crate::record::fixture::{self, Fixture};
    use crate::record::{Outcome, Record};
    use crate::summary::{Asked, Collector, Summary, Window};
    use serde_json::{Value, json};

    fn summary(results: &[Fixture<Outcome>], window: Window) -> Summary {
        let mut collector = Collector::new(Asked { window, ..Asked::default() });
        results.iter().for_each(|result| collector.add(result.clone().into(), None));
        collector.finish()
    }

    #[test]
    fn what_was_set_tells_groups_apart_and_only_what_differs_is_said() {
        let asked = |id, model, effort: Option<&str>, gpu: Option<&str>| {
            let sent =
                json!({"id": "p", "temperature": 0.5, "num_ctx": 4096, "reasoning_effort": effort, "gpu_setting": gpu});
            fixture::result(id, model).merge(json!({ "prompt": sent }))
        };
        let results = [
            asked(1, "a", None, None),
            asked(2, "a", Some("high"), None),
            asked(3, "a", None, Some("max")),
            asked(4, "b", None, None),
            asked(5, "b", None, None),
        ];
        let said: Vec<String> = summary(&results, Window::Steady)
            .groups
            .iter()
            .map(|g| format!("{} {} {}", g.model, g.ok, g.sub.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(
            said,
            [
                "a 1 gpu max, reasoning effort not set",
                "a 1 gpu not set, reasoning effort high",
                "a 1 gpu not set, reasoning effort not set",
                "b 2 -",
            ]
        );
    }

    #[test]
    fn what_was_measured_on_different_machines_is_never_pooled_and_every_row_names_its_machine() {
        let run = |run: &str, host: &Value| -> Record {
            fixture::run(run).merge(json!({"host": host, "settings": {"suite": "website"}})).into()
        };
        let result = |model: &str, run: &str| -> Record { fixture::result(1, model).run(run).prompt("p").into() };
        let said = |by: &str, records: Vec<Record>| {
            let by = crate::summary::GroupBy::parse(by).unwrap();
            let mut collector = Collector::new(Asked { by, ..Asked::default() });
            records.into_iter().for_each(|record| collector.add(record, None));
            let summary = collector.finish();
            let names: Vec<String> = summary.groups.iter().map(crate::summary::Group::name).collect();
            (names, summary.machines())
        };
        let usual = "model,source,provider,load,settings,machine";
        let m3 = &json!({"cpu": "Apple M3 Max", "ram_bytes": 64_u64 << 30});
        let m2 = &json!({"cpu": "Apple M2", "ram_bytes": 8_u64 << 30});
        let two = || vec![run("x", m3), result("a", "x"), run("y", m2), result("a", "y"), result("b", "y")];
        let (names, machines) = said(usual, two());
        assert_eq!(
            names,
            ["a · machine Apple M2 8 GiB", "a · machine Apple M3 Max 64 GiB", "b · machine Apple M2 8 GiB"]
        );
        assert_eq!(machines, ["Apple M3 Max 64 GiB", "Apple M2 8 GiB"]);
        assert_eq!(said("model,machine", two()).0.len(), 3);
        // One machine tells nothing apart.
        let one = vec![run("x", m3), result("a", "x"), run("y", m3), result("a", "y")];
        assert_eq!(said(usual, one), (vec!["a".to_owned()], vec!["Apple M3 Max 64 GiB".to_owned()]));
        // What is not told is not taken to be the same.
        let untold = vec![run("x", m3), result("a", "x"), run("y", &json!({})), result("a", "y")];
        let (names, machines) = said(usual, untold);
        assert_eq!(names, ["a · machine Apple M3 Max 64 GiB", "a · machine not told"]);
        assert_eq!(machines, ["Apple M3 Max 64 GiB", "a machine that is not told"]);
    }

    #[test]
    fn the_sentence_says_what_was_found_and_what_was_asked() {
        let request = |worker: u64, i: u64| {
            let at = worker as f64 * 0.5 + i as f64;
            fixture::result(worker * 10 + i, "m").concurrency(3).sent(at).ttft(0.1).e2e(1.0).tokens(None, 10)
        };
        let results: Vec<_> = (0..3).flat_map(|w| (0..10).map(move |i| request(w, i))).collect();
        let steady = summary(&results, Window::Steady);
        let said = steady.window.as_deref().unwrap();
        assert!(said.contains("steady part of each load") && said.contains("73 %"), "{said}");
        let throughput = steady.groups[0].throughput.as_ref().unwrap();
        assert_eq!((throughput.span_seconds, throughput.part.steady), (8.0, true));
        assert!((throughput.concurrency - 3.0).abs() < 1e-9);
        let all = summary(&results, Window::All);
        assert!(all.window.unwrap().contains("as was asked"));
        assert_eq!(all.groups[0].throughput.as_ref().unwrap().span_seconds, 11.0);
        let few = summary(&results[..4], Window::Steady);
        assert!(few.window.unwrap().contains("at most 1 was in flight"));
        assert_eq!(summary(&[fixture::result(1, "m")], Window::Steady).window, None);
    }
}
