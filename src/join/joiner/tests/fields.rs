//! The fields that are added to a result, and those that pass unchanged.

use super::*;
use crate::record::FailureKind;

#[test]
fn a_failed_request_differs_from_one_without_times() {
    let mut failed = result(1, 1.0, 2.0);
    failed["error"] = json!({"kind": "timeout"});
    let never = fixture::result(2, "m").failed(FailureKind::Load).value();
    let lines = [run("b"), start(1, 1.0), failed, never];
    let joined = join(settings(), &lines, &[(Role::Power, power("b", &[10.0; 3]))], true);
    assert_eq!(joined[1]["power"]["energy_joules"], 10.0);
    assert_eq!(joined[2]["power"], Value::Null);
    assert_eq!(joined[2]["power_reason"], "the result does not say when it began and ended");
}

#[test]
fn unknown_fields_and_an_earlier_join_survive() {
    let mut joiner = Joiner::new(settings(), &[(Role::Power, false)], 0.0);
    let line = r#"{"type":"result","v":1, "model":"m","power":{"old":1},"memory":null,"z":1.10,"n":123456789012345678901234567890}"#;
    joiner.line(line.to_owned(), parse(line).unwrap(), 0.0);
    joiner.line(r#"{"type":"join_summary","v":1}"#.to_owned(), InputRecord::Summary, 0.0);
    joiner.stream_ended(0);
    joiner.input_ended();
    let Ok(emission) = joiner.next(0.0).unwrap() else { panic!() };
    assert_eq!(
        emission.line,
        r#"{"type":"result","v":1,"model":"m","power":{"old":1},"memory":null,"z":1.10,"n":123456789012345678901234567890}"#
    );
    assert_eq!(out(&mut joiner, 0.0).len(), 1, "one summary, not two");
}

#[test]
fn ground_truth_is_joined_by_the_request_name() {
    let mut joiner = Joiner::new(settings(), &[(Role::GroundTruth, false)], 0.0);
    let ground_truth = |request: &str, at: f64| {
        let line = json!({"type":"ground_truth", "v": 1, "request": request, "arrival_ts": T + at, "ttft_seconds": 0.2, "end_seconds": 0.9});
        Sample::GroundTruth(Box::new(crate::join::GroundTruthRecord::read(&line.to_string()).unwrap().unwrap()))
    };
    let mut measured = result(1, 1.0, 2.0);
    measured["ttft_seconds"] = json!(0.25);
    for line in [run("b"), start(1, 1.0), measured] {
        hand(&mut joiner, &line, 2.0);
    }
    joiner.sample(0, ground_truth("r-2", 1.0), 2.0);
    assert_eq!(out(&mut joiner, 2.0).len(), 1, "the run alone");
    joiner.sample(0, ground_truth("r-1", 1.001), 2.0);
    let lines = out(&mut joiner, 2.0);
    assert_eq!(lines[0]["ground_truth"]["ttft_error_seconds"], 0.05);
    assert_eq!(lines[0]["ground_truth"]["end_error_seconds"], 0.1);
}
