//! Prometheus text of exporters whose power metrics are known: scraped by a program such as curl.
//!
//! A line is a name, labels in braces, a value, and perhaps a time
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>). Known are: dcgm-exporter, nvidia_gpu_exporter, AMD's
//! device-metrics-exporter, node_exporter's `rapl`, Scaphandre's sockets, Kepler's node, and ipmi_exporter's DCMI. What an
//! exporter tells of single processes or containers, and sensors of unknown meaning (node_exporter's `hwmon`), are not.

use crate::clock::Stamp;
use std::collections::{BTreeMap, BTreeSet};

/// More series than any exporter's power metrics have: a scrape that never ends is cut here.
const MOST: usize = 4096;

/// What one scrape says.
#[derive(Debug, Default)]
pub struct Scrape {
    /// When its first line arrived.
    at: Option<Stamp>,
    /// Watts and joules by domain.
    domains: BTreeMap<String, (Option<f64>, Option<f64>)>,
    /// The series of this scrape: one that comes again begins the next.
    series: BTreeSet<String>,
    /// Cards that have a name and no number, in the order in which they were first seen.
    cards: Vec<String>,
}

/// A scrape that is over: when it arrived, and watts and joules by domain.
pub type Scraped = (Stamp, BTreeMap<String, (Option<f64>, Option<f64>)>);

impl Scrape {
    /// Takes a line; the answer is whether it is one of a known metric, and the scrape that it ended.
    pub fn line(&mut self, line: &str, at: Stamp) -> (bool, Option<Scraped>) {
        let Some(metric) = Metric::of(line) else { return (false, None) };
        let Some((domain, factor, counts)) = self.measured(&metric) else { return (false, None) };
        let ended = match self.series.contains(metric.series) || self.series.len() >= MOST {
            true => self.end(),
            false => None,
        };
        self.series.insert(metric.series.to_owned());
        self.at.get_or_insert(at);
        // Of a card that is divided, each part tells the same; of anything else, two that differ are no reading.
        let divided = domain.starts_with("gpu");
        let seen = self.domains.entry(domain).or_default();
        let seen = if counts { &mut seen.1 } else { &mut seen.0 };
        let value = metric.value * factor;
        *seen = Some(if divided || seen.is_none_or(|seen| seen == value) { value } else { f64::NAN });
        (true, ended)
    }

    /// Ends the scrape.
    pub fn end(&mut self) -> Option<Scraped> {
        self.series.clear();
        Some((self.at.take()?, std::mem::take(&mut self.domains)))
    }

    /// What a metric is of, how many watts or joules one of it is, and whether it counts energy.
    fn measured(&mut self, metric: &Metric) -> Option<(String, f64, bool)> {
        let number = |label: &str| metric.label(label)?.parse::<u32>().ok();
        let part = |name: &str, n: u32| match name {
            "psys" => Some(name.to_owned()),
            "package" | "dram" | "core" | "uncore" => Some(format!("{name}-{n}")),
            _ => None,
        };
        let gpu = |n: u32| format!("gpu{n}");
        Some(match metric.name {
            "DCGM_FI_DEV_POWER_USAGE" => (gpu(number("gpu")?), 1.0, false),
            // Millijoules, whatever its help text says.
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" => (gpu(number("gpu")?), 1e-3, true),
            "nvidia_smi_power_draw_watts" => {
                (gpu(number("index").or_else(|| self.card(&metric.label("uuid")?))?), 1.0, false)
            }
            // The other parts of a card that is divided have no sensor, and say 0.
            "gpu_package_power" | "amd_gpu_package_power"
                if metric.label("partition_id").is_none_or(|part| part == "0") =>
            {
                (gpu(number("gpu_id")?), 1.0, false)
            }
            // The mirror of a package is the same package once more.
            name if name.starts_with("node_rapl_") && !metric.label("path").is_some_and(|p| p.contains("mmio")) => {
                let zone = name.strip_prefix("node_rapl_")?.strip_suffix("_joules_total")?;
                (part(zone, number("index").unwrap_or(0))?, 1.0, true)
            }
            "scaph_socket_power_microwatts" => (part("package", number("socket_id")?)?, 1e-6, false),
            "scaph_domain_power_microwatts" => {
                (part(&metric.label("domain_name")?, number("socket_id").unwrap_or(0))?, 1e-6, false)
            }
            // The sum over all sockets.
            "kepler_node_cpu_joules_total" => (part(&metric.label("zone")?, 0)?, 1.0, true),
            "ipmi_dcmi_power_consumption_watts" => ("wall".to_owned(), 1.0, false),
            _ => return None,
        })
    }

    fn card(&mut self, name: &str) -> Option<u32> {
        let place = self.cards.iter().position(|card| card == name).or_else(|| {
            self.cards.push(name.to_owned());
            Some(self.cards.len() - 1).filter(|place| *place < MOST)
        })?;
        u32::try_from(place).ok()
    }
}

/// A line of the text.
#[derive(Debug, PartialEq)]
struct Metric<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: f64,
    /// Name and labels as they stand.
    series: &'a str,
}

impl<'a> Metric<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let line = line.trim();
        let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside.trim_start();
            while !rest.starts_with('}') {
                let (label, quoted) = rest.split_once('=')?;
                let (value, after) = unquoted(quoted.trim_start().strip_prefix('"')?)?;
                labels.push((label.trim(), value));
                rest = after.trim_start().trim_start_matches(',').trim_start();
            }
            rest = &rest[1..];
        } else if !rest.starts_with([' ', '\t']) {
            return None;
        }
        let series = &line[..line.len() - rest.len()];
        let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
        (!name.is_empty()).then_some(Self { name, labels, value, series })
    }

    fn label(&self, name: &str) -> Option<String> {
        self.labels.iter().find(|(label, _)| *label == name).map(|(_, value)| value.clone())
    }
}

/// A label's value up to its closing quote, and what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: Stamp = Stamp { mono_ns: 0, ts: 0.0 };

    fn scrape(text: &str) -> Vec<(String, Option<f64>, Option<f64>)> {
        let mut scrape = Scrape::default();
        text.lines().for_each(|line| assert!(scrape.line(line, AT).1.is_none(), "{line}"));
        let (_, domains) = scrape.end().unwrap_or((AT, BTreeMap::new()));
        domains.into_iter().map(|(domain, (watts, joules))| (domain, watts, joules)).collect()
    }

    #[test]
    fn the_power_of_each_known_exporter_has_its_domain_and_its_unit() {
        for (text, domain, watts, joules) in [
            ("DCGM_FI_DEV_POWER_USAGE{gpu=\"3\",UUID=\"GPU-a\"} 61.5", "gpu3", Some(61.5), None),
            ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu=\"0\"} 2000 1700000000000", "gpu0", None, Some(2.0)),
            ("nvidia_smi_power_draw_watts{uuid=\"df6e\"} 28.07", "gpu0", Some(28.07), None),
            ("nvidia_smi_power_draw_watts{uuid=\"df6e\",index=\"1\"} 28.07", "gpu1", Some(28.07), None),
            ("gpu_package_power{gpu_id=\"1\",card_model=\"a, \\\"b\\\" }\"} 748", "gpu1", Some(748.0), None),
            (
                "node_rapl_package_joules_total{index=\"1\",path=\"/sys/class/powercap/intel-rapl:1\"} 1.5e+03",
                "package-1",
                None,
                Some(1500.0),
            ),
            ("node_rapl_psys_joules_total{index=\"0\"} 7", "psys", None, Some(7.0)),
            ("scaph_socket_power_microwatts{socket_id=\"0\"} 25000000", "package-0", Some(25.0), None),
            ("scaph_domain_power_microwatts{domain_name=\"dram\",socket_id=\"1\"} 3e6", "dram-1", Some(3.0), None),
            ("kepler_node_cpu_joules_total{zone=\"package\"} 123.45", "package-0", None, Some(123.45)),
            ("ipmi_dcmi_power_consumption_watts 147", "wall", Some(147.0), None),
        ] {
            assert_eq!(scrape(text), [(domain.to_owned(), watts, joules)], "{text}");
        }
    }

    #[test]
    fn what_is_no_power_of_the_machine_is_not_read() {
        for text in [
            "# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).",
            "DCGM_FI_DEV_POWER_USAGE{UUID=\"GPU-a\"} 61.5",
            "DCGM_FI_DEV_POWER_USAGE{gpu=\"0\",UUID=\"open} 61.5",
            "DCGM_FI_DEV_POWER_USAGE{gpu=\"0\"} much",
            "gpu_package_power{gpu_id=\"1\",partition_id=\"1\"} 0",
            "node_rapl_package_joules_total{index=\"0\",path=\"/sys/class/powercap/intel-rapl-mmio:0\"} 5",
            "node_rapl_power_limit_joules_total{index=\"0\"} 5",
            "node_hwmon_power_average_watt{chip=\"x\",sensor=\"power1\"} 5",
            "scaph_process_power_consumption_microwatts{exe=\"java\"} 8000000.0",
            "kepler_container_cpu_joules_total{zone=\"package\"} 5",
            "{gpu=\"0\"} 5",
            "{",
            "x{=",
            "",
        ] {
            assert_eq!(scrape(text), [], "{text}");
        }
    }

    #[test]
    fn a_series_that_comes_again_begins_the_next_scrape_and_the_parts_of_a_card_do_not() {
        let mut both = Scrape::default();
        let of = |part: u32, watts: u32| format!("DCGM_FI_DEV_POWER_USAGE{{gpu=\"0\",GPU_I_ID=\"{part}\"}} {watts}");
        assert!(both.line(&of(1, 5), AT).1.is_none() && both.line(&of(2, 5), AT).1.is_none());
        let (_, first) = both.line(&of(1, 6), AT).1.unwrap();
        assert_eq!(first["gpu0"], (Some(5.0), None));
        assert_eq!(both.end().unwrap().1["gpu0"], (Some(6.0), None));
        let zones =
            ["a", "b"].map(|path| format!("kepler_node_cpu_joules_total{{zone=\"package\",path=\"{path}\"}} 5"));
        assert_eq!(scrape(&zones.join("\n")), [("package-0".to_owned(), None, Some(5.0))]);
        let differ = scrape(&zones.join("1\n"));
        assert!(differ[0].2.is_some_and(f64::is_nan), "whose they are nobody knows: {differ:?}");
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in "(DCGM_FI_DEV_POWER_USAGE|node_rapl_x_joules_total|[a-z_]{0,4})[{}=\",\\\\a-z0-9 é.]{0,40}") {
            let _ = Scrape::default().line(&line, AT);
        }
    }
}
