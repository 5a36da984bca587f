//! The power that the simulation pretends to draw, and its energy, exactly: watts change at known moments, and between
//! them they are constant, so that energy is a sum of products.

use crate::clock::mono_ns;
use crate::locks::locked;
use std::sync::{Arc, Mutex};

/// What is drawn, in milliwatts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Milliwatts {
    /// By the processor.
    pub cpu: u64,
    /// By the GPU.
    pub gpu: u64,
}

/// What is drawn when nothing runs.
pub const IDLE: Milliwatts = Milliwatts { cpu: 1500, gpu: 500 };
/// What loading a model draws, above idle.
pub const LOAD: Milliwatts = Milliwatts { cpu: 6000, gpu: 2000 };
/// What each request draws from admission to its first token, above idle.
pub const PREFILL: Milliwatts = Milliwatts { cpu: 3000, gpu: 24_000 };
/// What each request draws from its first to its last token, above idle.
pub const DECODE: Milliwatts = Milliwatts { cpu: 4000, gpu: 16_000 };

impl Milliwatts {
    /// For a model that draws `factor` times as much.
    pub fn times(self, factor: f64) -> Self {
        let scaled = |mw: u64| (mw as f64 * factor).round() as u64;
        Self { cpu: scaled(self.cpu), gpu: scaled(self.gpu) }
    }
}

/// Energy in picojoules: milliwatts times nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Picojoules {
    /// Of the processor.
    pub cpu: u128,
    /// Of the GPU.
    pub gpu: u128,
}

impl Picojoules {
    fn add(&mut self, power: Milliwatts, nanos: u64) {
        self.cpu += u128::from(power.cpu) * u128::from(nanos);
        self.gpu += u128::from(power.gpu) * u128::from(nanos);
    }

    /// In joules, both together.
    pub fn joules(&self) -> f64 {
        (self.cpu + self.gpu) as f64 / 1e12
    }
}

#[derive(Debug)]
struct State {
    at_ns: u64,
    power: Milliwatts,
    energy: Picojoules,
}

impl State {
    fn advance(&mut self, now_ns: u64) {
        self.energy.add(self.power, now_ns.saturating_sub(self.at_ns));
        self.at_ns = self.at_ns.max(now_ns);
    }
}

/// The meter of the whole server.
#[derive(Debug)]
pub struct Meter(Mutex<State>);

impl Meter {
    /// A meter that counts from `now_ns` on the monotonic clock.
    pub fn new(now_ns: u64) -> Self {
        Self(Mutex::new(State { at_ns: now_ns, power: IDLE, energy: Picojoules::default() }))
    }

    /// The energy drawn until `now_ns`.
    pub fn read(&self, now_ns: u64) -> Picojoules {
        let mut state = locked(&self.0);
        state.advance(now_ns);
        state.energy
    }

    fn change(&self, now_ns: u64, from: Milliwatts, to: Milliwatts) {
        let mut state = locked(&self.0);
        state.advance(now_ns);
        state.power.cpu = (state.power.cpu + to.cpu).saturating_sub(from.cpu);
        state.power.gpu = (state.power.gpu + to.gpu).saturating_sub(from.gpu);
    }
}

/// What one piece of work draws, until it is dropped.
#[derive(Debug)]
pub struct Draw {
    meter: Arc<Meter>,
    power: Milliwatts,
    since_ns: u64,
    energy: Picojoules,
}

impl Draw {
    /// Begins to draw `power`.
    pub fn begin(meter: &Arc<Meter>, power: Milliwatts) -> Self {
        let mut draw =
            Self { meter: meter.clone(), power: Milliwatts::default(), since_ns: 0, energy: Picojoules::default() };
        draw.change(power);
        draw
    }

    /// Draws `power` from now on.
    pub fn change(&mut self, power: Milliwatts) {
        let now = mono_ns();
        self.energy.add(self.power, now.saturating_sub(self.since_ns));
        self.meter.change(now, self.power, power);
        (self.power, self.since_ns) = (power, now);
    }

    /// What it has drawn until the last change.
    pub fn energy(&self) -> Picojoules {
        self.energy
    }
}

impl Drop for Draw {
    fn drop(&mut self) {
        self.change(Milliwatts::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_is_power_times_time_whoever_draws_it() {
        let meter = Meter::new(1_000);
        assert_eq!(meter.read(2_000), Picojoules { cpu: 1500 * 1000, gpu: 500 * 1000 });
        meter.change(2_000, Milliwatts::default(), PREFILL);
        meter.change(3_000, PREFILL, DECODE);
        let energy = meter.read(4_000);
        assert_eq!(energy.cpu, (3 * 1500 + 3000 + 4000) * 1000);
        assert_eq!(energy.gpu, (3 * 500 + 24_000 + 16_000) * 1000);
        // A stamp from before the last change adds nothing and takes nothing.
        assert_eq!(meter.read(3_500), energy);
    }

    #[test]
    fn work_that_ends_draws_no_more() {
        let meter = Arc::new(Meter::new(mono_ns()));
        let mut draw = Draw::begin(&meter, PREFILL);
        draw.change(DECODE);
        drop(draw);
        assert_eq!(meter.0.lock().unwrap().power, IDLE);
    }
}
