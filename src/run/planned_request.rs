//! What a job asks, turn by turn: the text with what is put before it, and what was said before.

use super::config::{Settings, Target};
use super::prompt_fitting::{self, Fitted};
use crate::chat::{Dialect, Exchange, Parameters, Question};
use crate::prompts::{Item, nonce, opening};
use crate::record::{Model, Prompt, PromptUsed};
use std::borrow::Cow;
use std::sync::Arc;

/// A prompt, or a conversation, on its way to a model.
#[derive(Debug)]
pub struct Asking {
    /// The prompt as its record tells it.
    pub prompt: Arc<Prompt>,
    /// The text that all prompts share.
    pub prefix: Option<Arc<Prompt>>,
    nonce: Option<String>,
    parameters: Parameters,
    /// The number of the first request.
    first: u64,
    history: Vec<Exchange>,
}

impl Asking {
    /// The `item`th prompt, asked by the request `id`.
    pub fn new(settings: &Settings, target: &Target, item: usize, with_nonce: bool, id: u64) -> Self {
        let asked = &settings.prompts[item];
        let fitted = target.fitted.get();
        let prompt = asked.prompt(fitted.and_then(|fitted| fitted.of(item)));
        Self {
            prefix: prefix(settings, fitted),
            nonce: with_nonce.then(|| nonce(&settings.run, settings.salt, id)),
            parameters: parameters(settings, asked),
            first: id,
            history: Vec::new(),
            prompt,
        }
    }

    /// How many turns it has.
    pub fn turns(&self) -> usize {
        self.prompt.turns.len() + 1
    }

    /// The number of its first request and the turn that is next, from 1, where it is a conversation.
    pub fn turn(&self) -> Option<(u64, u64)> {
        (self.turns() > 1).then(|| (self.first, self.history.len() as u64 + 1))
    }

    /// What the user says in the turn that is next. What is put before a conversation stands before its first turn, and is
    /// carried along with it.
    pub fn text(&self) -> Cow<'_, str> {
        match self.history.len() {
            0 => {
                let prefix = self.prefix.as_ref().map(|prefix| prefix.text.as_str());
                Cow::Owned(opening(prefix, self.nonce.as_deref(), &self.prompt))
            }
            said => Cow::Borrowed(self.prompt.turns.get(said - 1).map_or("", String::as_str)),
        }
    }

    /// The question that `text` is, to a model by the name under which it answers.
    pub fn question<'a>(&'a self, target: &'a Target, model: &'a Model, text: &'a str) -> Question<'a> {
        Question {
            model,
            source: target.source,
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

    /// The turn was answered: what was said goes along with the next one.
    pub fn answered(&mut self, answer: &str) {
        let asked = self.text().into_owned();
        self.history.push(Exchange { asked, answered: answer.to_owned() });
    }

    /// Which of the dialects may be spoken.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        self.turns() == 1 || dialect.carries_conversations()
    }

    /// What a result says of it.
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
        }
    }
}

/// The parameters of a prompt: its own limit stands before the one for all.
pub fn parameters(settings: &Settings, item: &Item) -> Parameters {
    let mut parameters = settings.parameters.clone();
    parameters.max_tokens = item.max_tokens().or(parameters.max_tokens);
    parameters
}

fn prefix(settings: &Settings, fitted: Option<&Fitted>) -> Option<Arc<Prompt>> {
    match fitted.and_then(|fitted| fitted.prefix.clone()) {
        Some(prefix) => Some(prefix),
        None => settings.shared_prefix.map(|tokens| Arc::new(prompt_fitting::prefix(settings.load_seed, tokens, None))),
    }
}
