//! That a report of many models takes as much longer as there are more of them, and no more.

use llm_bench::record::{Failure, FailureKind, Record, Source, fixture};
use llm_bench::report::{self, Format, Options};
use llm_bench::summary::{self, Collector, Summary};
use rustix::time::{ClockId, clock_gettime};

/// What this thread has taken of a processor, in seconds: other programs do not count.
fn taken() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Two requests of each of `n` models, every tenth of which only failed before a provider was chosen.
fn summary(n: u64) -> Summary {
    let mut collector = Collector::default();
    for id in 0..2 * n {
        let failed = id % n % 10 == 3;
        let result = fixture::result(id, format!("model-{}", id % n)).source(Source::Openrouter).ttft(0.5).e2e(1.0);
        let message = format!("failure {id}");
        let (kind, status) = (FailureKind::Server, Some(500));
        let error = failed.then(|| Failure { kind, status, message, retryable: true, ..Failure::default() });
        let provider = (!failed).then(|| "P".to_owned());
        let o = result.set(|o| (o.provider, o.error) = (provider, error)).record();
        collector.add(Record::Result(Box::new(o)), None);
    }
    collector.finish()
}

#[test]
fn ten_times_as_many_models_take_about_ten_times_as_long_in_every_format() {
    const FEW: u64 = 400;
    let cost = |n: u64| {
        let mut costs = Vec::new();
        let mut last = taken();
        let mut told = |what: &'static str| {
            let now = taken();
            costs.push((what, now - std::mem::replace(&mut last, now)));
        };
        let mut one = summary(n);
        told("summary");
        one.comparison = Some(summary::compare(&one, [("old", &summary(n))]));
        told("comparison");
        for (name, format) in [
            ("markdown", Format::Markdown),
            ("text", Format::Text),
            ("csv", Format::Csv),
            ("csv-requests", Format::CsvRequests),
            ("json", Format::Json),
            ("openmetrics", Format::Openmetrics),
            ("html", Format::Html),
        ] {
            let mut bytes = Vec::new();
            report::write(format, &one, &Options::default(), &mut bytes).unwrap();
            assert!(!bytes.is_empty());
            told(name);
        }
        costs
    };
    cost(FEW);
    let (few, many) = (cost(FEW), cost(10 * FEW));
    for ((what, few), (_, many)) in few.iter().zip(&many) {
        // Ten times, and as much again for caches that no longer hold it all; a square would be a hundred times.
        assert!(
            *many < 30.0 * few + 0.05,
            "{what}: {few:.4} s of a processor for {FEW} models, {many:.4} s for ten times as many"
        );
    }
}
