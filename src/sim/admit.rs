//! Admission: the model is loaded if it must be, a slot is free, and the answer is planned.

use super::ask::Refusal;
use super::chat::Request;
use super::faults::Kind;
use super::link::Link;
use super::meter::{DECODE, Draw, Milliwatts, PREFILL};
use super::pen::Pen;
use super::plan::{Plan, Shape};
use super::profile;
use super::quirks::Quirk;
use super::replay::Replay;
use super::serve::Sim;
use super::shelf::Instance;
use super::truth::wire_id;
use super::turn::Turn;
use crate::clock::{between, mono_ns};
use crate::record::Source;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::OwnedSemaphorePermit;

/// How many times the progress of a load is told.
const PROGRESS_STEPS: u32 = 4;

/// What a running request holds, until it ends or its client leaves.
pub struct Running {
    /// The server.
    pub sim: Arc<Sim>,
    /// Its connection.
    pub link: Arc<Link>,
    draw: Draw,
    factor: f64,
    instance: Option<Arc<Instance>>,
    keep_alive: Option<f64>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Running {
    /// The first token is there.
    pub fn decodes(&mut self) {
        self.draw.change(DECODE.times(self.factor));
    }

    /// The last token is there.
    pub fn rests(&mut self) {
        self.draw.change(Milliwatts::default());
        if self.sim.settings.power_log.is_some() {
            let joules = self.draw.energy().joules();
            self.link.note(|truth| truth.net_energy_joules = Some(joules));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.sim.running.fetch_sub(1, Ordering::Relaxed);
        if let Some(instance) = &self.instance {
            instance.rest(self.keep_alive);
        }
    }
}

/// Loads, waits and plans. With `telling`, what there is to tell of it is written as it happens.
///
/// # Errors
/// When the model cannot be loaded.
pub async fn admit(request: Request, telling: Option<&Pen>) -> Result<(Turn, Running), Refusal> {
    let arrived_ns = request.call.arrival.mono_ns;
    let (instance, load_seconds) = load(&request, telling).await?;
    let Request { sim, call, number, ask, faults, model, provider, .. } = request;
    let loaded_ns = if load_seconds.is_some() { mono_ns() } else { arrived_ns };
    let (slot, admitted_ns) = match &sim.slots {
        None => (None, loaded_ns),
        Some(slots) => match slots.clone().try_acquire_owned() {
            Ok(slot) => (Some(slot), loaded_ns),
            // Tokio's semaphore serves in the order of asking; it is never closed.
            Err(_) => (slots.clone().acquire_owned().await.ok(), mono_ns()),
        },
    };
    let others = sim.running.fetch_add(1, Ordering::Relaxed);
    let running = Running {
        draw: Draw::begin(&sim.meter, PREFILL.times(model.power_factor)),
        factor: model.power_factor,
        instance: instance.clone(),
        keep_alive: ask.keep_alive,
        sim: sim.clone(),
        link: call.link.clone(),
        _slot: slot,
    };
    call.link.note(|truth| {
        truth.load_seconds = load_seconds;
        truth.queue_seconds = sim.slots.as_ref().map(|_| between(loaded_ns, admitted_ns));
    });
    let settings = &sim.settings;
    let plan = if let Some(Replay::Streams(streams)) = &settings.replay {
        Plan::replayed(&streams[(number as usize - 1) % streams.len()], settings.seed)
    } else {
        let per_chunk = settings.tokens_per_chunk.unwrap_or(profile::tokens_per_chunk(settings.profile));
        let shape = Shape {
            ttft: &settings.ttft,
            itl: &settings.itl,
            tokens: &settings.tokens,
            gap_factor: 1.0 + settings.slowdown * others as f64,
            per_chunk: per_chunk as usize,
            limit: ask.limit,
            least: ask.least,
            reasoning: ask.reasoning,
            seed: settings.seed,
            number,
        };
        Plan::new(&model, &ask.prompt, &shape)
    };
    let other = sim.models.iter().find(|other| other.id != model.id && !other.embedding);
    let served = match other.filter(|_| faults.has(Kind::WrongModel)) {
        Some(other) => other.id.clone(),
        None => instance.as_ref().map_or(&model.id, |instance| &instance.id).clone(),
    };
    // A provider that failed unseen took as long as another takes to answer; a cold server takes its time.
    let lost = u64::from(faults.has(Kind::ProviderFailover)) + 9 * u64::from(faults.has(Kind::Cold));
    let admitted_ns = admitted_ns + lost.saturating_mul(plan.first_ns);
    let (id, created) = (wire_id(settings.seed, number, 24), call.arrival.ts as u64);
    let turn = Turn { id, created, model, served, instance, load_seconds, ask, plan, faults, provider, admitted_ns };
    Ok((turn, running))
}

/// The instance that answers, and how long its load took, where this kind of server loads models.
async fn load(request: &Request, telling: Option<&Pen>) -> Result<(Option<Arc<Instance>>, Option<f64>), Refusal> {
    let Request { sim, call, ask, faults, dialect, model, .. } = request;
    let alone = match sim.settings.profile {
        Source::Lmstudio => true,
        Source::Ollama => false,
        _ => return Ok((None, None)),
    };
    let pen = telling.filter(|_| dialect.tells_of_loading());
    if let Some(pen) = pen {
        pen.write(dialect.greeting(model)).await;
    }
    let there = sim
        .shelf
        .find(&ask.model)
        .or_else(|| sim.shelf.find(&model.id))
        .filter(|i| ask.context.is_none_or(|asked| asked == i.context));
    if let Some(instance) = there {
        // While it is used, it does not leave.
        instance.busy();
        return Ok((Some(instance), None));
    }
    if faults.has(Kind::LoadFails) {
        return Err(Refusal::Load(model.id.clone()));
    }
    if sim.is(Quirk::NoJit) {
        let why = "No models loaded. Please load a model in the developer page or use the 'lms load' command.";
        return Err(Refusal::Parameter("model", why.into()));
    }
    let context = ask.context.map(|asked| if sim.is(Quirk::HalfContext) { asked / 2 } else { asked });
    let loading = sim.shelf.for_request(model, context, alone, profile::keep_seconds(sim));
    let (instance, seconds) = match pen {
        None => loading.await,
        Some(pen) => {
            pen.write(dialect.load_began(model)).await;
            let (began_ns, expected) = (mono_ns(), sim.shelf.expected(model).as_nanos() as u64);
            tokio::pin!(loading);
            let mut step = 0;
            loop {
                let next_ns = began_ns + expected * u64::from(step) / u64::from(PROGRESS_STEPS);
                tokio::select! {
                    loaded = &mut loading => break loaded,
                    () = sim.until(next_ns), if step < PROGRESS_STEPS => {
                        pen.write(dialect.load_progress(model, f64::from(step) / f64::from(PROGRESS_STEPS))).await;
                        step += 1;
                    }
                }
            }
        }
    };
    if let (Some(pen), Some(seconds)) = (pen, seconds) {
        pen.write(dialect.load_ended(model, seconds)).await;
    }
    call.link.note(|truth| truth.load_seconds = seconds);
    Ok((Some(instance), seconds))
}
