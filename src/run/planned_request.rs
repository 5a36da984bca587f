//! The texts of a job, turn by turn, with the prefix and the nonce before them and the turns that were answered.

use super::config::{RunConfig, Target};
use super::fitted_prompts::{FittedPrompts, shared_prefix};
use crate::prompts::{Item, nonce, opening};
use crate::protocol::{ChatRequest, Parameters, PastTurn, Protocol};
use crate::record::{Model, Prompt, PromptUsed};
use std::borrow::Cow;
use std::sync::Arc;

/// A prompt, or a conversation, on its way to a model.
#[derive(Debug)]
pub struct PlannedRequest {
    /// The prompt as its record has it.
    pub prompt: Arc<Prompt>,
    /// The text that all prompts share.
    pub prefix: Option<Arc<Prompt>>,
    nonce: Option<String>,
    parameters: Parameters,
    /// The number of the first request.
    first_id: u64,
    history: Vec<PastTurn>,
}

impl PlannedRequest {
    /// The `item`th prompt, sent first as the request `id`.
    pub fn new(config: &RunConfig, target: &Target, item: usize, with_nonce: bool, id: u64) -> Self {
        let prompt_item = &config.prompts[item];
        let fitted = target.fitted.get();
        let prompt = prompt_item.prompt(fitted.and_then(|fitted| fitted.fit(item)));
        Self {
            prefix: prefix(config, fitted),
            nonce: with_nonce.then(|| nonce(&config.run, config.salt, id)),
            parameters: parameters(config, prompt_item),
            first_id: id,
            history: Vec::new(),
            prompt,
        }
    }

    /// The number of its turns.
    pub fn turns(&self) -> usize {
        self.prompt.turns.len() + 1
    }

    /// Of a conversation, the number of its first request and its next turn, from 1.
    pub fn turn(&self) -> Option<(u64, u64)> {
        (self.turns() > 1).then(|| (self.first_id, self.history.len() as u64 + 1))
    }

    /// The user's text in the next turn. Prefix and nonce stand before the first turn only.
    pub fn text(&self) -> Cow<'_, str> {
        match self.history.len() {
            0 => {
                let prefix = self.prefix.as_ref().map(|prefix| prefix.text.as_str());
                Cow::Owned(opening(prefix, self.nonce.as_deref(), &self.prompt))
            }
            answered => Cow::Borrowed(self.prompt.turns.get(answered - 1).map_or("", String::as_str)),
        }
    }

    /// The next turn as a request to `model`, as the server names it.
    pub fn question<'a>(&'a self, target: &'a Target, model: &'a Model, text: &'a str) -> ChatRequest<'a> {
        ChatRequest {
            model,
            base_url: &target.base_url,
            system: self.prompt.system.as_deref(),
            history: &self.history,
            text,
            parameters: &self.parameters,
        }
    }

    /// The parameters of every turn.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Adds the answer of a turn, which goes along with the next one.
    pub fn answered(&mut self, answer: &str) {
        let user = self.text().into_owned();
        self.history.push(PastTurn { user, assistant: answer.to_owned() });
    }

    /// Whether a protocol can carry it.
    pub fn fits(&self, protocol: &Protocol) -> bool {
        self.turns() == 1 || protocol.conversations
    }

    /// The prompt as a result has it.
    pub fn used(&self, gpu_setting: Option<String>) -> PromptUsed {
        let prefix = self.prefix.as_ref().and_then(|prefix| prefix.synthetic.as_ref()).map(|made| made.input_tokens);
        let made = self.prompt.synthetic.as_ref();
        PromptUsed {
            id: self.prompt.id.clone(),
            text: None,
            nonce: self.nonce.clone(),
            shared_prefix_tokens: prefix,
            wanted_input_tokens: made.map(|made| made.input_tokens + prefix.unwrap_or(0)),
            wanted_output_tokens: made.and_then(|made| made.output_tokens),
            temperature: self.parameters.temperature,
            top_p: self.parameters.top_p,
            max_tokens: self.parameters.max_tokens,
            num_ctx: self.parameters.num_ctx,
            seed: self.parameters.seed,
            reasoning_effort: self.parameters.reasoning_effort.clone(),
            gpu_setting,
            ..PromptUsed::default()
        }
    }
}

/// The parameters of a prompt: its own token limit, or else the one for all.
pub fn parameters(config: &RunConfig, item: &Item) -> Parameters {
    let mut parameters = config.parameters.clone();
    parameters.max_tokens = item.max_tokens().or(parameters.max_tokens);
    parameters
}

fn prefix(config: &RunConfig, fitted: Option<&FittedPrompts>) -> Option<Arc<Prompt>> {
    match fitted.and_then(|fitted| fitted.prefix.clone()) {
        Some(prefix) => Some(prefix),
        None => config.shared_prefix.map(|tokens| Arc::new(shared_prefix(config.load_seed, tokens, None))),
    }
}
