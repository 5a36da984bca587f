//! Which models are in memory. A load takes its time and really holds its memory, so that a memory sampler sees it; an
//! unload gives it back when the last request that uses it has ended.

use super::catalog::SimModel;
use super::meter::{Draw, LOAD, Meter};
use crate::clock::wall;
use crate::locks::locked;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// A loaded model.
#[derive(Debug)]
pub struct Instance {
    /// Its name: the model's id, and a number from the second on.
    pub id: String,
    /// The model.
    pub model: Arc<SimModel>,
    /// The context length it was loaded with.
    pub context: u64,
    /// Whether a chat request loaded it.
    pub by_request: bool,
    /// How long loading took.
    pub load_seconds: f64,
    /// How many requests it works on at once.
    pub parallel: u64,
    stay: Mutex<Stay>,
    _held: Vec<u8>,
}

/// How long an instance stays.
#[derive(Debug, Clone, Copy, Default)]
struct Stay {
    /// Seconds after its last use; `None` is for ever.
    keep: Option<f64>,
    /// When that is over, Unix seconds.
    expires: Option<f64>,
}

/// How an instance is to be loaded.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// The context length, in tokens.
    pub context: u64,
    /// Its name; the model's own otherwise.
    pub name: Option<String>,
    /// How many requests it works on at once; 4 otherwise.
    pub parallel: Option<u64>,
    /// How many seconds it stays after its last use; `None` is for ever.
    pub keep: Option<f64>,
    /// Whether a request loads it.
    pub by_request: bool,
}

impl Instance {
    fn stay(&self) -> MutexGuard<'_, Stay> {
        locked(&self.stay)
    }

    /// When it leaves memory unless it is used: Unix seconds; `None` is never.
    pub fn expires(&self) -> Option<f64> {
        self.stay().expires
    }

    /// How many seconds it stays after its last use; `None` is for ever.
    pub fn keep(&self) -> Option<f64> {
        self.stay().keep
    }

    /// It is used, and does not leave.
    pub fn busy(&self) {
        self.stay().expires = None;
    }

    /// It is used no more; `keep`, where a request says it, is how many seconds it stays from now on (negative: for ever).
    pub fn rest(&self, keep: Option<f64>) {
        let mut stay = self.stay();
        if let Some(seconds) = keep {
            stay.keep = (seconds >= 0.0).then_some(seconds);
        }
        stay.expires = stay.keep.map(|seconds| wall() + seconds);
    }
}

/// The models in memory.
#[derive(Debug)]
pub struct Shelf {
    instances: Mutex<Vec<Arc<Instance>>>,
    /// One load at a time; whoever waited looks first whether it is still needed.
    loading: tokio::sync::Mutex<()>,
    load_time: Duration,
    load_bytes: u64,
    meter: Arc<Meter>,
}

impl Shelf {
    /// An empty one, on which a load takes `load_time` and holds `load_bytes`, times the model's factor.
    pub fn new(load_time: Duration, load_bytes: u64, meter: Arc<Meter>) -> Self {
        Self { instances: Mutex::default(), loading: tokio::sync::Mutex::default(), load_time, load_bytes, meter }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Instance>>> {
        let mut instances = locked(&self.instances);
        let now = wall();
        instances.retain(|instance| instance.expires().is_none_or(|at| at > now));
        instances
    }

    /// What is in memory, oldest first.
    pub fn loaded(&self) -> Vec<Arc<Instance>> {
        self.lock().clone()
    }

    /// An instance by its own name or its model's.
    pub fn find(&self, id: &str) -> Option<Arc<Instance>> {
        let instances = self.lock();
        instances.iter().find(|i| i.id == id).or_else(|| instances.iter().find(|i| i.model.id == id)).cloned()
    }

    /// How long loading `model` will take.
    pub fn expected(&self, model: &SimModel) -> Duration {
        self.load_time.mul_f64(model.load_factor)
    }

    /// Loads one more instance of `model`, whatever is loaded already.
    pub async fn load(&self, model: &Arc<SimModel>, order: Order) -> Arc<Instance> {
        let _door = self.loading.lock().await;
        self.bring(model, order).await
    }

    /// The instance for a request: what is loaded, or a new one, and then the seconds its load took. With `alone`, a
    /// new one drives out those that other requests have loaded (LM Studio), or the same model with another context.
    pub async fn for_request(
        &self,
        model: &Arc<SimModel>,
        context: Option<u64>,
        alone: bool,
        keep: Option<f64>,
    ) -> (Arc<Instance>, Option<f64>) {
        let fits = |i: &Arc<Instance>| context.is_none_or(|asked| asked == i.context);
        if let Some(instance) = self.find(&model.id).filter(fits) {
            return (instance, None);
        }
        let _door = self.loading.lock().await;
        if let Some(instance) = self.find(&model.id).filter(fits) {
            return (instance, None);
        }
        self.lock().retain(|i| i.model.id != model.id && !(alone && i.by_request));
        let context = context.unwrap_or(model.context.min(8192));
        let instance = self.bring(model, Order { context, keep, by_request: true, ..Order::default() }).await;
        let seconds = instance.load_seconds;
        (instance, Some(seconds))
    }

    async fn bring(&self, model: &Arc<SimModel>, order: Order) -> Arc<Instance> {
        let mut draw = Draw::begin(&self.meter, LOAD.times(model.power_factor));
        let (time, bytes) = (self.expected(model), (self.load_bytes as f64 * model.load_factor) as usize);
        let began = Instant::now();
        // Touching pages takes time that streams on this thread would feel; and a load goes on when its client leaves.
        let held = tokio::task::spawn_blocking(move || fill(began, time, bytes)).await.unwrap_or_default();
        draw.change(Default::default());
        let mut instances = self.lock();
        let name = order.name.as_ref().unwrap_or(&model.id);
        let id = (1..)
            .map(|n| if n == 1 { name.clone() } else { format!("{name}:{n}") })
            .find(|id| instances.iter().all(|i| i.id != *id))
            .unwrap_or_default();
        let instance = Arc::new(Instance {
            id,
            model: model.clone(),
            context: order.context,
            by_request: order.by_request,
            load_seconds: began.elapsed().as_secs_f64(),
            parallel: order.parallel.unwrap_or(4),
            stay: Mutex::new(Stay { keep: order.keep, expires: None }),
            _held: held,
        });
        instances.push(instance.clone());
        instance
    }

    /// Unloads an instance by its name; false when there is none.
    pub fn unload(&self, id: &str) -> bool {
        let mut instances = self.lock();
        let before = instances.len();
        instances.retain(|instance| instance.id != id);
        instances.len() < before
    }
}

/// Takes `bytes` of memory and touches every page of it, spread evenly over `time`.
fn fill(began: Instant, time: Duration, bytes: usize) -> Vec<u8> {
    const STEPS: u32 = 20;
    let mut held = Vec::new();
    // A machine without that much memory simulates the time without the weight.
    let bytes = if held.try_reserve_exact(bytes).is_ok() { bytes } else { 0 };
    for step in 1..=STEPS {
        held.resize(bytes * step as usize / STEPS as usize, 0xA5);
        std::thread::sleep((began + time * step / STEPS).saturating_duration_since(Instant::now()));
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Source;
    use crate::sim::catalog::default_models;

    #[tokio::test]
    async fn a_load_makes_a_new_instance_and_a_request_takes_what_is_there() {
        let order = || Order { context: 100, ..Order::default() };
        let shelf = Shelf::new(Duration::ZERO, 1000, Arc::new(Meter::new(0)));
        let models: Vec<_> = default_models(Source::Lmstudio).into_iter().map(Arc::new).collect();
        assert_eq!(shelf.load(&models[0], order()).await.id, models[0].id);
        assert_eq!(shelf.load(&models[0], order()).await.id, format!("{}:2", models[0].id));
        let (instance, loaded) = shelf.for_request(&models[0], None, true, None).await;
        assert_eq!((instance.id.as_str(), loaded), (models[0].id.as_str(), None));
        assert!(shelf.for_request(&models[1], None, true, None).await.1.is_some());
        assert!(shelf.for_request(&models[2], None, true, None).await.1.is_some());
        let names: Vec<String> = shelf.loaded().iter().map(|i| i.id.clone()).collect();
        assert_eq!(names, [models[0].id.clone(), format!("{}:2", models[0].id), models[2].id.clone()]);
        assert!(shelf.unload(&models[0].id) && !shelf.unload(&models[0].id));
    }

    #[tokio::test]
    async fn another_context_loads_anew_and_what_expired_is_gone() {
        let shelf = Shelf::new(Duration::ZERO, 0, Arc::new(Meter::new(0)));
        let model = Arc::new(default_models(Source::Ollama).remove(0));
        assert!(shelf.for_request(&model, Some(4096), false, None).await.1.is_some());
        assert!(shelf.for_request(&model, Some(4096), false, None).await.1.is_none());
        assert!(shelf.for_request(&model, None, false, None).await.1.is_none());
        assert!(shelf.for_request(&model, Some(8192), false, None).await.1.is_some());
        assert_eq!(shelf.loaded().len(), 1);
        shelf.loaded()[0].rest(Some(60.0));
        assert_eq!(shelf.loaded().len(), 1);
        shelf.loaded()[0].rest(Some(0.0));
        assert!(shelf.loaded().is_empty());
    }
}
