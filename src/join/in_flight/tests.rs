use super::*;
use proptest::prelude::*;

fn flights(of: &[(f64, f64)]) -> InFlight {
    let mut flights = InFlight::default();
    for &(from, to) in of {
        flights.fly(from, 1);
        flights.fly(to, -1);
    }
    flights
}

fn piece(from: f64, to: f64, share: f64) -> Piece {
    Piece { from, to, share }
}

#[test]
fn equal_parts_of_every_moment() {
    let flights = flights(&[(0.0, 4.0), (1.0, 3.0), (2.0, 5.0)]);
    let (pieces, most) = flights.pieces(0.0, 4.0, Claim::Time);
    let third = 1.0 / 3.0;
    let expect = [piece(0.0, 1.0, 1.0), piece(1.0, 2.0, 0.5), piece(2.0, 3.0, third), piece(3.0, 4.0, 0.5)];
    assert_eq!((pieces.as_slice(), most), (&expect[..], 3));
}

#[test]
fn requests_that_touch_do_not_overlap() {
    let flights = flights(&[(0.0, 2.0), (2.0, 4.0)]);
    assert_eq!(flights.pieces(0.0, 2.0, Claim::Time), (vec![piece(0.0, 2.0, 1.0)], 1));
    assert_eq!(flights.pieces(2.0, 4.0, Claim::Time), (vec![piece(2.0, 4.0, 1.0)], 1));
}

#[test]
fn parts_by_tokens_where_anyone_emits_and_equal_parts_where_nobody_does() {
    let mut flights = flights(&[(0.0, 4.0), (0.0, 4.0)]);
    let (one, two) = (TokenFlow { from: 1.0, to: 3.0, rate: 30.0 }, TokenFlow { from: 2.0, to: 4.0, rate: 10.0 });
    flights.flow(one);
    flights.flow(two);
    let of = |flow| flights.pieces(0.0, 4.0, Claim::Tokens(Some(flow))).0;
    assert_eq!(of(one), [piece(0.0, 1.0, 0.5), piece(1.0, 2.0, 1.0), piece(2.0, 3.0, 0.75), piece(3.0, 4.0, 0.0)]);
    assert_eq!(of(two), [piece(0.0, 1.0, 0.5), piece(1.0, 2.0, 0.0), piece(2.0, 3.0, 0.25), piece(3.0, 4.0, 1.0)]);
}

#[test]
fn stretches_tell_when_anyone_was_in_flight() {
    let flights = flights(&[(1.0, 2.0), (2.0, 3.0), (5.0, 6.0)]);
    for (from, to, expect) in [
        (0.0, 7.0, vec![(0.0, 1.0, false), (1.0, 3.0, true), (3.0, 5.0, false), (5.0, 6.0, true), (6.0, 7.0, false)]),
        (1.5, 2.5, vec![(1.5, 2.5, true)]),
        (3.5, 4.5, vec![(3.5, 4.5, false)]),
        (2.0, 5.5, vec![(2.0, 3.0, true), (3.0, 5.0, false), (5.0, 5.5, true)]),
        (9.0, 9.0, vec![]),
    ] {
        assert_eq!(flights.stretches(from, to), expect, "{from}..{to}");
    }
}

fn some() -> impl Strategy<Value = Vec<(f64, f64, u32)>> {
    proptest::collection::vec((0u32..2000, 1u32..800, 0u32..100), 1..25)
        .prop_map(|v| v.into_iter().map(|(a, d, n)| (f64::from(a) / 100.0, f64::from(a + d) / 100.0, n)).collect())
}

proptest! {
    #[test]
    fn at_every_moment_the_shares_are_one(requests in some(), at in 0.0..28.0f64, by_tokens in any::<bool>()) {
        let mut flights = InFlight::default();
        let flow = |&(from, to, tokens): &(f64, f64, u32)| {
            (tokens > 0).then(|| {
                let first = from + (to - from) / 3.0;
                TokenFlow { from: first, to, rate: f64::from(tokens) / (to - first) }
            })
        };
        for request in &requests {
            flights.fly(request.0, 1);
            flights.fly(request.1, -1);
            if let Some(flow) = flow(request) {
                flights.flow(flow);
            }
        }
        let busy = requests.iter().any(|&(from, to, _)| from <= at && at < to);
        let shares = requests.iter().map(|request| {
            let claim = if by_tokens { Claim::Tokens(flow(request)) } else { Claim::Time };
            let (pieces, _) = flights.pieces(request.0, request.1, claim);
            prop_assert_eq!(pieces.first().unwrap().from, request.0);
            prop_assert_eq!(pieces.last().unwrap().to, request.1);
            Ok(pieces.iter().find(|p| p.from <= at && at < p.to).map_or(0.0, |p| p.share))
        });
        let sum = shares.sum::<Result<f64, TestCaseError>>()?;
        prop_assert!((sum - if busy { 1.0 } else { 0.0 }).abs() < 1e-9, "{}", sum);
    }

    #[test]
    fn the_order_in_which_requests_are_told_does_not_matter(requests in some()) {
        let order: Vec<_> = requests.iter().map(|&(a, b, _)| (a, b)).collect();
        let mut back = order.clone();
        back.reverse();
        let (one, other) = (flights(&order), flights(&back));
        for &(from, to) in &order {
            prop_assert_eq!(one.pieces(from, to, Claim::Time), other.pieces(from, to, Claim::Time));
        }
    }
}
