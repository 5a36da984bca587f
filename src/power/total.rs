//! Which domains make the total, when domains contain each other.

/// The total of `domains`: the widest one there is, or the sum, joined by `+`, of those that do not contain each other.
/// The plug holds the machine, the machine its platform (`psys`), the platform its packages and, on the laptops that have
/// this counter, its graphics; a package holds its cores; memory and discrete graphics stand beside the package. `None`
/// when nothing here is a total.
pub fn total<'a>(domains: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let domains: Vec<&str> = domains.into_iter().collect();
    for whole in ["wall", "system", "psys", "soc"] {
        if domains.contains(&whole) {
            return Some(whole.to_owned());
        }
    }
    // A module holds its processor and its graphics.
    let modules: Vec<&str> = domains.iter().copied().filter(|domain| domain.starts_with("module-")).collect();
    if !modules.is_empty() {
        return Some(modules.join("+"));
    }
    let of = |stem: &'static str| domains.iter().copied().filter(move |domain| domain.starts_with(stem));
    let mut parts: Vec<&str> = of("package-").chain(of("dram-")).collect();
    if parts.is_empty() {
        // A processor estimated or measured as a whole, or an accelerator alone.
        parts.extend(domains.iter().filter(|domain| **domain == "cpu"));
    }
    parts.extend(domains.iter().filter(|domain| numbered(domain, "gpu")));
    if parts.is_empty() {
        parts.extend(domains.iter().filter(|domain| **domain == "gpu"));
    }
    (!parts.is_empty()).then(|| parts.join("+"))
}

/// Whether `domain` is `stem` and a number.
fn numbered(domain: &str, stem: &str) -> bool {
    domain.strip_prefix(stem).is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a domain can never truly draw nothing, because whoever reads it is running on it.
pub fn always_draws(domain: &str) -> bool {
    ["cpu", "soc", "psys", "system", "wall"].contains(&domain)
        || domain.starts_with("package-")
        || domain.starts_with("module-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_counted_twice() {
        for (domains, expect) in [
            (&["ane", "cpu", "gpu", "soc"][..], Some("soc")),
            (&["core-0", "dram-0", "package-0", "uncore-0"], Some("package-0+dram-0")),
            (&["dram-0", "dram-1", "package-0", "package-1"], Some("package-0+package-1+dram-0+dram-1")),
            (&["core-0", "dram-0", "package-0", "psys"], Some("psys")),
            (&["gpu0", "package-0", "psys"], Some("psys")),
            (&["dram-0", "gpu0", "gpu1", "package-0"], Some("package-0+dram-0+gpu0+gpu1")),
            (&["cpu", "gpu", "soc", "system"], Some("system")),
            (&["system", "wall"], Some("wall")),
            (&["gpu0", "module-0", "module-1", "package-0"], Some("module-0+module-1")),
            (&["gpu0"], Some("gpu0")),
            (&["cpu"], Some("cpu")),
            (&["cpu", "gpu0"], Some("cpu+gpu0")),
            (&["gpu"], Some("gpu")),
            (&["gpu_sram"], None),
            (&["core-0"], None),
            (&[], None),
        ] {
            assert_eq!(total(domains.iter().copied()).as_deref(), expect, "{domains:?}");
        }
    }
}
