//! A request that was admitted: what it asked, who answers, what and when. The profiles read it to write their frames.

use super::ask::Ask;
use super::catalog::SimModel;
use super::faults::{Faults, Kind};
use super::plan::Plan;
use super::shelf::Instance;
use std::sync::Arc;

/// A request and its answer.
#[derive(Debug)]
pub struct Turn {
    /// Letters and digits for ids on the wire.
    pub id: String,
    /// When it arrived, Unix seconds.
    pub created: u64,
    /// The model that answers.
    pub model: Arc<SimModel>,
    /// The name under which it answers.
    pub served: String,
    /// The loaded instance that answers, where models are loaded.
    pub instance: Option<Arc<Instance>>,
    /// How long this request's load took, when it needed one.
    pub load_seconds: Option<f64>,
    /// What was asked.
    pub ask: Ask,
    /// What is answered.
    pub plan: Plan,
    /// What goes wrong.
    pub faults: Faults,
    /// Which of the model's providers answers (OpenRouter).
    pub provider: usize,
    /// The moment from which the plan counts, on the monotonic clock.
    pub admitted_ns: u64,
}

/// How many tokens were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Of the prompt.
    pub input: u64,
    /// Of the answer, reasoning included.
    pub output: u64,
    /// Of them, reasoning.
    pub reasoning: u64,
}

impl Turn {
    /// Whether a fault befalls this request.
    pub fn has(&self, kind: Kind) -> bool {
        self.faults.has(kind)
    }

    /// The text of chunk `n`.
    pub fn text(&self, n: usize) -> &str {
        &self.plan.text[self.plan.chunks[n].text.clone()]
    }

    /// Whether chunk `n` is the first of the answer proper, and whether reasoning came before it.
    pub fn begins_answer(&self, n: usize) -> bool {
        !self.plan.chunks[n].reasoning && (n == 0 || self.plan.chunks[n - 1].reasoning)
    }

    /// Whether chunk `n` is the last.
    pub fn is_last(&self, n: usize) -> bool {
        n + 1 == self.plan.chunks.len()
    }

    /// The tokens of the first `chunks` chunks.
    pub fn sent(&self, chunks: usize) -> Sent {
        let sum = |only: bool| -> u64 {
            let counted = self.plan.chunks[..chunks].iter().filter(|chunk| !only || chunk.reasoning);
            counted.map(|chunk| u64::from(chunk.tokens)).sum()
        };
        Sent { input: self.ask.input_tokens(), output: sum(false), reasoning: sum(true) }
    }

    /// The tokens of the whole answer.
    pub fn all(&self) -> Sent {
        self.sent(self.plan.chunks.len())
    }

    /// The reasoning and the answer, whole.
    pub fn parts(&self) -> (&str, &str) {
        let border = self.plan.chunks.iter().filter(|chunk| chunk.reasoning).map(|chunk| chunk.text.end).max();
        let end = self.plan.chunks.last().map_or(0, |chunk| chunk.text.end);
        let border = border.unwrap_or(0);
        // After reasoning that was cut, the text of the answer begins where it would have: there is none.
        let from = self.plan.chunks.iter().find(|chunk| !chunk.reasoning).map_or(end, |chunk| chunk.text.start);
        (&self.plan.text[..border], &self.plan.text[from..end.max(from)])
    }

    /// `stop` or `length`, as OpenAI's form has it.
    pub fn finish(&self) -> &'static str {
        self.plan.finish.into()
    }

    /// Planned seconds to the first token.
    pub fn ttft_seconds(&self) -> f64 {
        self.plan.first_ns as f64 / 1e9
    }

    /// Planned seconds from the first to the last token.
    pub fn decode_seconds(&self) -> f64 {
        (self.plan.last_ns() - self.plan.first_ns) as f64 / 1e9
    }

    /// Tokens per second as LM Studio counts them: all output over the time after the first token; `None` when there
    /// is no such time.
    pub fn tokens_per_second(&self) -> Option<f64> {
        let seconds = self.decode_seconds();
        (seconds > 0.0).then(|| self.all().output as f64 / seconds)
    }
}
