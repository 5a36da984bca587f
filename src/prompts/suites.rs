//! The built-in suites, in our own words; the texts stand beside this file and are part of the binary.

use super::prompt;
use crate::record::Prompt;
use clap::ValueEnum;
use strum::Display;

/// A built-in suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Display)]
#[strum(serialize_all = "kebab-case")]
pub enum Suite {
    /// One prompt: a self-contained interactive web page.
    Website,
    /// 32 short prompts, four in each of eight categories.
    TokenRate,
}

/// The prompts of a suite.
pub fn suite(suite: Suite, system: Option<&str>) -> Vec<Prompt> {
    match suite {
        Suite::Website => vec![prompt("website", None, system, include_str!("website.txt").trim_end())],
        Suite::TokenRate => include_str!("token-rate.txt")
            .lines()
            .filter_map(|line| line.split_once(": "))
            .enumerate()
            .map(|(n, (category, text))| prompt(&format!("token-rate-{:02}", n + 1), Some(category), system, text))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_token_rate_suite_has_four_prompts_in_each_of_eight_categories() {
        let prompts = suite(Suite::TokenRate, None);
        let mut categories: BTreeMap<String, usize> = BTreeMap::new();
        for prompt in &prompts {
            *categories.entry(prompt.category.clone().unwrap()).or_default() += 1;
        }
        let names = "coding comparison creative factual opinion/analysis reasoning technical explanation writing";
        assert_eq!(categories.keys().cloned().collect::<Vec<_>>().join(" "), names);
        assert!(categories.values().all(|&n| n == 4), "{categories:?}");
        let texts: std::collections::BTreeSet<_> = prompts.iter().map(|prompt| &prompt.text).collect();
        assert_eq!(texts.len(), 32);
    }

    #[test]
    fn the_website_suite_asks_for_a_kanban_board_without_dialogs() {
        let prompts = suite(Suite::Website, Some("Be brief."));
        assert_eq!((prompts.len(), prompts[0].system.as_deref()), (1, Some("Be brief.")));
        for word in ["Kanban", "localStorage", "drag", "alert", "HTML"] {
            assert!(prompts[0].text.contains(word), "{word}");
        }
    }
}
