//! What no meter may do: turn a reading it does not have into 0 W.
//!
//! Known silent zeros: counters that freeze when the system stops to refresh them, a GPU whose driver answers
//! "not supported" with a zero, virtual machines whose energy counters exist and never move.

use super::total::always_draws;
use crate::record::Power;

/// More than any one machine draws, and than a hall of them does: a number in another unit, or none at all.
const MOST_WATTS: f64 = 1e9;

/// Takes out the zeros that cannot be true, and the totals that contain what could not be read, each with the reason.
pub fn honest(power: &mut Power) {
    let zeros: Vec<String> =
        power.watts.iter().filter(|(d, w)| **w == Some(0.0) && always_draws(d)).map(|(d, _)| d.clone()).collect();
    for domain in zeros {
        refuse(power, &domain, "read exactly 0 W, which cannot be while this program runs on it");
    }
    let absurd = |most: f64| move |value: &Option<f64>| value.is_some_and(|value| !(0.0..=most).contains(&value));
    let watts = power.watts.iter().filter(|(_, watts)| absurd(MOST_WATTS)(watts));
    let joules = power.joules.iter().flatten().filter(|(_, joules)| absurd(f64::MAX)(joules));
    let bad: Vec<String> = watts.chain(joules).map(|(domain, _)| domain.clone()).collect();
    for domain in bad {
        refuse(power, &domain, "read a number that no power has");
    }
    // The total of an Apple chip is the sum of its parts; without one of them it is not the total.
    let lost = ["cpu", "gpu", "ane"].iter().find(|part| power.watts.get(**part) == Some(&None));
    if let Some(part) = lost.filter(|_| power.watts.get("soc").is_some_and(Option::is_some)) {
        refuse(power, "soc", &format!("contains {part}, which is unavailable"));
    }
}

/// Marks a domain as tried and failed.
pub fn refuse(power: &mut Power, domain: &str, why: &str) {
    power.watts.insert(domain.to_owned(), None);
    if let Some(joules) = power.joules.as_mut() {
        joules.insert(domain.to_owned(), None);
    }
    power.unavailable.get_or_insert_default().entry(domain.to_owned()).or_insert_with(|| why.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PowerKind;

    fn reading(watts: &[(&str, Option<f64>)]) -> Power {
        let mut power = super::super::reading("x", PowerKind::Window, 1.0, None);
        power.watts = watts.iter().map(|(d, w)| ((*d).to_owned(), *w)).collect();
        honest(&mut power);
        power
    }

    #[test]
    fn a_processor_that_draws_nothing_was_not_read_and_neither_was_its_total() {
        let power = reading(&[("cpu", Some(0.0)), ("gpu", Some(3.0)), ("ane", Some(0.0)), ("soc", Some(3.0))]);
        assert_eq!(power.watts["cpu"], None);
        assert_eq!(power.watts["soc"], None);
        assert_eq!(power.watts["gpu"], Some(3.0));
        assert_eq!(power.watts["ane"], Some(0.0), "an idle accelerator may draw nothing");
        let why = power.unavailable.unwrap();
        assert!(why["soc"].contains("cpu"), "{why:?}");
    }

    #[test]
    fn numbers_that_no_power_has_are_refused() {
        for bad in [f64::NAN, f64::INFINITY, -1.0, 1e12] {
            assert_eq!(reading(&[("gpu0", Some(bad))]).watts["gpu0"], None);
        }
        let mut power = super::super::reading("x", PowerKind::Counter, 1.0, None);
        power.joules = Some([("gpu0".to_owned(), Some(f64::INFINITY)), ("gpu1".to_owned(), Some(7.0))].into());
        honest(&mut power);
        assert_eq!(power.joules.as_ref().map(|joules| (joules["gpu0"], joules["gpu1"])), Some((None, Some(7.0))));
        assert!(power.unavailable.unwrap().contains_key("gpu0"));
        assert_eq!(reading(&[("gpu0", Some(0.0)), ("dram-0", Some(0.0))]).unavailable, None);
    }
}
