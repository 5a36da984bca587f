//! Exact numbers, histograms and sketches agree on every percentile of the list.

use super::*;
use crate::record::Percentile;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;

fn histogram(nanos: &[u64]) -> Histogram {
    let mut histogram = Histogram::new();
    nanos.iter().for_each(|&v| histogram.add_ns(v));
    histogram
}

fn sum<'a>(texts: impl IntoIterator<Item = &'a str>) -> HistogramSum {
    let mut sum = HistogramSum::default();
    texts.into_iter().for_each(|text| sum.add(&ClassCounts::read(text).unwrap(), None));
    sum
}

/// Count, smallest and largest are the same, mean and percentiles within 0.2 %.
fn close(got: &Quantiles, exact: &Quantiles) -> Result<(), TestCaseError> {
    prop_assert_eq!((got.count, got.min, got.max), (exact.count, exact.min, exact.max));
    for name in Percentile::ALL.iter().map(|percentile| percentile.name).chain(["mean"]) {
        let (got, exact) = (got.get(name).unwrap(), exact.get(name).unwrap());
        prop_assert!((got - exact).abs() <= exact.abs() * 2e-3, "{} {} {}", name, got, exact);
    }
    Ok(())
}

#[test]
fn quantiles_are_those_of_numpy() {
    for (values, q, expect) in [
        (vec![], 0.5, None),
        (vec![3.0], 0.99, Some(3.0)),
        (vec![1.0, 2.0], 0.5, Some(1.5)),
        (vec![1.0, 2.0, 3.0, 4.0], 0.95, Some(3.85)),
        (vec![1.0, 2.0, 3.0, 4.0], 0.0, Some(1.0)),
        (vec![1.0, 2.0, 3.0, 4.0], 1.0, Some(4.0)),
    ] {
        let got = quantile(&values, q);
        assert!(
            got == expect || got.zip(expect).is_some_and(|(a, b)| (a - b).abs() < 1e-12),
            "{values:?} {q}: {got:?}"
        );
    }
}

#[test]
fn no_numbers_have_no_statistics() {
    assert_eq!(mean(&[]), None);
    assert_eq!(quantiles([f64::NAN, f64::INFINITY]), None);
    assert_eq!((Histogram::new().quantiles(), Histogram::new().quantile(0.5)), (None, None));
    assert_eq!((Sketch::default().quantiles(), HistogramSum::default().quantiles()), (None, None));
    assert_eq!(Sketch::default().drawn(), []);
}

#[test]
fn unreadable_histograms_are_refused() {
    let whole = BASE64.decode(histogram(&[1_000_000, 5_000_000, 5_000_000_000]).encode()).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        BASE64.encode(bytes)
    };
    for text in [
        String::new(),
        "no base64!".into(),
        "HISTFAAAAEAV42pNpmSzMwMDAxAABzFCaEUoz2X+AMIKZAE".into(),
        BASE64.encode(&whole[..whole.len() - 1]),
        BASE64.encode(&whole[..20]),
        with(0, 0),
        with(15, 9),
        with(24, 0xff),
        with(whole.len() - 1, 0x80),
    ] {
        assert!(ClassCounts::read(&text).is_err(), "{text}");
    }
}

#[test]
fn histograms_of_other_classes_are_added_by_value() {
    let mut coarse = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 60_000_000, 2).unwrap();
    coarse.record_n(250_000, 7).unwrap();
    let mut bytes = Vec::new();
    let mut serializer = hdrhistogram::serialization::V2Serializer::new();
    hdrhistogram::serialization::Serializer::serialize(&mut serializer, &coarse, &mut bytes).unwrap();
    let sum = sum([BASE64.encode(bytes).as_str()]).quantiles().unwrap();
    assert_eq!(sum.count, 7);
    assert!((sum.p50.unwrap() - 0.25).abs() < 0.25 * 0.01);
}

#[test]
fn drawn_numbers_stand_for_all() {
    for n in [1u32, 2, 511, 512, 513, 30_000] {
        let mut sketch = Sketch::default();
        (0..n).for_each(|i| sketch.add(f64::from(i) + 1.0));
        let drawn = sketch.drawn();
        assert_eq!(drawn.iter().map(|(_, count)| count).sum::<u64>(), u64::from(n), "{n}");
        assert!(drawn.len() < 600 && drawn.is_sorted_by(|a, b| a.0 <= b.0), "{n}");
        assert_eq!(drawn.last(), Some(&(f64::from(n), 1)), "{n}");
    }
}

#[test]
fn a_sketch_holds_any_sign_and_size() {
    for scale in [1e-9, 1.0, 1e10] {
        let values: Vec<f64> = (0..6000).map(|i| (f64::from(i) - 1500.0) * scale).collect();
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(*value));
        let (got, sd) = sketch.quantiles().unwrap();
        let exact = quantiles(values.iter().copied()).unwrap();
        close(&got, &exact).unwrap();
        assert!((sd.unwrap() / scale - 1732.2).abs() < 1.0, "{sd:?}");
    }
}

proptest! {
    #[test]
    fn quantiles_rise_and_stay_inside(values in proptest::collection::vec(-1e6..1e6f64, 1..60)) {
        let sorted = sorted(values);
        let mut last = sorted[0];
        for step in 0..=20 {
            let q = quantile(&sorted, f64::from(step) / 20.0).unwrap();
            prop_assert!(q >= last - 1e-9 && q <= sorted[sorted.len() - 1] + 1e-9);
            last = q;
        }
    }

    /// From a millisecond to an hour: below, the error is half of the microsecond that is counted.
    #[test]
    fn histograms_are_within_a_fifth_of_a_percent(
        parts in proptest::collection::vec(proptest::collection::vec(6.0..12.5f64, 1..400), 1..6),
    ) {
        let parts: Vec<Vec<u64>> = parts.iter().map(|part| part.iter().map(|p| 10f64.powf(*p) as u64).collect()).collect();
        let exact = quantiles(parts.iter().flatten().map(|ns| *ns as f64 / 1e9)).unwrap();
        let (mut all, mut forward, mut backward) = (Histogram::new(), HistogramSum::default(), HistogramSum::default());
        for part in &parts {
            all.add(&histogram(part)).unwrap();
        }
        let encoded: Vec<_> = parts.iter().map(|part| {
            let ends = quantiles(part.iter().map(|ns| *ns as f64 / 1e9)).unwrap();
            (ClassCounts::read(&histogram(part).encode()).unwrap(), ends.min.zip(ends.max))
        }).collect();
        encoded.iter().for_each(|(counts, ends)| forward.add(counts, *ends));
        encoded.iter().rev().for_each(|(counts, ends)| backward.add(counts, *ends));
        close(&all.quantiles().unwrap(), &exact)?;
        prop_assert_eq!(forward.quantiles(), all.quantiles());
        prop_assert_eq!(backward.quantiles(), forward.quantiles());
    }

    #[test]
    fn sketches_are_within_a_fifth_of_a_percent(
        parts in proptest::collection::vec(proptest::collection::vec(-11.0..17.0f64, 1..300), 1..6),
        sign in prop_oneof![Just(-1.0), Just(1.0)],
    ) {
        let parts: Vec<Vec<f64>> = parts.iter().map(|part| part.iter().map(|p| sign * 10f64.powf(*p)).collect()).collect();
        let exact = quantiles(parts.iter().flatten().copied()).unwrap();
        let sketches: Vec<Sketch> = parts.iter().map(|part| {
            let mut sketch = Sketch::default();
            part.iter().for_each(|value| sketch.add(*value));
            sketch
        }).collect();
        let (mut forward, mut backward) = (Sketch::default(), Sketch::default());
        sketches.iter().for_each(|sketch| forward.merge(sketch));
        sketches.iter().rev().for_each(|sketch| backward.merge(sketch));
        let (forward, backward) = (forward.quantiles().unwrap().0, backward.quantiles().unwrap().0);
        close(&forward, &exact)?;
        prop_assert_eq!(Quantiles { mean: forward.mean, ..backward }, forward);
    }

    #[test]
    fn encoded_histograms_add_up_exactly(
        a in proptest::collection::vec(0..4_000_000_000_000u64, 0..2000),
        b in proptest::collection::vec(0..4_000_000_000_000u64, 0..50),
    ) {
        let (one, two, all) = (histogram(&a), histogram(&b), histogram(&[a.as_slice(), b.as_slice()].concat()));
        let mut added = Histogram::decode(&one.encode()).unwrap();
        added.add(&Histogram::decode(&two.encode()).unwrap()).unwrap();
        prop_assert_eq!(added.encode(), all.encode());
        prop_assert_eq!(sum([one.encode().as_str(), two.encode().as_str()]).quantiles(), Histogram::decode(&all.encode()).unwrap().quantiles());
    }

    #[test]
    fn any_bytes_are_read_as_the_crate_reads_them(mut payload in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut bytes = BASE64.decode(Histogram::new().encode()).unwrap();
        bytes.truncate(40);
        bytes[4..8].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
        bytes.append(&mut payload);
        let text = BASE64.encode(bytes);
        let read = ClassCounts::read(&text);
        match Histogram::decode(&text) {
            Ok(histogram) => prop_assert_eq!(sum([text.as_str()]).count(), histogram.count()),
            Err(_) => prop_assert!(read.is_err()),
        }
    }
}
