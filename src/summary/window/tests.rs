//! Where the steady part of a load begins and ends, and what in it counts how much.

use super::*;

pub(super) fn flight(start: f64, end: f64) -> Flight {
    Flight { start, first: start, end, tokens: 10.0, group: 0, ok: true, good: true, warmup: false }
}

/// `n` workers that begin half a second apart and each do `each` requests of one second.
pub(super) fn closed(n: u32, each: u32) -> Vec<Flight> {
    let worker = |w: u32| (0..each).map(move |i| f64::from(w) * 0.5 + f64::from(i)).map(|at| flight(at, at + 1.0));
    (0..n).flat_map(worker).collect()
}

#[test]
fn a_closed_loop_is_steady_while_its_level_is_in_flight() {
    let flights = closed(3, 10);
    assert_eq!(steady(&flights, Target::Closed(3)), Ok((2.0, 10.0)));
    let mut tallies = HashMap::new();
    count(&flights, Target::Closed(3), (2.0, 10.0), &mut tallies);
    let tally = tallies[&0];
    assert_eq!((tally.seconds, tally.ramp_seconds, tally.tail_seconds), (8.0, 2.0, 1.0));
    assert_eq!((tally.flight_seconds / tally.seconds, tally.tokens), (3.0, 240.0));
    assert_eq!((tally.ended, tally.ok, tally.sent), (24, 24.0, 24.0));
}

#[test]
fn a_level_that_is_never_reached_or_not_held_has_no_steady_part() {
    for (flights, level, why) in [
        (closed(3, 10), 4, "at most 3"),
        (closed(3, 3), 3, "of 10 that it takes"),
        (closed(1, 1), 2, "at most 1 was"),
        (Vec::new(), 2, "at most 0"),
    ] {
        let said = steady(&flights, Target::Closed(level)).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn an_open_loop_is_steady_from_the_first_send_after_a_request_to_its_last() {
    // Four a second, each of one second.
    let flights: Vec<Flight> = (0..40).map(|i| f64::from(i) * 0.25).map(|at| flight(at, at + 1.0)).collect();
    let (from, to) = steady(&flights, Target::Open).unwrap();
    assert!((from, to) == (1.0, 9.75), "{from} {to}");
    let mut tallies = HashMap::new();
    count(&flights, Target::Open, (from, to), &mut tallies);
    let tally = tallies[&0];
    assert_eq!((tally.sent, tally.ended, tally.ok), (35.0, 35, 35.0));
    assert!(steady(&flights[..1], Target::Open).is_err());
}

#[test]
fn what_is_sent_now_and_then_is_counted_from_send_to_send() {
    // A second apart, and longer than a second each: the part begins with a send, not in the middle of a gap.
    let flights: Vec<Flight> = (0..40).map(f64::from).map(|at| flight(at, at + 1.6)).collect();
    let (from, to) = steady(&flights, Target::Open).unwrap();
    let mut tallies = HashMap::new();
    count(&flights, Target::Open, (from, to), &mut tallies);
    assert_eq!((from, to, tallies[&0].sent / tallies[&0].sent_seconds), (2.0, 39.0, 1.0));
}

#[test]
fn a_short_load_of_a_rate_has_no_steady_part_and_none_begins_where_most_are_in_flight() {
    // Four a second, as a server answers that hands out two at a time.
    let flights: Vec<Flight> =
        (0..12).map(|i| f64::from(i) * 0.25).map(|at| flight(at, (at + 1.0).max(1.75))).collect();
    let said = steady(&flights, Target::Open).unwrap_err();
    assert!(said.contains("came and") && said.contains("of 25 that it takes"), "{said}");
    let said = steady(&flights[..3], Target::Open).unwrap_err();
    assert!(said.contains("it was sent for 0.5 s, and one request takes 1.5 s"), "{said}");
    // Many, and yet no longer than a few of them take.
    let flights: Vec<Flight> = (0..400).map(|i| f64::from(i) * 0.01).map(|at| flight(at, at + 1.2)).collect();
    let said = steady(&flights, Target::Open).unwrap_err();
    assert!(said.contains("it held for 2.8 s, and three requests take 3.6 s"), "{said}");
}

#[test]
fn wherever_it_is_cut_waves_are_counted_by_what_lies_inside() {
    // Sixteen at once, eleven waves, of which the ends of each lie a little apart.
    let wave = |w: u32| (0..16).map(move |i| (f64::from(w) * 0.3, f64::from(i) * 1e-4));
    let flights: Vec<Flight> = (0..11)
        .flat_map(wave)
        .map(|(at, late)| Flight { first: at + late + 0.25, ..flight(at + late, at + late + 0.3) })
        .collect();
    let (from, to) = steady(&flights, Target::Closed(16)).unwrap();
    let mut tallies = HashMap::new();
    count(&flights, Target::Closed(16), (from, to), &mut tallies);
    let tally = tallies[&0];
    let (rate, sent, together) =
        (tally.ok / tally.seconds, tally.sent / tally.sent_seconds, tally.tokens / tally.seconds);
    let right = 16.0 / 0.3;
    assert!((rate / right - 1.0).abs() < 0.002 && (sent / right - 1.0).abs() < 0.002, "{rate} {sent} {right}");
    assert!((together / rate - 10.0).abs() < 1e-9, "{together}");
}

#[test]
fn a_queue_that_the_first_did_not_find_counts_for_nothing() {
    // Eight at once where four are served, 0.3 s each: the first four do not wait.
    let of = |worker: u32, i: u32| match (worker < 4, i) {
        (true, 0) => flight(0.0, 0.3),
        (true, i) => flight(f64::from(i) * 0.6 - 0.3, f64::from(i) * 0.6 + 0.3),
        (false, i) => flight(f64::from(i) * 0.6, f64::from(i) * 0.6 + 0.6),
    };
    let flights: Vec<Flight> = (0..8).flat_map(|worker| (0..6).map(move |i| of(worker, i))).collect();
    let (from, to) = steady(&flights, Target::Closed(8)).unwrap();
    let mut tallies = HashMap::new();
    count(&flights, Target::Closed(8), (from, to), &mut tallies);
    let rate = tallies[&0].ok / tallies[&0].seconds;
    assert!((rate * 0.3 / 4.0 - 1.0).abs() < 1e-6, "{rate}");
}

#[test]
fn what_waits_in_an_open_loop_has_not_come_to_anything_yet() {
    let waits = Flight { first: 9.0, ..flight(0.0, 10.0) };
    assert_eq!(Target::Open.share(&waits, (0.0, 9.0)), 0.0);
    assert_eq!(Target::Closed(4).share(&waits, (0.0, 9.0)), 0.9);
    let refused = Flight { ok: false, ..flight(3.0, 3.0) };
    assert_eq!(Target::Closed(4).share(&refused, (0.0, 9.0)), 1.0);
    assert_eq!(Target::Open.share(&refused, (3.0, 9.0)), 0.0);
}

#[test]
fn the_requests_of_a_ramp_are_load_and_no_part_begins_with_them() {
    // Three workers that begin half a second apart; what began in the first two seconds is the ramp.
    let ramp = |f: Flight| Flight { warmup: f.start < 2.0, ..f };
    let flights: Vec<Flight> = closed(3, 12).into_iter().map(ramp).collect();
    let (from, to) = steady(&flights, Target::Closed(3)).unwrap();
    assert_eq!((from, to), (3.0, 12.0));
    let mut tallies = HashMap::new();
    count(&flights, Target::Closed(3), (from, to), &mut tallies);
    assert_eq!((tallies[&0].ok, tallies[&0].tokens, tallies[&0].ramp_seconds), (27.0, 270.0, 1.0));
}

#[test]
fn a_burst_of_a_closed_loop_is_no_rate() {
    // Four workers begin within a millisecond and do twelve requests of a second each.
    let worker = |w: u32| (0..12).map(move |i| f64::from(w) * 3e-4 + f64::from(i)).map(|at| flight(at, at + 1.0));
    let flights: Vec<Flight> = (0..4).flat_map(worker).collect();
    let (from, to) = steady(&flights, Target::Closed(4)).unwrap();
    let mut tallies = HashMap::new();
    count(&flights, Target::Closed(4), (from, to), &mut tallies);
    let rate = tallies[&0].sent / tallies[&0].seconds;
    assert!((rate - 4.0).abs() < 0.01, "{rate}");
}
