//! Texts that no meter writes, through all of it: whatever comes in, what goes out is a number that a power can have, or null
//! with its reason.

use super::meters::{MeterKind, Setup, format};
use super::{Settings, Text, Unit, sample};
use crate::record::Tool;
use proptest::prelude::*;
use regex::Regex;
use serde_json::Value;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

fn setup(pattern: Option<&str>, unit: Unit) -> Setup {
    Setup {
        interval: Duration::from_secs(1),
        most: None,
        sysfs: PathBuf::from("/nowhere"),
        proc: PathBuf::from("/nowhere"),
        command: None,
        pattern: pattern.map(|pattern| Regex::new(pattern).unwrap()),
        unit,
        domain: "wall".into(),
        tdp_watts: None,
    }
}

fn records(bytes: Vec<u8>, recorded: bool, meter: MeterKind, setup: &Setup) -> Vec<Value> {
    let text = match recorded && meter != MeterKind::Command {
        true => Text::reader(Cursor::new(bytes), true, format(meter, setup).unwrap()).unwrap(),
        false => Text::live(Cursor::new(bytes), format(meter, setup).unwrap()),
    };
    let (tell, events) = sync_channel(64);
    let stop = text.listen(0, tell);
    let settings = Settings {
        tool: Tool { name: "power-sample".into(), version: "0".into() },
        interval: Duration::from_secs(1),
        told: false,
        limit: None,
        count: None,
    };
    let mut lines = Vec::new();
    sample(Vec::new(), 1, &settings, &events, |line| {
        lines.push(serde_json::from_str(line).unwrap());
        Ok(())
    })
    .unwrap();
    stop();
    lines
}

/// Every number is one that it can be, and every null says why.
fn check(records: &[Value]) {
    for record in records.iter().filter(|record| record["type"] == "power") {
        assert!(record["ts"].is_f64(), "{record}");
        assert!(record.get("window_seconds").is_none_or(|window| window.as_f64().is_some_and(|w| w > 0.0)), "{record}");
        for field in ["watts", "joules"] {
            for (domain, value) in record[field].as_object().into_iter().flatten() {
                match value.as_f64() {
                    Some(number) => assert!(number.is_finite() && number >= 0.0, "{record}"),
                    None => assert!(record["unavailable"][domain].is_string(), "{domain} of {field} is null: {record}"),
                }
            }
        }
    }
}

/// Pieces of what meters write, with numbers that they do not.
fn piece() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just("0".to_owned()),
        Just("1e400".to_owned()),
        Just("-7".to_owned()),
        Just("NaN".to_owned()),
        Just("inf".to_owned()),
        Just("[N/A]".to_owned()),
        Just("99999999999999999999".to_owned()),
        (0..2_000_000_u32).prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:e}")),
    ];
    let frames = proptest::sample::select(vec![
        "*** Sampled system activity (Fri Feb  6 10:00:00 2026 +0000) (#ms elapsed) ***\n",
        "*** Sampled system activity (Fri Feb  6 10:00:01 2026 +0000) (1000.00ms elapsed) ***\n",
        "**** Processor usage ****\n",
        "**** GPU usage ****\n",
        "CPU Power: # mW\n",
        "GPU Power: # mW\n",
        "Combined Power (CPU + GPU + ANE): # mW\n\n",
        "Intel energy model derived package power (CPUs+GT+SA): #W\n\n",
        "<?xml version=\"1.0\"?><plist><dict><key>elapsed_ns</key><integer>#</integer><key>processor</key><dict><key>cpu_power</key><real>#</real></dict></dict></plist>\n",
        "<plist><dict><key>elapsed_ns</key><real>#</real><key>processor</key><dict><key>package_watts</key><real>#</real><key>cpu_energy</key><integer>#</integer></dict></dict></plist>\0",
        "<plist><dict><array>",
        "{\"timestamp\":\"2026-02-06T10:00:00+00:00\",\"cpu_power\":#,\"all_power\":#,\"sys_power\":#}\n",
        "{\"timestamp\":\"2026-02-06T10:00:01+00:00\",\"gpu_power\":#,\"all_power\":#}\n",
        "timestamp,CPU Power (W),GPU Power (W),ANE Power (W),Package Power (W)\n",
        "2026-02-06 10:00:00,#,#,#,#\n",
        "timestamp, index, power.draw [W]\n",
        "2026/03/01 00:00:00.000, #, # W\n",
        "DCGM_FI_DEV_POWER_USAGE{gpu=\"0\"} #\n",
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu=\"0\"} #\n",
        "node_rapl_package_joules_total{index=\"0\"} #\n",
        "# W\n",
        "#\n",
        "\u{feff}\u{1b}[1m",
        "\n",
    ]);
    let filled = (frames, proptest::collection::vec(number, 4)).prop_map(|(frame, numbers)| {
        numbers.iter().fold(frame.to_owned(), |text, number| text.replacen('#', number, 1))
    });
    prop_oneof![8 => filled, 1 => "[ -~\u{0}\n\"<>{},é]{0,30}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_gives_a_number_that_no_power_has(
        pieces in proptest::collection::vec(piece(), 0..14),
        garbage in proptest::collection::vec(any::<u8>(), 0..20),
        recorded in any::<bool>(),
        meter in proptest::sample::select(vec![
            MeterKind::Auto, MeterKind::Powermetrics, MeterKind::Macmon, MeterKind::Asitop, MeterKind::NvidiaSmi, MeterKind::Command,
        ]),
        unit in proptest::sample::select(vec![Unit::Watts, Unit::Kilowatts, Unit::Microjoules, Unit::KilowattHours]),
        pattern in proptest::option::of(Just("(\\S+)")),
    ) {
        let mut bytes = pieces.concat().into_bytes();
        bytes.extend(garbage);
        check(&records(bytes, recorded, meter, &setup(pattern, unit)));
    }
}

#[test]
fn a_property_list_without_a_bottom_is_torn() {
    let deep = format!("<?xml version=\"1.0\"?><plist>{}", "<array>".repeat(400_000));
    let closed = format!("{deep}{}</plist>", "</array>".repeat(400_000));
    for text in [deep, closed] {
        check(&records(text.into_bytes(), true, MeterKind::Powermetrics, &setup(None, Unit::Watts)));
    }
}
