//! The simulated meter's log, in the text that Apple's powermetrics writes (samplers cpu_power, gpu_power, ane_power), so
//! that the same reader reads both. It says `Machine model: llm-sim` and can never be taken for a measurement.

use super::meter::{Meter, Picojoules};
use crate::clock::{mono_ns, wall};
use jiff::{Timestamp, tz::TimeZone};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Starts the meter's thread: one sample to `path` every `interval`. A FIFO waits for its reader; when the reader
/// leaves, the thread waits for the next one and begins a new log for it. The server never waits for any of this.
///
/// # Errors
/// When a regular file cannot be made; a FIFO that cannot be opened is noticed by nobody.
pub fn start(path: PathBuf, interval: Duration, meter: Arc<Meter>) -> std::io::Result<()> {
    let is_fifo = {
        use std::os::unix::fs::FileTypeExt;
        std::fs::metadata(&path).is_ok_and(|data| data.file_type().is_fifo())
    };
    if !is_fifo {
        std::fs::File::create(&path)?;
    }
    let began = wall();
    // The first window of a file begins here, not when the thread wakes up: no energy is drawn between the two unseen.
    let mut since_ns = (!is_fifo).then(mono_ns);
    let first = meter.read(since_ns.unwrap_or_else(mono_ns));
    std::thread::Builder::new().name("power".into()).spawn(move || {
        loop {
            let log = OpenOptions::new().append(true).open(&path);
            let from = since_ns.take().map(|ns| (ns, first));
            if log.and_then(|mut log| write(&mut log, began, interval, &meter, from)).is_err() && !is_fifo {
                return;
            }
            // A FIFO without a reader opens only when one comes; any other failure must not spin.
            std::thread::sleep(Duration::from_millis(50));
        }
    })?;
    Ok(())
}

fn write(
    log: &mut dyn Write,
    began: f64,
    interval: Duration,
    meter: &Meter,
    from: Option<(u64, Picojoules)>,
) -> std::io::Result<()> {
    log.write_all(preamble(began).as_bytes())?;
    let step = interval.as_nanos() as u64;
    let (mut last_ns, mut before) = from.unwrap_or_else(|| {
        let now_ns = mono_ns();
        (now_ns, meter.read(now_ns))
    });
    let mut due_ns = last_ns + step;
    loop {
        std::thread::sleep(Duration::from_nanos(due_ns.saturating_sub(mono_ns())));
        let (now_ns, ts) = (mono_ns(), wall());
        let energy = meter.read(now_ns);
        log.write_all(sample(ts, now_ns - last_ns, before, energy).as_bytes())?;
        (last_ns, before) = (now_ns, energy);
        // A reader that held us up costs samples, never a burst of them.
        while due_ns <= mono_ns() {
            due_ns += step;
        }
    }
}

fn date(ts: f64, form: &str) -> String {
    Timestamp::from_microsecond((ts * 1e6) as i64)
        .map(|at| at.to_zoned(TimeZone::system()).strftime(form).to_string())
        .unwrap_or_default()
}

fn preamble(began: f64) -> String {
    let boot = date(began, "%a %b %-d %H:%M:%S %Y");
    format!("Machine model: llm-sim\nOS version: simulated\nBoot arguments: \nBoot time: {boot}\n\n")
}

/// One sample: the mean power between two readings of the meter, `elapsed_ns` apart, the later one at `ts`.
fn sample(ts: f64, elapsed_ns: u64, before: Picojoules, after: Picojoules) -> String {
    let mean = |from: u128, to: u128| (to - from + u128::from(elapsed_ns) / 2) / u128::from(elapsed_ns.max(1));
    let (cpu, gpu) = (mean(before.cpu, after.cpu), mean(before.gpu, after.gpu));
    let at = date(ts, "%a %b %-d %H:%M:%S %Y %z");
    let elapsed = elapsed_ns as f64 / 1e6;
    let clusters: String = [("E", " Online: 100%", 2000), ("P0", " Online: 100%", 4000), ("P1", "", 3000)]
        .into_iter()
        .map(|(name, online, mhz)| {
            let online = if online.is_empty() { String::new() } else { format!("{name}-Cluster{online}\n") };
            format!(
                "{online}{name}-Cluster HW active frequency: {mhz} MHz\n\
                 {name}-Cluster HW active residency:  50.00% ({mhz} MHz:  50%)\n\
                 {name}-Cluster idle residency:  50.00%\n{name}-Cluster down residency:   0.00%\n\n"
            )
        })
        .collect();
    format!(
        "\n\n*** Sampled system activity ({at}) ({elapsed:.2}ms elapsed) ***\n\n\n**** Processor usage ****\n\n{clusters}\
         CPU Power: {cpu} mW\nGPU Power: {gpu} mW\nANE Power: 0 mW\nCombined Power (CPU + GPU + ANE): {} mW\n\n\
         **** GPU usage ****\n\nGPU HW active frequency: 1000 MHz\nGPU HW active residency:  50.00% (1000 MHz:  50%)\n\
         GPU SW requested state: (P1 : 100%)\nGPU SW state: (SW_P1 : 100%)\nGPU idle residency:  50.00%\n\
         GPU Power: {gpu} mW\n\n",
        cpu + gpu
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_the_mean_of_its_window_in_the_words_of_powermetrics() {
        let after = Picojoules { cpu: 3_000_000_000_000, gpu: 1_000_000_000_000 };
        let text = sample(1_795_278_202.9, 500_000_000, Picojoules::default(), after);
        for line in [
            "CPU Power: 6000 mW",
            "GPU Power: 2000 mW",
            "ANE Power: 0 mW",
            "Combined Power (CPU + GPU + ANE): 8000 mW",
            "**** Processor usage ****",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
        let header = text.trim_start().lines().next().unwrap();
        let form = regex::Regex::new(
            r"^\*\*\* Sampled system activity \(\w{3} \w{3} \d+ \d\d:\d\d:\d\d \d{4} [+-]\d{4}\) \(500\.00ms elapsed\) \*\*\*$",
        );
        assert!(form.unwrap().is_match(header), "{header}");
    }
}
