//! What a request will be answered, chunk by chunk, and when each chunk is due: decided before the first byte is sent.

use super::catalog::SimModel;
use super::content;
use super::timing::{self, Spread};
use crate::record::{self, Record};
use std::ops::Range;
use strum::IntoStaticStr;

/// The most tokens of an answer: what a request may ask for at least is held in memory.
const MOST_TOKENS: usize = 1_000_000;

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Finish {
    /// It was complete.
    Stop,
    /// The request's limit cut it.
    Length,
}

/// One chunk of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Its part of the plan's text, in bytes.
    pub text: Range<usize>,
    /// Whether it is reasoning.
    pub reasoning: bool,
    /// How many tokens it holds.
    pub tokens: u32,
    /// When it is due: nanoseconds from admission. A chunk is due with its last token.
    pub offset_ns: u64,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Reasoning, then answer.
    pub text: String,
    /// In the order of sending; never empty.
    pub chunks: Vec<Chunk>,
    /// Why it ends.
    pub finish: Finish,
    /// When the first token is due, nanoseconds from admission.
    pub first_ns: u64,
}

/// What shapes a plan besides the model and the prompt.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a> {
    /// Seconds to the first token.
    pub ttft: &'a Spread,
    /// Seconds between tokens.
    pub itl: &'a Spread,
    /// Tokens of the whole answer.
    pub tokens: &'a Spread,
    /// How much longer gaps are now.
    pub gap_factor: f64,
    /// Tokens of a chunk.
    pub per_chunk: usize,
    /// The request's limit of tokens.
    pub limit: Option<usize>,
    /// The fewest tokens that the request wants.
    pub least: usize,
    /// Whether reasoning was not switched off.
    pub reasoning: bool,
    /// The seed.
    pub seed: u64,
    /// The number of the request.
    pub number: u64,
}

impl Plan {
    /// The answer of `model` to `prompt`. A reasoning model spends a quarter of its tokens on reasoning.
    pub fn new(model: &SimModel, prompt: &str, shape: &Shape) -> Self {
        let mut rng = timing::rng(shape.seed, "plan", shape.number);
        let wanted = (shape.tokens.draw(&mut rng).round() as usize).max(shape.least).clamp(1, MOST_TOKENS);
        let thinking = if model.reasoning && shape.reasoning { wanted / 4 } else { 0 };
        let thought = content::reasoning(shape.seed, &model.id, prompt, thinking);
        let answer = content::answer(shape.seed, &model.id, prompt, wanted - thinking);

        let sent = shape.limit.map_or(wanted, |limit| limit.min(wanted));
        let ttft = shape.ttft.draw(&mut rng) * model.ttft_factor;
        let offsets = timing::offsets(ttft, shape.itl, model.itl_factor * shape.gap_factor, sent, &mut rng);

        let text = thought.text.clone() + &answer.text;
        let mut chunks = Vec::with_capacity(sent / shape.per_chunk + 2);
        let mut from = 0;
        while from < sent {
            let reasoning = from < thinking;
            let border = if reasoning { thinking.min(sent) } else { sent };
            let to = (from + shape.per_chunk).min(border);
            let span = if reasoning {
                thought.span(from, to)
            } else {
                let span = answer.span(from - thinking, to - thinking);
                thought.text.len() + span.start..thought.text.len() + span.end
            };
            chunks.push(Chunk { text: span, reasoning, tokens: (to - from) as u32, offset_ns: offsets[to - 1] });
            from = to;
        }
        // Who may not stop is cut.
        let forced = shape.least > 0 && shape.limit == Some(sent);
        let finish = if sent < wanted || forced { Finish::Length } else { Finish::Stop };
        Plan { text, chunks, finish, first_ns: offsets[0] }
    }

    /// A recorded stream, again: the same sizes at the same offsets, in other words.
    pub fn replayed(recorded: &Recorded, seed: u64) -> Self {
        let total = recorded.chunks.iter().map(|chunk| chunk.1).sum();
        let count = recorded.chunks.len() as u64;
        let mut at = 0;
        let upto = |n: u64| recorded.tokens * n / count.max(1);
        let chunk = |(n, &(offset, bytes, reasoning)): (usize, &(f64, usize, bool))| {
            at += bytes;
            let tokens = (upto(n as u64 + 1) - upto(n as u64)) as u32;
            Chunk { text: at - bytes..at, reasoning, tokens, offset_ns: timing::nanos(offset) }
        };
        let chunks: Vec<Chunk> = recorded.chunks.iter().enumerate().map(chunk).collect();
        let first_ns = chunks.first().map_or(0, |chunk| chunk.offset_ns);
        Plan { text: content::filler(seed, total), chunks, finish: Finish::Stop, first_ns }
    }

    /// When the last chunk is due, nanoseconds from admission.
    pub fn last_ns(&self) -> u64 {
        self.chunks.last().map_or(self.first_ns, |chunk| chunk.offset_ns)
    }
}

/// A stream that llm-run saw: per chunk the seconds from its start, the bytes of text, and whether it was reasoning.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    chunks: Vec<(f64, usize, bool)>,
    tokens: u64,
}

/// The recorded streams among the lines of `text`: of the `result` records that were made with `--save-stream`.
///
/// # Errors
/// When a line is no record, an offset is no time, or there is no recorded stream.
pub fn recorded(text: &str) -> Result<Vec<Recorded>, String> {
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let record = record::read(line).map_err(|why| format!("line {}: {why}", number + 1))?;
        let Record::Result(result) = record else { continue };
        let Some(stream) = &result.stream else { continue };
        if stream.iter().any(|(offset, bytes, _)| !(0.0..=86_400.0).contains(offset) || *bytes > 1 << 24) {
            return Err(format!("line {}: a chunk later than a day or larger than 16 MiB", number + 1));
        }
        let chunks: Vec<_> = stream
            .iter()
            .filter(|(_, bytes, _)| *bytes > 0)
            .map(|(offset, bytes, kind)| (*offset, *bytes as usize, kind == "reasoning"))
            .collect();
        let tokens = result.tokens.as_ref().and_then(|tokens| tokens.output).unwrap_or(chunks.len() as u64);
        if !chunks.is_empty() {
            all.push(Recorded { chunks, tokens });
        }
    }
    if all.is_empty() { Err("no result with a recorded stream (llm-run --save-stream)".into()) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Source, fixture};
    use crate::sim::catalog::default_models;
    use serde_json::json;

    fn plan(model: usize, tokens: f64, limit: Option<usize>, per_chunk: usize) -> Plan {
        let shape = Shape {
            ttft: &Spread::Fixed(0.1),
            itl: &Spread::Fixed(0.01),
            tokens: &Spread::Fixed(tokens),
            gap_factor: 1.0,
            per_chunk,
            limit,
            least: 0,
            reasoning: true,
            seed: 1,
            number: 1,
        };
        Plan::new(&default_models(Source::Openai)[model], "hello", &shape)
    }

    #[test]
    fn tokens_are_cut_into_chunks_that_are_due_with_their_last_token() {
        for (tokens, limit, per_chunk, chunks, sent, finish, last_ms) in [
            (5.0, None, 1, 5, 5, Finish::Stop, 140),
            (5.0, Some(9), 1, 5, 5, Finish::Stop, 140),
            (5.0, Some(5), 1, 5, 5, Finish::Stop, 140),
            (5.0, Some(2), 1, 2, 2, Finish::Length, 110),
            (5.0, None, 2, 3, 5, Finish::Stop, 140),
            (0.0, None, 1, 1, 1, Finish::Stop, 100),
        ] {
            let plan = plan(0, tokens, limit, per_chunk);
            let total: u32 = plan.chunks.iter().map(|c| c.tokens).sum();
            assert_eq!(
                (plan.chunks.len(), total, plan.finish),
                (chunks, sent, finish),
                "{tokens} {limit:?} {per_chunk}"
            );
            assert_eq!(plan.last_ns(), last_ms * 1_000_000);
        }
    }

    #[test]
    fn a_reasoning_model_reasons_first_and_no_chunk_is_both() {
        let plan = plan(2, 22.0, None, 4);
        let thinking: u32 = plan.chunks.iter().filter(|c| c.reasoning).map(|c| c.tokens).sum();
        assert_eq!(thinking, 5);
        assert!(plan.chunks.windows(2).all(|pair| pair[0].reasoning >= pair[1].reasoning));
        assert_eq!(plan.chunks.iter().map(|c| &plan.text[c.text.clone()]).collect::<String>(), plan.text);
    }

    #[test]
    fn a_recorded_stream_comes_again_with_its_sizes_and_times() {
        let stream = json!([[0.25, 7, "reasoning"], [0.5, 0, "answer"], [0.75, 3, "answer"]]);
        let line = fixture::result(1, "m").sent(1.0).tokens(None, 5).merge(json!({ "stream": stream })).to_string();
        let Ok(all) = recorded(&line) else {
            // The shape of a result is the contract's business; here only the stream matters.
            panic!("{:?}", recorded(&line));
        };
        let plan = Plan::replayed(&all[0], 1);
        let seen: Vec<_> = plan.chunks.iter().map(|c| (c.offset_ns, c.text.len(), c.tokens, c.reasoning)).collect();
        assert_eq!(seen, [(250_000_000, 7, 2, true), (750_000_000, 3, 3, false)]);
        for bad in ["", "{}", r#"{"type":"start","v":1,"id":1,"start_ts":1,"start_mono":1}"#, "nonsense"] {
            assert!(recorded(bad).is_err(), "{bad}");
        }
    }
}
