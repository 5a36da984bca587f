use super::*;
use proptest::prelude::*;

fn in_flight(attribution: Attribution, requests: &[(f64, f64)]) -> InFlight {
    let mut in_flight = InFlight::new(attribution);
    for &(from, to) in requests {
        in_flight.add(from);
        in_flight.remove(to);
    }
    in_flight.settle(f64::INFINITY);
    in_flight
}

fn claim(from: f64, to: f64) -> Claim {
    Claim { from, to, flow: None }
}

/// The weight of a claim in each part of a time, which must stay the same there.
fn weights(in_flight: &InFlight, claim: &Claim, edges: &[f64]) -> Vec<f64> {
    let weight = |edge: &[f64]| {
        let share = in_flight.share(claim, edge[0], edge[1]).unwrap();
        assert_eq!(share, Share::even(edge[0], edge[1], share.least), "{edge:?}");
        share.least
    };
    edges.windows(2).map(weight).collect()
}

#[test]
fn time_is_shared_in_equal_parts() {
    let in_flight = in_flight(Attribution::Time, &[(0.0, 4.0), (1.0, 3.0), (2.0, 5.0)]);
    let got = weights(&in_flight, &claim(0.0, 4.0), &[0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(got, [1.0, 0.5, 1.0 / 3.0, 0.5]);
    assert_eq!(in_flight.most(0.0, 4.0), 3);
}

#[test]
fn requests_that_touch_do_not_overlap() {
    let in_flight = in_flight(Attribution::Time, &[(0.0, 2.0), (2.0, 4.0)]);
    for (from, to) in [(0.0, 2.0), (2.0, 4.0)] {
        assert_eq!(weights(&in_flight, &claim(from, to), &[from, to]), [1.0]);
        assert_eq!(in_flight.most(from, to), 1);
    }
}

#[test]
fn tokens_share_where_they_flow_and_time_elsewhere() {
    let mut in_flight = in_flight(Attribution::Tokens, &[(0.0, 4.0), (0.0, 4.0)]);
    let (one, two) = (TokenFlow { from: 1.0, to: 3.0, rate: 32.0 }, TokenFlow { from: 2.0, to: 4.0, rate: 16.0 });
    in_flight.add_flow(one);
    in_flight.add_flow(two);
    in_flight.settle(4.0);
    let of = |flow| weights(&in_flight, &Claim { flow: Some(flow), ..claim(0.0, 4.0) }, &[0.0, 1.0, 2.0, 3.0, 4.0]);
    let third = 1.0 / 48.0;
    assert_eq!(of(one), [0.5, 1.0, 32.0 * third, 0.0]);
    assert_eq!(of(two), [0.5, 0.0, 16.0 * third, 1.0]);
    assert_eq!(weights(&in_flight, &claim(0.0, 4.0), &[0.0, 1.0, 4.0]), [0.5, 0.0], "no tokens");
}

#[test]
fn a_moment_weighs_what_comes_late_more() {
    let in_flight = in_flight(Attribution::Time, &[(0.0, 4.0), (0.0, 2.0)]);
    let share = in_flight.share(&claim(0.0, 4.0), 1.0, 3.0).unwrap();
    // Half of one second, whose middle is half a second after 1, and a whole one around one and a half.
    assert_eq!((share.seconds, share.moment, share.least, share.most), (1.5, 0.25 + 1.5, 0.5, 1.0));
}

#[test]
fn busy_times_tell_when_anything_was_in_flight() {
    let in_flight = in_flight(Attribution::Time, &[(1.0, 2.0), (2.0, 3.0), (5.0, 6.0)]);
    for (from, to, expect) in [
        (0.0, 7.0, vec![(0.0, 1.0, false), (1.0, 3.0, true), (3.0, 5.0, false), (5.0, 6.0, true), (6.0, 7.0, false)]),
        (1.5, 2.5, vec![(1.5, 2.5, true)]),
        (3.5, 4.5, vec![(3.5, 4.5, false)]),
        (2.0, 5.5, vec![(2.0, 3.0, true), (3.0, 5.0, false), (5.0, 5.5, true)]),
        (9.0, 9.0, vec![]),
    ] {
        assert_eq!(in_flight.busy_times(from, to), expect, "{from}..{to}");
    }
}

/// Requests: from, to, and tokens.
fn any_requests() -> impl Strategy<Value = Vec<(f64, f64, u32)>> {
    proptest::collection::vec((0u32..2000, 1u32..800, 0u32..100), 1..25)
        .prop_map(|v| v.into_iter().map(|(a, d, n)| (f64::from(a) / 100.0, f64::from(a + d) / 100.0, n)).collect())
}

proptest! {
    #[test]
    fn shares_of_every_moment_are_one(requests in any_requests(), at in 0.0..28.0f64, by_tokens in any::<bool>()) {
        let attribution = if by_tokens { Attribution::Tokens } else { Attribution::Time };
        let mut in_flight = InFlight::new(attribution);
        let claims: Vec<Claim> = requests.iter().map(|&(from, to, tokens)| {
            let first = from + (to - from) / 3.0;
            let flow = TokenFlow { from: first, to, rate: f64::from(tokens) / (to - first) };
            Claim { from, to, flow: Some(flow).filter(|_| by_tokens && tokens > 0) }
        }).collect();
        for claim in &claims {
            in_flight.add(claim.from);
            in_flight.remove(claim.to);
            claim.flow.into_iter().for_each(|flow| in_flight.add_flow(flow));
        }
        in_flight.settle(f64::INFINITY);
        let length = 1e-4;
        let shares = claims.iter().filter_map(|claim| in_flight.share(claim, at, at + length));
        let sum: f64 = shares.map(|share| share.seconds).sum();
        let busy: f64 = in_flight.busy_times(at, at + length).iter().filter(|t| t.2).map(|t| t.1 - t.0).sum();
        prop_assert!((sum - busy).abs() < 1e-9 * length, "{} {}", sum, busy);
    }

    #[test]
    fn neither_order_nor_lateness_of_requests_matters(
        requests in any_requests(), settled in proptest::collection::vec(0.0..28.0f64, 0..25),
    ) {
        let order: Vec<_> = requests.iter().map(|&(from, to, _)| (from, to)).collect();
        let one = in_flight(Attribution::Time, &order);
        let mut other = InFlight::new(Attribution::Time);
        for (i, &(from, to)) in order.iter().rev().enumerate() {
            other.add(from);
            other.remove(to);
            if let Some(&until) = settled.get(i) {
                other.settle(until);
                prop_assert!(other.shares(until - 5.0, until).each.seconds > 0.0);
            }
        }
        other.settle(f64::INFINITY);
        for &(from, to) in &order {
            prop_assert_eq!(one.shares(from, to), other.shares(from, to));
        }
    }
}
