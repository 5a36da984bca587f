use super::*;
use crate::record::{PromptUsed, fixture};
use crate::summary::Collector;

/// A summary of one model whose times to first token are `values`, each of its own prompt when asked for.
fn summary(values: impl IntoIterator<Item = f64>, prompts: bool) -> Summary {
    let mut collector = Collector::default();
    for (i, ttft) in (0..).zip(values) {
        let result = fixture::result(i, "m").ttft(ttft);
        collector.add(if prompts { result.prompt(format!("p{i}")) } else { result }.into(), None);
    }
    collector.finish()
}

fn noise(i: u64) -> f64 {
    1.0 + (crate::summary::collect::scramble(i) % 1000) as f64 / 5000.0
}

fn verdict(new: &Summary, old: &Summary) -> (Verdict, f64, bool) {
    let changes = compare(new, [("old", old)]).changes;
    let [change] = &changes[..] else { panic!("{changes:?}") };
    (change.verdict, change.ratio, change.paired)
}

#[test]
fn a_real_difference_is_told_and_noise_is_not() {
    let side = |seed: u64, factor: f64| summary((0..40).map(|i| noise(seed + i) * factor), false);
    assert_eq!(verdict(&side(1000, 1.0), &side(2000, 1.0)).0, Verdict::Same);
    let (faster, ratio, paired) = verdict(&side(1000, 0.8), &side(2000, 1.0));
    assert_eq!((faster, paired), (Verdict::Better, false));
    assert!((0.75..0.85).contains(&ratio), "{ratio}");
    assert_eq!(verdict(&side(1000, 1.3), &side(2000, 1.0)).0, Verdict::Worse);
    assert_eq!(verdict(&summary([1.0; 5], false), &side(1, 1.0)).0, Verdict::NotEnoughData);
}

#[test]
fn prompts_are_compared_with_themselves_where_both_sides_answered_them() {
    // Prompts differ a hundredfold; a change of 5 % would drown, were they not paired.
    let side = |seed: u64, factor: f64| {
        summary((0..12).map(|i| 1.5f64.powi(i as i32) * noise(seed + i) / noise(seed) * factor), true)
    };
    let (verdict_, ratio, paired) = verdict(&side(5, 1.05), &side(5, 1.0));
    assert!(paired && (ratio - 1.05).abs() < 1e-9, "{ratio}");
    assert_eq!(verdict_, Verdict::Worse);
}

#[test]
fn the_test_of_ranks_says_what_the_tables_and_other_programs_say() {
    let to = |n: u32| (1..=n).map(f64::from).collect::<Vec<f64>>();
    let apart: Vec<f64> = to(12).split_off(6);
    // Exact tables of U: of 6 against 6, nothing in common has p 2/924, and U = 5 is the last below 5 %.
    let five_of_36 = ([1.0, 2.0, 3.0, 4.0, 5.5, 8.5], [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]);
    // R's help page of wilcox.test: W = 35, p = 0.1272 one-sided, so 0.2544.
    let (x, y) = ([0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46], [1.15, 0.88, 0.90, 0.74, 1.21]);
    // scipy's help page of mannwhitneyu: U = 17, and 0.1113 by the normal approximation.
    let (male, female) = ([19.0, 22.0, 16.0, 29.0, 24.0], [20.0, 11.0, 17.0, 12.0]);
    let table: [(&[f64], &[f64], f64, f64); 5] = [
        (&to(6), &apart, 0.002_164_5, 0.005),
        (&five_of_36.0, &five_of_36.1, 0.041_1, 0.012),
        (&x, &y, 0.2544, 0.01),
        (&male, &female, 0.111_346_886_5, 1e-9),
        (&[1.0; 8], &[1.0; 8], 1.0, 0.0),
    ];
    for (a, b, expect, within) in table {
        for (a, b) in [(a, b), (b, a)] {
            let p = ranks(a, b).unwrap();
            assert!((p - expect).abs() <= within, "{a:?} {b:?}: {p}, not {expect}");
        }
    }
    assert_eq!(ranks(&[], &[1.0]), None);
}

#[test]
fn a_group_is_compared_although_something_else_was_set_and_that_is_said() {
    let side = |temperatures: &[f64]| {
        let mut collector = Collector::default();
        for (id, temperature) in (1..).zip(temperatures) {
            let prompt = PromptUsed { id: "p".into(), temperature: Some(*temperature), ..PromptUsed::default() };
            collector.add(fixture::result(id, "m").ttft(1.0).set(|o| o.prompt = Some(prompt)).into(), None);
        }
        collector.finish()
    };
    let comparison = compare(&side(&[0.7]), [("old", &side(&[0.0]))]);
    assert_eq!(comparison.set_otherwise, [aside(0, "m (temperature 0 before, 0.7 now)")]);
    assert_eq!((comparison.changes.len(), comparison.only_now.len()), (1, 0));
    let comparison = compare(&side(&[0.7]), [("a", &side(&[0.0, 0.3])), ("b", &side(&[0.7, 0.9]))]);
    assert_eq!(comparison.only_before.len(), 3, "{comparison:?}");
    assert_eq!((comparison.only_now.len(), comparison.changes[0].baseline), (1, 1));
    assert_eq!(comparison.set_otherwise, []);
}

#[test]
fn groups_of_only_one_side_are_named() {
    let comparison = compare(&summary([1.0], false), [("old", &Collector::default().finish())]);
    assert_eq!((comparison.only_now, comparison.only_before.len()), (vec![aside(0, "m")], 0));
}

fn aside(baseline: usize, group: &str) -> Aside {
    Aside { baseline, group: group.to_owned() }
}
