//! The models of the simulated server. Their names are birds that no publisher uses, so that no number of a
//! simulation can be taken for a claim about a real model.

use crate::record::{Model, Record, Source, read};
use std::path::Path;

/// A simulated model: what the listing tells of it, and how it differs from the others.
#[derive(Debug, Clone, PartialEq)]
pub struct SimModel {
    /// What requests name.
    pub id: String,
    /// The display name.
    pub name: String,
    /// The architecture.
    pub arch: String,
    /// The number of parameters, in words.
    pub params: String,
    /// The quantization, in words, and its bits per weight.
    pub quantization: (String, f64),
    /// The file format.
    pub format: String,
    /// The size of the files, as listed.
    pub size_bytes: u64,
    /// The longest context, in tokens.
    pub context: u64,
    /// Whether it makes embeddings and cannot chat.
    pub embedding: bool,
    /// Whether it reasons before it answers.
    pub reasoning: bool,
    /// US dollars per token of the prompt and of the answer, as OpenRouter writes them.
    pub prices: (String, String),
    /// Factor of the time to the first token.
    pub ttft_factor: f64,
    /// Factor of the gaps.
    pub itl_factor: f64,
    /// Factor of the load time and of the memory that a load holds.
    pub load_factor: f64,
    /// Factor of the power a request draws.
    pub power_factor: f64,
}

impl SimModel {
    /// Who published it: what stands before the slash, or the aviary.
    pub fn publisher(&self) -> &str {
        self.id.split_once('/').map_or("aviary", |(publisher, _)| publisher)
    }
}

struct Bird {
    ids: [&'static str; 5],
    name: &'static str,
    params: &'static str,
    size_gb: f64,
    context: u64,
    embedding: bool,
    reasoning: bool,
    prices: (&'static str, &'static str),
    factors: [f64; 4],
}

/// The ids are those of LM Studio, OpenRouter, Ollama, OpenAI, MiniMax. The factors: ttft, itl, load, power. The first
/// has all factors 1, so that the flags say exactly what it does.
const BIRDS: [Bird; 4] = [
    Bird {
        ids: ["aviary/finch-4b", "aviary/finch-4b", "finch:4b", "finch-4b", "MiniMax-Finch"],
        name: "Finch 4B",
        params: "4B",
        size_gb: 2.5,
        context: 32_768,
        embedding: false,
        reasoning: false,
        prices: ("0.0000001", "0.0000004"),
        factors: [1.0, 1.0, 1.0, 1.0],
    },
    Bird {
        ids: ["aviary/heron-12b", "aviary/heron-12b", "heron:12b", "heron-12b", "MiniMax-Heron"],
        name: "Heron 12B",
        params: "12B",
        size_gb: 7.4,
        context: 131_072,
        embedding: false,
        reasoning: false,
        prices: ("0.00000025", "0.000001"),
        factors: [1.6, 2.2, 2.0, 1.5],
    },
    Bird {
        ids: ["nocturne/owl-20b", "nocturne/owl-20b", "owl:20b", "owl-20b", "MiniMax-Owl"],
        name: "Owl 20B",
        params: "20B-A3B",
        size_gb: 12.1,
        context: 131_072,
        embedding: false,
        reasoning: true,
        prices: ("0.0000003", "0.0000015"),
        factors: [2.0, 0.7, 3.0, 1.2],
    },
    Bird {
        ids: ["text-embedding-wren-v1", "", "wren-embed:latest", "", ""],
        name: "Wren Embed v1",
        params: "137M",
        size_gb: 0.084,
        context: 2048,
        embedding: true,
        reasoning: false,
        prices: ("0", "0"),
        factors: [1.0, 1.0, 0.1, 0.2],
    },
];

impl Bird {
    fn model(&self, profile: Source) -> Option<SimModel> {
        let id = self.ids[match profile {
            Source::Lmstudio => 0,
            Source::Openrouter => 1,
            Source::Ollama => 2,
            Source::Minimax => 4,
            _ => 3,
        }];
        let (quantization, format) = match profile {
            Source::Lmstudio if self.reasoning => (("MXFP4", 4.0), "gguf"),
            Source::Lmstudio if self.embedding => (("Q8_0", 8.0), "gguf"),
            Source::Lmstudio => (("4bit", 4.0), "mlx"),
            Source::Ollama if self.embedding => (("F16", 16.0), "gguf"),
            Source::Ollama => (("Q4_K_M", 4.5), "gguf"),
            _ => (("fp8", 8.0), "safetensors"),
        };
        (!id.is_empty()).then(|| SimModel {
            id: id.into(),
            name: self.name.into(),
            arch: self.name.split(' ').next().unwrap_or_default().to_lowercase(),
            params: self.params.into(),
            quantization: (quantization.0.into(), quantization.1),
            format: format.into(),
            size_bytes: (self.size_gb * 1e9) as u64,
            context: self.context,
            embedding: self.embedding,
            reasoning: self.reasoning,
            prices: (self.prices.0.into(), self.prices.1.into()),
            ttft_factor: self.factors[0],
            itl_factor: self.factors[1],
            load_factor: self.factors[2],
            power_factor: self.factors[3],
        })
    }
}

/// The models a server of this kind offers when nobody says otherwise.
pub fn default_models(profile: Source) -> Vec<SimModel> {
    BIRDS.iter().filter_map(|bird| bird.model(profile)).collect()
}

/// The models that `--models` names: a file of `model` records or of ids, one per line, or ids with commas between.
/// A known id is the known model; any other is like the first one, under its own name.
///
/// # Errors
/// When the file cannot be read, a line in it is neither, or nothing is named.
pub fn named_models(profile: Source, argument: &str) -> Result<Vec<SimModel>, String> {
    let known = default_models(profile);
    let models = if Path::new(argument).is_file() {
        let text = std::fs::read_to_string(argument).map_err(|why| format!("{argument}: {why}"))?;
        let mut models = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if !line.starts_with('{') {
                models.push(of_id(&known, line));
                continue;
            }
            match read(line) {
                Ok(Record::Model(model)) => models.push(of_record(&known, &model)),
                Ok(_) => {}
                Err(why) => return Err(format!("{argument}:{}: {why}", number + 1)),
            }
        }
        models
    } else {
        argument.split(',').map(str::trim).filter(|id| !id.is_empty()).map(|id| of_id(&known, id)).collect()
    };
    if models.is_empty() { Err(format!("{argument}: names no model")) } else { Ok(models) }
}

fn of_id(known: &[SimModel], id: &str) -> SimModel {
    if let Some(model) = known.iter().find(|model| model.id == id) {
        return model.clone();
    }
    let like = &known[0];
    let name = id.rsplit('/').next().unwrap_or(id);
    // As OpenRouter's catalogue has them: what is free costs nothing, and what a router costs is not known.
    let prices = match id {
        free if free.ends_with(":free") => ("0".into(), "0".into()),
        router if router.starts_with("openrouter/") => ("-1".into(), "-1".into()),
        _ => like.prices.clone(),
    };
    SimModel { id: id.into(), name: name.into(), arch: name.into(), prices, ..like.clone() }
}

fn of_record(known: &[SimModel], record: &Model) -> SimModel {
    let mut model = of_id(known, &record.id);
    let set = |to: &mut String, from: &Option<String>| {
        if let Some(from) = from {
            to.clone_from(from);
        }
    };
    set(&mut model.name, &record.name);
    set(&mut model.arch, &record.arch);
    set(&mut model.params, &record.parameters);
    set(&mut model.format, &record.format);
    set(&mut model.quantization.0, &record.quantization);
    model.size_bytes = record.size_bytes.unwrap_or(model.size_bytes);
    model.context = record.context_length.unwrap_or(model.context);
    model.reasoning |= record.capabilities.iter().flatten().any(|word| word == "reasoning");
    if let Some(pricing) = &record.pricing {
        set(&mut model.prices.0, &pricing.prompt_usd_per_token);
        set(&mut model.prices.1, &pricing.completion_usd_per_token);
    }
    model
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_server_has_models_of_which_the_first_is_the_measure_and_one_reasons() {
        for profile in Source::value_variants() {
            let models = default_models(*profile);
            assert!(models.len() >= 3, "{profile}");
            let first = &models[0];
            assert_eq!([first.ttft_factor, first.itl_factor, first.load_factor, first.power_factor], [1.0; 4]);
            assert_eq!(models.iter().filter(|m| m.reasoning).count(), 1, "{profile}");
        }
    }

    #[test]
    fn models_are_named_by_ids_or_by_a_file() {
        let ids = |argument: &str| {
            named_models(Source::Openai, argument).map(|all| all.into_iter().map(|m| m.id).collect::<Vec<_>>())
        };
        assert_eq!(ids("heron-12b, my/own").unwrap(), ["heron-12b", "my/own"]);
        assert!(ids(" , ").is_err());
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        std::fs::write(path, "# two\nx\n{\"type\":\"model\",\"v\":1,\"id\":\"y\",\"context_length\":7}\n").unwrap();
        let models = named_models(Source::Openai, path).unwrap();
        assert_eq!((models[0].id.as_str(), models[1].id.as_str(), models[1].context), ("x", "y", 7));
        std::fs::write(path, "{\"type\":\"model\",\"v\":1}\n").unwrap();
        assert!(named_models(Source::Openai, path).unwrap_err().contains(":1:"));
    }
}
