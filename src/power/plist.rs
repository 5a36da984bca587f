//! `powermetrics -f plist`: one property list per sample, separated by NUL.
//!
//! The NUL stands before each list but the first, so that a reader that waits for it is one sample late: a list ends with
//! its own `</plist>`. Powers are milliwatts, energies millijoules of the window, `elapsed_ns` is the exact window, and
//! `timestamp` its end in UTC, cut to the second.

use super::feed::{Clock, Item, Sample};
use crate::clock::Stamp;
use crate::record::PowerKind;
use plist::{Dictionary, Value};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::UNIX_EPOCH;

/// The longest list that is kept, in bytes.
const LONGEST: usize = 8 << 20;
const END: &str = "</plist>";

/// The state of reading one stream, line by line.
#[derive(Debug, Default)]
pub struct Plist {
    frame: String,
    at: Option<Stamp>,
    machine: Option<String>,
}

impl Plist {
    /// Whether a text that begins like this is one of these.
    pub fn begins(line: &str) -> bool {
        let line = line.trim_start_matches(['\0', ' ']);
        line.starts_with("<?xml") || line.starts_with("<plist") || line.starts_with("<!DOCTYPE plist")
    }

    /// Reads one line, without its end, that arrived at `at`.
    pub fn line(&mut self, line: &str, at: Stamp, out: &mut Vec<Item>) {
        let mut rest = line;
        while let Some(end) = rest.find(END) {
            let (piece, more) = rest.split_at(end + END.len());
            self.add(piece, at);
            self.frame(out);
            rest = more;
        }
        self.add(rest, at);
        if self.frame.len() > LONGEST {
            self.frame.clear();
            self.at = None;
            out.push(Item::Torn);
        }
    }

    /// The text has ended.
    pub fn end(&mut self, out: &mut Vec<Item>) {
        if !self.frame.trim().is_empty() {
            out.push(Item::Torn);
        }
        self.frame.clear();
    }

    fn add(&mut self, piece: &str, at: Stamp) {
        let piece: String = piece.chars().filter(|&c| c != '\0').collect();
        if self.frame.is_empty() && piece.trim().is_empty() {
            return;
        }
        // A list that begins where another has not ended: the first was cut off by a restart and is found torn below.
        self.at.get_or_insert(at);
        self.frame.push_str(&piece);
        self.frame.push('\n');
    }

    fn frame(&mut self, out: &mut Vec<Item>) {
        let mut frame = std::mem::take(&mut self.frame);
        let at = self.at.take();
        if let Some(again) = frame.rfind("<?xml").filter(|again| *again > 0) {
            out.push(Item::Torn);
            frame.drain(..again);
        }
        let list = Value::from_reader_xml(Cursor::new(frame.trim().as_bytes())).ok().and_then(Value::into_dictionary);
        let Some((list, at)) = list.zip(at) else {
            out.push(Item::Torn);
            return;
        };
        if let Some(machine) = list.get("hw_model").and_then(Value::as_string).filter(|_| self.machine.is_none()) {
            self.machine = Some(machine.to_owned());
            out.push(Item::Machine(machine.to_owned()));
        }
        // All the time since the machine was started, as --show-initial-usage begins.
        if list.get("is_delta").and_then(Value::as_boolean) == Some(false) {
            return;
        }
        match read(&list, at) {
            Some(sample) => out.push(Item::Sample(sample)),
            None => out.push(Item::Torn),
        }
    }
}

fn read(list: &Dictionary, at: Stamp) -> Option<Sample> {
    let window = number(list.get("elapsed_ns"))? / 1e9;
    let processor = list.get("processor").and_then(Value::as_dictionary);
    let graphics = list.get("gpu").and_then(Value::as_dictionary);
    let mut watts = BTreeMap::new();
    if !(window > 0.0 && window.is_finite()) {
        return None;
    }
    // Milliwatts where the meter says them, else the window's millijoules over its length.
    let power = |of: Option<&Dictionary>, name: &str| {
        let of = of?;
        let milliwatts = number(of.get(&format!("{name}_power")))
            .or_else(|| number(of.get(&format!("{name}_energy"))).map(|energy| energy / window))?;
        (milliwatts.is_finite() && milliwatts >= 0.0).then_some(milliwatts / 1000.0)
    };
    for (domain, value) in [
        ("cpu", power(processor, "cpu")),
        ("gpu", power(processor, "gpu").or_else(|| power(graphics, "gpu"))),
        ("ane", power(processor, "ane")),
        ("dram", power(processor, "dram")),
    ] {
        if let Some(value) = value {
            watts.insert(domain.to_owned(), Some(value));
        }
    }
    let total = power(processor, "combined").map(|watts| (watts, "combined_power")).or_else(|| {
        // Intel's is in watts already.
        number(processor?.get("package_watts")).map(|watts| (watts, "package_watts"))
    });
    if let Some((total, _)) = total {
        watts.insert("soc".to_owned(), Some(total));
    }
    let ended = list.get("timestamp").and_then(Value::as_date);
    let ended = ended.and_then(|date| std::time::SystemTime::from(date).duration_since(UNIX_EPOCH).ok());
    (!watts.is_empty()).then(|| Sample {
        meter: "powermetrics",
        kind: PowerKind::Window,
        logged: ended.map(|ended| ended.as_secs_f64().floor()),
        clock: Clock::Cut,
        window_seconds: Some(window),
        at,
        watts,
        joules: None,
        unavailable: BTreeMap::new(),
        label: total.map(|(_, label)| label.to_owned()),
    })
}

fn number(value: Option<&Value>) -> Option<f64> {
    let value = value?;
    value.as_real().or_else(|| value.as_signed_integer().map(|n| n as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(power: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n<key>is_delta</key><true/>\n<key>elapsed_ns</key><integer>1000000000</integer>\n<key>hw_model</key><string>Mac99,1</string>\n<key>timestamp</key><date>2026-02-06T10:00:00Z</date>\n<key>processor</key><dict>{power}</dict>\n<key>gpu</key><dict><key>freq_hz</key><real>338</real><key>gpu_energy</key><integer>250</integer></dict>\n</dict>\n</plist>"
        )
    }

    const M4: &str = "<key>cpu_power</key><real>2978.5</real><key>gpu_power</key><real>269.5</real><key>combined_power</key><real>3248.0</real>";

    fn read_all(text: &str) -> (Vec<Sample>, usize) {
        let mut reader = Plist::default();
        let mut items = Vec::new();
        for line in text.split('\n') {
            reader.line(line, Stamp { mono_ns: 0, ts: 0.0 }, &mut items);
        }
        reader.end(&mut items);
        let torn = items.iter().filter(|item| matches!(item, Item::Torn)).count();
        let sample = |item| if let Item::Sample(sample) = item { Some(sample) } else { None };
        (items.into_iter().filter_map(sample).collect(), torn)
    }

    #[test]
    fn lists_are_told_apart_wherever_the_nul_stands() {
        let one = list(M4);
        for (text, samples, torn) in [
            (one.clone(), 1, 0),
            (format!("{one}\n\0{one}\n\0{one}\n"), 3, 0),
            (format!("\0{one}\0{one}"), 2, 0),
            (format!("{one}\0\n{one}\0\n"), 2, 0),
            (format!("{one}\n\0{}", &one[..one.len() / 2]), 1, 1),
            (format!("{}\n\0{one}", &one[..one.len() / 2]), 1, 1),
            (format!("{}\n\0{one}", one.replace("<true/>", "<false/>")), 1, 0),
            (one.replace("elapsed_ns", "elapsed"), 0, 1),
            (one.replace("1000000000", "0"), 0, 1),
            ("<plist><array/></plist>".into(), 0, 1),
            (String::new(), 0, 0),
        ] {
            let (got, got_torn) = read_all(&text);
            assert_eq!((got.len(), got_torn), (samples, torn), "{text}");
        }
    }

    #[test]
    fn powers_are_milliwatts_and_energies_millijoules_of_the_window() {
        let (samples, _) = read_all(&list(M4));
        let sample = &samples[0];
        assert_eq!(
            (sample.watts["cpu"], sample.watts["gpu"], sample.watts["soc"]),
            (Some(2.9785), Some(0.2695), Some(3.248))
        );
        assert_eq!(sample.logged, Some(1_770_372_000.0));
        let older = list("<key>cpu_energy</key><integer>500</integer>").replace("1000000000", "2000000000");
        let (samples, _) = read_all(&older);
        assert_eq!((samples[0].watts["cpu"], samples[0].watts["gpu"]), (Some(0.25), Some(0.125)));
        let (samples, _) = read_all(&list("<key>package_watts</key><real>48.5</real>"));
        assert_eq!(samples[0].watts["soc"], Some(48.5));
    }
}
