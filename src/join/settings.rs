//! Settings of a join.

use super::energy::round;
use super::idle::IdleFrom;
use super::shares::Attribution;
use crate::record::EnergyCost;

/// Settings of a join.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How energy is shared.
    pub attribution: Attribution,
    /// How long to wait for a reading, in seconds; three intervals when not given.
    pub wait: Option<f64>,
    /// Seconds that are added to the time of every reading, by stream; where there are fewer, none to those that follow.
    pub offsets: Vec<f64>,
    /// Where the idle power is taken from.
    pub idle: IdleFrom,
    /// What energy costs and emits.
    pub rates: EnergyRates,
}

/// What energy costs and emits; what is not known is not computed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EnergyRates {
    /// Money per kilowatt-hour.
    pub price_per_kwh: Option<f64>,
    /// Grams of CO₂ equivalent per kilowatt-hour.
    pub carbon_g_per_kwh: Option<f64>,
    /// Power usage effectiveness: what the building draws for each joule that the machine does.
    pub pue: Option<f64>,
}

impl EnergyRates {
    fn amount(&self, energy: Option<f64>, per_kwh: Option<f64>) -> Option<EnergyCost> {
        let (energy, per_kwh) = energy.zip(per_kwh)?;
        let amount = round(energy / JOULES_PER_KWH * per_kwh * self.pue.unwrap_or(1.0));
        Some(EnergyCost { amount, per_kwh, pue: self.pue })
    }

    /// What `energy` joules cost.
    pub fn cost(&self, energy: Option<f64>) -> Option<EnergyCost> {
        self.amount(energy, self.price_per_kwh)
    }

    /// What `energy` joules emit.
    pub fn carbon(&self, energy: Option<f64>) -> Option<EnergyCost> {
        self.amount(energy, self.carbon_g_per_kwh)
    }
}

const JOULES_PER_KWH: f64 = 3.6e6;
