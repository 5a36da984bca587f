//! The OpenAI-compatible servers that the `openai` profile can be, and where it can put reasoning.

use clap::ValueEnum;

/// A kind of OpenAI-compatible server: the same form in another manner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Flavor {
    /// Nothing in particular.
    #[default]
    Plain,
    /// llama.cpp's llama-server 0.7.
    LlamaCpp,
    /// llama-cpp-python's server 0.3.
    LlamaCppPython,
    /// vLLM 0.32.
    Vllm,
    /// SGLang.
    Sglang,
    /// Hugging Face's text-generation-inference 3.
    Tgi,
    /// mlx-lm's server 0.32.
    Mlx,
    /// The LiteLLM proxy 1.106.
    Litellm,
    /// mistral.rs.
    MistralRs,
    /// `transformers serve`.
    Transformers,
}

/// What a server counts before anything is asked (openai).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Count {
    /// Chats at `/v1/chat/completions/input_tokens`, texts at `/tokenize`: llama.cpp.
    Chat,
    /// Chats and texts at `/tokenize`: vLLM.
    Tokenize,
    /// Texts at `/tokenize`: SGLang.
    Text,
    /// Nothing.
    None,
}

impl Flavor {
    /// What this server counts.
    pub fn counts(self) -> Count {
        match self {
            Flavor::Plain | Flavor::LlamaCpp => Count::Chat,
            Flavor::Vllm => Count::Tokenize,
            Flavor::Sglang => Count::Text,
            Flavor::LlamaCppPython
            | Flavor::Tgi
            | Flavor::Mlx
            | Flavor::Litellm
            | Flavor::MistralRs
            | Flavor::Transformers => Count::None,
        }
    }
}

/// Where reasoning is said, whatever the server's habit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum ReasoningIn {
    /// In `reasoning`.
    Reasoning,
    /// In `reasoning_content`.
    ReasoningContent,
    /// In both, with the same words.
    Both,
    /// In `reasoning` and `reasoning_details`, with the same words.
    Details,
    /// In `reasoning_details` only.
    DetailsOnly,
    /// Between `<think>` and `</think>` in the content.
    Inline,
}
