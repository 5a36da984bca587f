//! What is told of a result, and what of it passes unchanged.

use super::*;
use crate::record::FailureKind;

#[test]
fn a_failed_request_and_one_without_time_are_told_apart() {
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
fn fields_that_are_not_known_survive_byte_for_byte_and_what_an_earlier_join_measured_is_not_lost() {
    let mut core = Joiner::new(settings(), &[(Role::Power, false)], 0.0);
    let line = r#"{"type":"result","v":1, "model":"m","power":{"old":1},"memory":null,"z":1.10,"n":123456789012345678901234567890}"#;
    core.line(line.to_owned(), hear(line).unwrap(), 0.0);
    core.line(r#"{"type":"join_summary","v":1}"#.to_owned(), Heard::Summary, 0.0);
    core.source_ended(0);
    core.input_ended();
    let Ok(emission) = core.next(0.0).unwrap() else { panic!() };
    assert_eq!(
        emission.line,
        r#"{"type":"result","v":1,"model":"m","power":{"old":1},"memory":null,"z":1.10,"n":123456789012345678901234567890}"#
    );
    assert_eq!(out(&mut core, 0.0).len(), 1, "one summary, not two");
}

#[test]
fn truth_is_joined_by_the_name_of_the_request() {
    let mut core = Joiner::new(settings(), &[(Role::Truth, false)], 0.0);
    let written = |request: &str, at: f64| {
        let line = json!({"type":"ground_truth", "v": 1, "request": request, "arrival_ts": T + at, "ttft_seconds": 0.2, "end_seconds": 0.9});
        Sample::Truth(Box::new(crate::join::Written::read(&line.to_string()).unwrap().unwrap()))
    };
    let mut asked = result(1, 1.0, 2.0);
    asked["ttft_seconds"] = json!(0.25);
    for line in [run("b"), start(1, 1.0), asked] {
        hand(&mut core, &line, 2.0);
    }
    core.sample(0, written("r-2", 1.0), 2.0);
    assert_eq!(out(&mut core, 2.0).len(), 1, "the run alone");
    core.sample(0, written("r-1", 1.001), 2.0);
    let lines = out(&mut core, 2.0);
    assert_eq!(lines[0]["ground_truth"]["ttft_error_seconds"], 0.05);
    assert_eq!(lines[0]["ground_truth"]["end_error_seconds"], 0.1);
}
