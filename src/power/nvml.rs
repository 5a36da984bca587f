//! `nvml`: NVIDIA's cards by their driver: the energy counter where there is one, and the power beside it.
//!
//! The counter is the better half: on some data-centre cards the power is only looked at a quarter of the time, and on
//! newer ones it is a mean over a second, while the counter counts all of it. A card that answers "not supported" (Jetson,
//! virtual cards) is unavailable, never 0 W.

use super::counter::Counter;
use super::honest::refuse;
use super::reading;
use crate::clock::Stamp;
use crate::nvml::{Card, Cards};
use crate::record::{Power, PowerKind};

/// The cards.
pub struct Nvml {
    cards: Cards,
    counters: Vec<Counter>,
    seen_ns: Option<u64>,
}

impl Nvml {
    /// The cards that tell anything.
    ///
    /// # Errors
    /// Why there is nothing to read.
    pub fn open() -> Result<Self, String> {
        let cards = Cards::open()?;
        let first: Vec<Card> = (0..cards.count()).map(|index| cards.power(index)).collect();
        if let Some(Err(why)) =
            first.iter().all(|card| card.watts.is_err() && card.millijoules.is_err()).then_some(&first[0].watts)
        {
            return Err(format!("no card tells its power: {why}"));
        }
        let counters = first.iter().map(|_| Counter::new(1e-3, None)).collect();
        Ok(Self { cards, counters, seen_ns: None })
    }

    /// The domains.
    pub fn domains(&self) -> Vec<String> {
        (0..self.counters.len()).map(|index| format!("gpu{index}")).collect()
    }

    /// Reads the cards: one record for those that count, one for those that only tell their power.
    pub fn read(&mut self, at: Stamp) -> Vec<Power> {
        let cards = (0..self.cards.count()).map(|index| self.cards.power(index)).collect::<Vec<_>>();
        let window = super::since(&mut self.seen_ns, at.mono_ns);
        records(&cards, &mut self.counters, window, at)
    }
}

fn records(cards: &[Card], counters: &mut [Counter], window: Option<f64>, at: Stamp) -> Vec<Power> {
    let mut counted = reading("nvml", PowerKind::Counter, at.ts, Some(at.mono()));
    counted.window_seconds = window;
    counted.joules = Some(Default::default());
    let mut told = reading("nvml", PowerKind::Instant, at.ts, Some(at.mono()));
    for (index, (card, counter)) in cards.iter().zip(counters).enumerate() {
        let domain = format!("gpu{index}");
        let step = card.millijoules.clone().and_then(|raw| {
            counter.look(raw, at.mono_ns);
            counter.read(at.mono_ns).map_err(str::to_owned)
        });
        if card.millijoules.is_err() {
            counter.lost();
        }
        match (step, &card.watts) {
            (Ok(step), watts) => {
                // Polled too fast, some drivers answer 0.
                let watts = watts.as_ref().ok().copied().filter(|watts| *watts > 0.0).or(step.watts);
                counted.watts.extend(watts.map(|watts| (domain.clone(), Some(super::milliwatts(watts)))));
                counted.joules.get_or_insert_default().insert(domain, Some(super::microjoules(step.joules)));
            }
            (Err(_), Ok(watts)) if *watts > 0.0 => {
                told.watts.insert(domain, Some(super::milliwatts(*watts)));
            }
            (Err(why), Ok(_)) => refuse(&mut told, &domain, &format!("0 W, and {why}")),
            (Err(_), Err(why)) => refuse(&mut told, &domain, why),
        }
    }
    let counted = Some(counted).filter(|power| power.joules.as_ref().is_some_and(|joules| !joules.is_empty()));
    counted.into_iter().chain(Some(told).filter(|power| !power.watts.is_empty())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_read_by_the_best_that_it_tells() {
        fn no<T>() -> Result<T, String> {
            Err("not supported".into())
        }
        let cards = |millijoules| {
            vec![
                Card { watts: Ok(300.0), millijoules: Ok(millijoules) },
                Card { watts: Ok(75.5), millijoules: no() },
                Card { watts: no(), millijoules: no() },
                Card { watts: Ok(0.0), millijoules: no() },
            ]
        };
        let mut counters = vec![Counter::new(1e-3, None); 4];
        let at = |second: u64| Stamp { mono_ns: second * 1_000_000_000, ts: 0.0 };
        records(&cards(1_000), &mut counters, None, at(1));
        let powers = records(&cards(301_000), &mut counters, Some(1.0), at(2));
        let [counted, told] = powers.as_slice() else { panic!("{powers:?}") };
        assert_eq!((counted.kind(), counted.watts["gpu0"]), (PowerKind::Counter, Some(300.0)));
        assert_eq!(counted.joules.as_ref().unwrap()["gpu0"], Some(301.0));
        assert_eq!((told.kind(), told.watts["gpu1"], told.watts["gpu2"]), (PowerKind::Instant, Some(75.5), None));
        let why = told.unavailable.as_ref().unwrap();
        assert!(why["gpu2"].contains("not supported") && why["gpu3"].starts_with("0 W"), "{why:?}");
    }

    #[test]
    fn a_stuck_counter_gives_way_to_the_power() {
        let cards = [Card { watts: Ok(50.0), millijoules: Ok(7) }];
        let mut counters = vec![Counter::new(1e-3, None)];
        let at = |second: u64| Stamp { mono_ns: second * 1_000_000_000, ts: 0.0 };
        let kinds: Vec<PowerKind> =
            (1..6).map(|s| records(&cards, &mut counters, Some(1.0), at(s))[0].kind()).collect();
        assert_eq!(kinds[4], PowerKind::Instant);
    }
}
