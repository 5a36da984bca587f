//! The quantization and the size of a model in the usual words, from a file name or from llama.cpp's own words.

/// The quantization that a file or repository name ends with or holds: `Q4_K_M`, `IQ3_XXS`, `BF16`, `AWQ`, `4bit` …
pub fn in_name(name: &str) -> Option<String> {
    let file = name.rsplit('/').next().unwrap_or(name);
    let file = file.strip_suffix(".gguf").unwrap_or(file);
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    file.split(word).rev().find(|part| is_quantization(part)).map(str::to_owned)
}

fn is_quantization(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    let digits = |text: &str| !text.is_empty() && text.starts_with(|c: char| c.is_ascii_digit());
    let gguf = upper.strip_prefix("IQ").or_else(|| upper.strip_prefix("TQ")).or_else(|| upper.strip_prefix('Q'));
    let bits = upper.strip_suffix("BIT").is_some_and(|n| n.parse::<u8>().is_ok());
    // Q4_K_M and its like: a digit, an underscore, then letters or digits.
    let gguf = gguf.is_some_and(|rest| digits(rest) && rest.as_bytes().get(1) == Some(&b'_') && rest.len() <= 7);
    gguf || bits
        || matches!(
            upper.as_str(),
            "F16" | "BF16" | "F32" | "FP8" | "FP16" | "NVFP4" | "MXFP4" | "AWQ" | "GPTQ" | "INT4" | "INT8"
        )
}

/// llama.cpp's word for a file's type, `Q4_K - Medium`, as its files are named: `Q4_K_M`.
pub fn of_ftype(ftype: &str) -> String {
    let plain = ftype.trim_start_matches("all ").trim_start_matches("mostly ");
    match plain.split_once(" - ") {
        Some((kind, size)) if matches!(size, "Small" | "Medium" | "Large") => format!("{kind}_{}", &size[..1]),
        Some((kind, _)) => kind.to_owned(),
        None => plain.to_owned(),
    }
}

/// A number of parameters in words: `7.6B`, `598K`.
pub fn parameters(count: u64) -> String {
    let (scaled, unit) = match count as f64 {
        n if n >= 1e12 => (n / 1e12, "T"),
        n if n >= 1e9 => (n / 1e9, "B"),
        n if n >= 1e6 => (n / 1e6, "M"),
        n => (n / 1e3, "K"),
    };
    let text = if scaled < 99.95 { format!("{scaled:.1}") } else { format!("{scaled:.0}") };
    format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_quantization_in_a_name() {
        for (name, expect) in [
            ("/srv/Qwen3-8B-Q4_K_M.gguf", Some("Q4_K_M")),
            ("gemma-3-4b-it-IQ3_XXS.gguf", Some("IQ3_XXS")),
            ("model.Q8_0.gguf", Some("Q8_0")),
            ("Lab/Model-7B-AWQ", Some("AWQ")),
            ("mlx-community/Qwen3-4B-4bit", Some("4bit")),
            ("Lab/model-bf16", Some("bf16")),
            ("Qwen3-8B", None),
            ("Qwen2_5", None),
            ("gpt-oss-20b", None),
            ("rabbit", None),
            ("", None),
        ] {
            assert_eq!(in_name(name).as_deref(), expect, "{name}");
        }
    }

    #[test]
    fn formats_types_and_counts() {
        for (ftype, expect) in
            [("Q4_K - Medium", "Q4_K_M"), ("all F32", "F32"), ("Q8_0", "Q8_0"), ("IQ2_XXS - 2.0625 bpw", "IQ2_XXS")]
        {
            assert_eq!(of_ftype(ftype), expect);
        }
        for (count, expect) in
            [(598_336, "598K"), (7_615_616_512, "7.6B"), (4_000_000_000, "4B"), (671_000_000_000, "671B")]
        {
            assert_eq!(parameters(count), expect);
        }
    }
}
