//! How fast the pure inner parts are: `cargo bench --bench pure`, or `-- --quick` for a first look.
//!
//! What whole programs take is measured by the scripts beside this file; here is what they spend their time in.

use criterion::{BatchSize, Criterion, Throughput};
use llm_bench::join::{Piece, Reading, Series, hear};
use llm_bench::protocol::sse::{Event, Parser};
use llm_bench::record::{self, Outcome, PowerKind, Record};
use llm_bench::stats::{ClassCounts, Histogram, HistogramSum};
use llm_bench::summary::{self, Collector};
use std::hint::black_box;

/// The result of the contract's documentation: with energy, memory and ground truth.
const RESULT: &str = include_str!("../testdata/records/result.json");

fn outcome() -> Option<Box<Outcome>> {
    match record::read(RESULT) {
        Ok(Record::Result(outcome)) => Some(outcome),
        _ => None,
    }
}

/// Events of a chat, as one read brings them, and cut in the middle of lines.
fn sse(c: &mut Criterion) {
    let event = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}"#;
    let stream = format!("{event}\n\n").repeat(1000);
    let mut group = c.benchmark_group("sse");
    group.throughput(Throughput::Bytes(stream.len() as u64));
    for (name, cut) in [("whole reads", stream.len()), ("reads of 64 bytes", 64)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let (mut parser, mut bytes) = (Parser::default(), 0);
                let mut each = |event: Event<'_>| bytes += event.data.len();
                stream.as_bytes().chunks(cut).for_each(|piece| parser.push(piece, &mut each));
                parser.finish(&mut each);
                bytes
            });
        });
    }
    group.finish();
}

/// A result read whole, as far as a summary or the join needs it, folded into a summary, and written.
fn records(c: &mut Criterion) {
    let mut group = c.benchmark_group("record");
    group.throughput(Throughput::Bytes(RESULT.len() as u64));
    group.bench_function("read", |b| b.iter(|| record::read(black_box(RESULT)).is_ok()));
    group.bench_function("read for a summary", |b| b.iter(|| summary::read(black_box(RESULT), None).is_ok()));
    group.bench_function("read for the join", |b| b.iter(|| hear(black_box(RESULT)).is_ok()));
    let mut collector = Collector::default();
    group.bench_function("fold into a summary", |b| {
        b.iter_batched(outcome, |o| o.map(|o| collector.add(Record::Result(o), None)), BatchSize::SmallInput);
    });
    if let Some(outcome) = outcome() {
        group.bench_function("write", |b| b.iter(|| record::line(black_box(&*outcome)).map(|line| line.len())));
    }
    group.finish();
}

/// The gaps of one answer: counted, encoded, decoded, and added to those of others.
fn histogram(c: &mut Criterion) {
    let gaps: Vec<u64> = (0..200u64).map(|i| 10_000_000 + i * i * 997 % 7_000_000).collect();
    let of = |gaps: &[u64]| {
        let mut histogram = Histogram::new();
        gaps.iter().for_each(|gap| histogram.add_ns(*gap));
        histogram
    };
    let (one, text) = (of(&gaps), of(&gaps).encode());
    let (mut sum, mut encoded) = (Histogram::new(), HistogramSum::default());
    let mut group = c.benchmark_group("histogram");
    group.bench_function("200 gaps counted", |b| b.iter(|| of(black_box(&gaps)).count()));
    group.bench_function("encode", |b| b.iter(|| one.encode().len()));
    group.bench_function("decode", |b| b.iter(|| Histogram::decode(black_box(&text)).is_ok()));
    group.bench_function("add", |b| b.iter(|| sum.add(black_box(&one)).is_ok()));
    group.bench_function("add encoded", |b| {
        b.iter(|| ClassCounts::read(black_box(&text)).map(|counts| encoded.add(&counts, None)).is_ok())
    });
    group.finish();
}

/// The energy of a request over the windows of a meter that reads once a second, an hour of them held.
fn energy(c: &mut Criterion) {
    let mut group = c.benchmark_group("energy overlap");
    for (name, kind) in
        [("windows", PowerKind::Window), ("counter", PowerKind::Counter), ("instants", PowerKind::Instant)]
    {
        let mut series = Series::new(kind);
        for second in 0..3600 {
            let (at, value) = (f64::from(second), 30.0 + f64::from(second % 7));
            let value = if kind == PowerKind::Counter { at * 33.0 } else { value };
            series.add(Reading { at, span: 1.0, value, watts: None, fresh: false });
        }
        for seconds in [0.9, 30.0] {
            group.bench_function(format!("{name}, request of {seconds} s"), |b| {
                b.iter(|| series.estimate(black_box(&Piece::whole(1800.25, 1800.25 + seconds))));
            });
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    sse(&mut criterion);
    records(&mut criterion);
    histogram(&mut criterion);
    energy(&mut criterion);
    criterion.final_summary();
}
