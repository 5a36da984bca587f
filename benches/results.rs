//! Results as llm-run writes them, for the benchmark of bench-report: `cargo bench --bench results -- 1000000 > results.ndjson`.
//!
//! Eight models at three levels of concurrency, one request in a hundred failed. Histogram, numbers and ids are drawn anew for each
//! result, and are the same each time.

use llm_bench::clock;
use llm_bench::record::{
    self, Chunks, Client, Derived, Errors, Failure, FailureKind, Files, FirstTokens, Outcome, Phase, PromptUsed,
    Quantiles, Source, Timing, TokenMethod, Tokens, fixture,
};
use llm_bench::stats::{self, Histogram};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, LogNormal};
use std::io::{self, BufWriter, Write};

/// The most tokens of an answer.
const MAX_TOKENS: u64 = 512;

const RUN: &str = "bench-20261122-000000";

struct Draw {
    rng: StdRng,
    tokens: LogNormal<f64>,
    jitter: LogNormal<f64>,
}

impl Draw {
    /// A number from 0 to 1.
    fn part(&mut self) -> f64 {
        self.rng.random()
    }

    /// A moment in seconds, to the nanosecond as clocks have it.
    fn seconds(&mut self, scale: f64) -> f64 {
        (self.part() * scale * 1e9).round() / 1e9
    }

    /// The gaps of an answer, in nanoseconds; one in fifty comes in the same read as the one before.
    fn gaps(&mut self, n: u64, seconds: f64) -> Vec<u64> {
        let gap = |_| match self.rng.random_range(0..50) {
            0 => self.rng.random_range(0..50_000),
            _ => (seconds * 1e9 * self.jitter.sample(&mut self.rng)) as u64,
        };
        (0..n).map(gap).collect()
    }

    fn result(&mut self, id: u64) -> Outcome {
        let model = id % 8;
        let concurrency = 4u64.pow((id % 3) as u32);
        let start_ts = 1_700_000_000.0 + id as f64 / 50.0;
        let lag = self.seconds(1e-3);
        let start = fixture::result(id, format!("org/model-{model}b")).run(RUN).source(Source::Openai);
        let outcome = Outcome {
            key: format!("{:016x}", self.rng.random::<u64>()),
            endpoint: Some("http://127.0.0.1:8080/v1/chat/completions".into()),
            api: Some("openai".into()),
            timestamp: clock::rfc3339(start_ts),
            start_ts: Some(start_ts),
            start_mono: Some(start_ts - 1_699_990_000.0),
            concurrency: Some(concurrency),
            phase: Some(Phase::Measure),
            repetition: Some(1 + id / 400),
            in_flight: Some(concurrency),
            prompt: Some(PromptUsed {
                id: format!("p{}", id % 50),
                temperature: Some(0.7),
                max_tokens: Some(MAX_TOKENS),
                ..PromptUsed::default()
            }),
            client: Some(Client {
                lag_seconds: Some(Quantiles {
                    count: 200,
                    p50: Some(self.seconds(1e-5)),
                    p99: Some(self.seconds(2e-4)),
                    max: Some(lag),
                    ..Quantiles::default()
                }),
            }),
            ..start.record()
        };
        let ttft = 0.05 * concurrency as f64 * (0.3 + self.seconds(2.0));
        if self.rng.random_range(0..100) == 0 { failed(outcome, ttft) } else { self.answered(outcome, model, ttft) }
    }

    fn answered(&mut self, outcome: Outcome, model: u64, ttft: f64) -> Outcome {
        let tokens = (self.tokens.sample(&mut self.rng) as u64).clamp(2, MAX_TOKENS);
        let gaps = self.gaps(tokens - 1, 0.01 + 0.001 * model as f64);
        let mut histogram = Histogram::new();
        gaps.iter().for_each(|gap| histogram.add_ns(*gap));
        let latency = stats::quantiles(gaps.iter().map(|gap| *gap as f64 / 1e9)).unwrap_or_default();
        let last = ttft + gaps.iter().sum::<u64>() as f64 / 1e9;
        let end = last + self.seconds(1e-3);
        let input = self.rng.random_range(10..50);
        let per_token = (last - ttft) / (tokens - 1) as f64;
        Outcome {
            served_model: Some(outcome.model.clone()),
            generation_id: Some(format!("chatcmpl-{:032x}", self.rng.random::<u128>())),
            timing_seconds: Some(Timing {
                headers: Some(ttft / 4.0),
                first_event: Some(ttft),
                first_token: Some(ttft),
                first_output_token: Some(ttft),
                last_token: Some(last),
                end: Some(end),
                ..Timing::default()
            }),
            ttft_seconds: Some(ttft),
            time_to_first_output_token_seconds: Some(ttft),
            generation_time_seconds: Some(end),
            tpot_corrected_seconds: Some(per_token),
            tpot_seconds: Some(per_token),
            inter_chunk_latency_seconds: Some(Quantiles { histogram: Some(histogram.encode()), ..latency }),
            tokens: Some(Tokens {
                input: Some(input),
                output: Some(tokens),
                method: Some(TokenMethod::Usage),
                ..Tokens::default()
            }),
            chunks: Some(Chunks {
                count: tokens,
                reads: Some(tokens - tokens / 50),
                max_per_read: Some(2),
                first_tokens: Some(FirstTokens { tokens: 1.0, exact: false }),
            }),
            usage: Some(serde_json::json!({
                "prompt_tokens": input, "completion_tokens": tokens, "total_tokens": input + tokens
            })),
            derived: Some(Derived {
                tokens_per_second: Some(tokens as f64 / end),
                decode_tokens_per_second: Some(1.0 / per_token),
                prompt_tokens_per_second: Some(input as f64 / ttft),
                ..Derived::default()
            }),
            finish_reason: Some(if tokens == MAX_TOKENS { "length" } else { "stop" }.into()),
            files: Some(Files {
                text: Some(format!("{}-{}.txt", outcome.model.replace('/', "_"), outcome.id)),
                ..Files::default()
            }),
            ..outcome
        }
    }
}

fn failed(outcome: Outcome, seconds: f64) -> Outcome {
    Outcome {
        timing_seconds: Some(Timing { headers: Some(seconds / 4.0), end: Some(seconds), ..Timing::default() }),
        errors: Errors { load: None, generation: Some("HTTP 503: busy".into()) },
        error: Some(Failure { kind: FailureKind::Server, status: Some(503), message: "busy".into(), retryable: true }),
        ..outcome
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo says that it benchmarks.
    let wanted = std::env::args().skip(1).find(|argument| argument != "--bench");
    let results: u64 = wanted.as_deref().unwrap_or("1000").parse()?;
    let mut draw = Draw {
        rng: StdRng::seed_from_u64(7),
        tokens: LogNormal::from_mean_cv(180.0, 0.8)?,
        jitter: LogNormal::from_mean_cv(1.0, 0.3)?,
    };
    let mut to = BufWriter::new(io::stdout().lock());
    writeln!(to, "{}", fixture::run(RUN).set(|run| run.started_ts = 1_700_000_000.0))?;
    for id in 1..=results {
        writeln!(to, "{}", record::line(&draw.result(id))?)?;
    }
    Ok(to.flush()?)
}
