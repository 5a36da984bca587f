//! The ways in which one LM Studio, or one Ollama, differs from the next: its age, its listings, its habits. Each is a switch,
//! because each has made a client believe something untrue.

use clap::ValueEnum;

/// The newest API that an LM Studio has. The older ones are there too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Generation {
    /// Chat completions only: before 0.3.6.
    Openai,
    /// `/api/v0` too: before 0.4.0.
    V0,
    /// `/api/v1` too.
    V1,
}

/// One habit. The names are those of `--quirk`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Quirk {
    /// LM Studio: `loaded_instances` stays empty, whatever is loaded.
    NoInstances,
    /// LM Studio: an unknown path is a true 404.
    #[value(name = "true-404")]
    True404,
    /// LM Studio: the older listings leave the vendor out of an id.
    NoVendor,
    /// LM Studio: the first model sees; v1 says `llm`, v0 says `vlm`.
    Vlm,
    /// LM Studio: each key stands in two rows of the native listing, one per variant.
    Variants,
    /// LM Studio: a name that means nothing is answered by the only loaded model.
    AnyName,
    /// LM Studio: a request for a model that is not loaded is refused.
    NoJit,
    /// LM Studio: a load gets half of the context length that was asked for.
    HalfContext,
    /// LM Studio: a load gets another model than was asked for.
    OtherModel,
    /// Ollama: one of the listed models is on Ollama's own machines.
    Cloud,
    /// Ollama: nothing stays in memory unless a request says so (`OLLAMA_KEEP_ALIVE=0`).
    KeepNothing,
}
