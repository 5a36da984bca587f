//! Logs of every generation, and logs that were cut.

use super::*;
use indoc::indoc;
use proptest::prelude::*;

fn read(log: &str) -> (Vec<Sample>, u64, Option<String>) {
    let mut reader = Powermetrics::default();
    let mut items = Vec::new();
    for line in log.lines() {
        reader.line(line, Stamp { mono_ns: 0, ts: 0.0 }, &mut items);
    }
    reader.end(&mut items);
    let mut torn = 0;
    let samples = items.into_iter().filter_map(|item| match item {
        Item::Sample(sample) => Some(sample),
        Item::Torn => {
            torn += 1;
            None
        }
        Item::Machine(_) | Item::Refused(_) => None,
    });
    let samples = samples.collect();
    (samples, torn, reader.machine().map(str::to_owned))
}

fn watts_of(sample: &Sample) -> Vec<(&str, f64)> {
    sample.watts.iter().map(|(domain, watts)| (domain.as_str(), watts.unwrap())).collect()
}

const HEAD: &str = "*** Sampled system activity (Fri Feb  6 23:59:59 2026 -0130) (1000.50ms elapsed) ***\n";

#[test]
fn each_generation_of_macs_is_read_by_its_own_lines() {
    let rows = [
        (
            "m4: combined, and the second line of the graphics section is not counted",
            indoc! {"


                    **** Processor usage ****

                    P1-Cluster HW active residency:  1.0% (1020 MHz:  11%)
                    CPU 0 frequency: 1 MHz

                    CPU Power: 900 mW
                    GPU Power: 2500 mW
                    ANE Power: 0 mW
                    Combined Power (CPU + GPU + ANE): 3400 mW

                    **** GPU usage ****

                    GPU idle residency:  11.17%
                    GPU Power: 9999 mW
                "},
            vec![("ane", 0.0), ("cpu", 0.9), ("gpu", 2.5), ("soc", 3.4)],
            Some("Combined Power (CPU + GPU + ANE)"),
        ),
        (
            "m1: package, with memory",
            indoc! {"
                    **** Processor usage ****

                    E-Cluster Power: 27 mW
                    ANE Power: 0 mW
                    DRAM Power: 688 mW
                    CPU Power: 742 mW
                    GPU Power: 26 mW
                    Package Power: 2151 mW
                "},
            vec![("ane", 0.0), ("cpu", 0.742), ("dram", 0.688), ("gpu", 0.026), ("soc", 2.151)],
            Some("Package Power"),
        ),
        (
            "intel: watts without a space",
            indoc! {"
                    **** Processor usage ****

                    Intel energy model derived package power (CPUs+GT+SA): 48.61W

                    LLC flushed residency: 0%
                "},
            vec![("soc", 48.61)],
            Some("Intel energy model derived package power (CPUs+GT+SA)"),
        ),
        (
            "graphics alone",
            indoc! {"
                    **** GPU usage ****

                    GPU Power: 1311 mW
                "},
            vec![("gpu", 1.311)],
            None,
        ),
        (
            "coloured, and a thermal section",
            "**** Thermal pressure ****\n\nCurrent pressure level: Nominal\n\n**** Processor usage ****\n\x1b[1mCPU Power: 5 mW\x1b[0m\r\nCombined Power (CPU + GPU + ANE): 5 mW\n",
            vec![("cpu", 0.005), ("soc", 0.005)],
            Some("Combined Power (CPU + GPU + ANE)"),
        ),
    ];
    for (name, body, expect, label) in rows {
        let (samples, torn, _) = read(&format!("{HEAD}\n{body}"));
        assert_eq!((samples.len(), torn), (1, 0), "{name}");
        assert_eq!(watts_of(&samples[0]), expect, "{name}");
        assert_eq!(samples[0].label.as_deref(), label, "{name}");
        assert_eq!(samples[0].window_seconds, Some(1.0005), "{name}");
    }
}

#[test]
fn a_sample_is_out_as_soon_as_its_total_has_been_read() {
    let mut reader = Powermetrics::default();
    let mut items = Vec::new();
    let lines = format!("{HEAD}**** Processor usage ****\nCPU Power: 9 mW\nCombined Power (x): 9 mW\n\n");
    for line in lines.lines() {
        reader.line(line, Stamp { mono_ns: 7, ts: 1.0 }, &mut items);
    }
    assert!(matches!(items.as_slice(), [Item::Sample(sample)] if sample.at.mono_ns == 7));
}

#[test]
fn a_log_that_was_cut_gives_what_is_whole_and_counts_the_rest() {
    let whole = format!("{HEAD}**** Processor usage ****\nCPU Power: 9 mW\nCombined Power (x): 9 mW\n");
    for (cut, samples, torn) in [
        (String::new(), 0, 0),
        ("Machine model: Mac16,5\nOS version: 24G90\n".into(), 0, 0),
        (HEAD.into(), 0, 1),
        (HEAD[..40].into(), 0, 0),
        (format!("{whole}{HEAD}**** Processor usage ****\nCPU Power: 9 mW\n"), 1, 1),
        (format!("{whole}{HEAD}**** Processor usage ****\nCPU Power: 9 mW\nCombined Power (x): 9 m"), 1, 1),
        (format!("{whole}{HEAD}{whole}"), 2, 1),
        (whole.repeat(3), 3, 0),
        (format!("{HEAD}**** Processor usage ****\nCPU Power: -9 mW\nGPU Power: none mW\n"), 0, 1),
    ] {
        let (got, got_torn, _) = read(&cut);
        assert_eq!((got.len(), got_torn), (samples, torn), "{cut:?}");
    }
}

#[test]
fn samples_without_a_total_are_whole_when_the_next_one_begins() {
    let block = format!("{HEAD}**** Processor usage ****\nCPU Power: 9 mW\nGPU Power: 1 mW\n");
    let (samples, torn, _) = read(&block.repeat(3));
    assert_eq!((samples.len(), torn), (3, 0));
    let (samples, torn, _) = read(&format!("{}{HEAD}**** Processor usage ****\nCPU Power: 9 mW\n", block.repeat(2)));
    assert_eq!((samples.len(), torn), (2, 1), "fewer lines than before is a torn one");
}

#[test]
fn the_header_is_the_end_of_the_window_in_its_own_zone() {
    let (ended, window) = header(HEAD.trim()).unwrap();
    assert_eq!(crate::clock::rfc3339(ended).as_deref(), Some("2026-02-07T01:29:59.000Z"));
    assert_eq!(window, 1.0005);
    for bad in [
        "*** Sampled system activity (Fri Feb  6 23:59:59 2026 -0130) (0.00ms elapsed) ***",
        "*** Sampled system activity (Fri Feb 30 23:59:59 2026 -0130) (1.00ms elapsed) ***",
        "*** Sampled system activity (soon) (1.00ms elapsed) ***",
        "*** Sampled system activity (Fri Feb  6 23:59:59 2026 -0130) (NaNms elapsed) ***",
    ] {
        assert_eq!(header(bad), None, "{bad}");
    }
}

#[test]
fn a_first_window_of_all_the_time_since_the_start_is_no_reading() {
    let since = HEAD.replace("1000.50ms", "604800000.00ms");
    let body = "**** Processor usage ****\n\nCPU Power: 9 mW\nCombined Power (x): 9 mW\n\n";
    let boot = |date: &str| format!("Machine model: X\nBoot time: {date}\n\n");
    for (log, samples) in [
        (format!("{}{since}{body}{HEAD}{body}", boot("Fri Jan 30 23:59:59 2026")), 1),
        (format!("{}{HEAD}{body}{HEAD}{body}", boot("Fri Jan 30 23:59:59 2026")), 2),
        // A window that is merely long, and a machine whose start nobody knows.
        (format!("{}{since}{body}{HEAD}{body}", boot("Sat Nov  1 00:00:00 2025")), 2),
        (format!("{since}{body}{HEAD}{body}"), 2),
        (format!("{}{since}{body}", boot("soon")), 1),
    ] {
        let (got, torn, _) = read(&log);
        assert_eq!((got.len(), torn), (samples, 0), "{log}");
    }
}

#[test]
fn without_root_it_says_so_and_so_do_we() {
    let mut items = Vec::new();
    let line = "powermetrics must be invoked as the superuser";
    Powermetrics::default().line(line, Stamp { mono_ns: 0, ts: 0.0 }, &mut items);
    assert!(matches!(items.as_slice(), [Item::Refused(why)] if why.contains("sudo")));
}

proptest! {
    #[test]
    fn wherever_a_log_is_cut_what_was_read_stands(cut in 0..3_000usize) {
        let block = format!("{HEAD}\n**** Processor usage ****\n\nCPU Power: 900 mW\nGPU Power: 2500 mW\nCombined Power (CPU + GPU + ANE): 3400 mW\n\n**** GPU usage ****\n\nGPU Power: 9999 mW\n\n");
        let log = format!("Machine model: X\n\n{}", block.repeat(9));
        let cut = &log[..cut.min(log.len())];
        let (samples, torn, _) = read(cut);
        prop_assert!(samples.len() <= cut.matches("Combined").count() && torn <= 1);
        for sample in samples {
            prop_assert_eq!(watts_of(&sample), vec![("cpu", 0.9), ("gpu", 2.5), ("soc", 3.4)]);
        }
    }
}

#[test]
fn the_preamble_names_the_machine() {
    assert_eq!(read("Machine model: Mac16,5\nOS version: 24G90\nBoot arguments: \n").2.as_deref(), Some("Mac16,5"));
}
