//! What the names of power domains say: which contain which, and which can never be nothing.

use std::collections::BTreeSet;

/// The domains of the largest total: the plug, else the machine, else the platform, else the chip, else the processors
/// with their memory, and the graphics cards.
pub fn largest(domains: &BTreeSet<&str>) -> Vec<String> {
    for whole in ["wall", "system", "psys"] {
        if domains.contains(whole) {
            return vec![whole.to_owned()];
        }
    }
    let of = |stem: &str| domains.iter().filter(|d| numbered(d, stem)).map(|&d| d.to_owned()).collect::<Vec<_>>();
    let mut parts = if domains.contains("soc") {
        vec!["soc".to_owned()]
    } else {
        let mut parts = of("package-");
        let names: &[&str] = if parts.is_empty() { &["cpu", "gpu", "ane", "dram"] } else { &["dram"] };
        parts.extend(names.iter().filter(|&&name| domains.contains(name)).map(|&name| name.to_owned()));
        parts.extend(of("dram-"));
        parts
    };
    parts.extend(of("gpu"));
    parts
}

/// Whether a domain is one of several: `gpu0`, of `gpu`.
pub fn numbered(domain: &str, stem: &str) -> bool {
    domain.strip_prefix(stem).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// Domains that cannot draw nothing while the sampler itself runs: their exact zero is a meter that is stuck.
pub fn never_zero(domain: &str) -> bool {
    matches!(domain, "cpu" | "soc" | "psys" | "system" | "wall") || domain.starts_with("package-")
}
