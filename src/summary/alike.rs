//! What results are alike in when they belong to one group, so that the group of one need not be sought for the next.
//!
//! It is what keys follow from, less what the runs before said: whoever remembers groups by it forgets them when a run begins.

use super::figures::failed;
use crate::record::{Outcome, Source};
use std::hash::{DefaultHasher, Hasher};

/// The number of a result's kind: the same for results that belong to one group, whatever the runs before them said, and
/// seldom the same for others. It follows from the result alone.
pub fn kind(o: &Outcome) -> u64 {
    let (failed, source, numbers) = numbers(o);
    let few = [u64::from(failed), source.map_or(0, |source| source as u64 + 1)];
    let all = few.into_iter().chain(numbers.into_iter().map(|n| n.map_or(u64::MAX, |n| n)));
    // As in Firefox and rustc: no hash against malice, which is why results are compared too.
    let mixed = all.fold(0, |sum: u64, n| (sum.rotate_left(5) ^ n).wrapping_mul(0x517c_c1b7_2722_0a95));
    let mut hasher = DefaultHasher::new();
    hasher.write(o.run.as_bytes());
    hasher.write(o.model.as_bytes());
    hasher.write(o.provider.as_deref().unwrap_or_default().as_bytes());
    hasher.write_u64(mixed);
    hasher.finish()
}

/// The words of the parameters that were sent.
fn words(o: &Outcome) -> Option<[Option<&str>; 2]> {
    o.prompt.as_ref().map(|prompt| [prompt.reasoning_effort.as_deref(), prompt.gpu_setting.as_deref()])
}

/// What else keys follow from.
type Numbers = (bool, Option<Source>, [Option<u64>; 9]);

fn numbers(o: &Outcome) -> Numbers {
    let (prompt, bits) = (o.prompt.as_ref(), |v: Option<f64>| v.map(f64::to_bits));
    let numbers = [
        o.concurrency,
        bits(o.rate),
        bits(prompt.and_then(|p| p.temperature)),
        bits(prompt.and_then(|p| p.top_p)),
        prompt.and_then(|p| p.num_ctx),
        prompt.and_then(|p| p.max_tokens),
        prompt.and_then(|p| p.wanted_output_tokens).map(|_| 1),
        prompt.and_then(|p| p.nonce.as_ref()).map(|_| 1),
        prompt.and_then(|p| p.shared_prefix_tokens),
    ];
    (failed(o), o.source, numbers)
}

/// What keys follow from, so that the group of a result can be taken again for one that is like it.
#[derive(Debug)]
pub struct Alike {
    run: String,
    model: String,
    provider: Option<String>,
    pinned_provider: Option<String>,
    api: Option<String>,
    endpoint: Option<String>,
    words: Option<[Option<String>; 2]>,
    numbers: Numbers,
}

impl Alike {
    pub fn of(o: &Outcome) -> Self {
        Self {
            run: o.run.clone(),
            model: o.model.clone(),
            provider: o.provider.clone(),
            pinned_provider: o.pinned_provider.clone(),
            api: o.api.clone(),
            endpoint: o.endpoint.clone(),
            words: words(o).map(|words| words.map(|word| word.map(str::to_owned))),
            numbers: numbers(o),
        }
    }

    pub fn is(&self, o: &Outcome) -> bool {
        let mine = self.words.as_ref().map(|words| words.each_ref().map(Option::as_deref));
        self.numbers == numbers(o)
            && self.run == o.run
            && self.model == o.model
            && self.provider == o.provider
            && self.pinned_provider == o.pinned_provider
            && self.api == o.api
            && self.endpoint == o.endpoint
            && mine == words(o)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{PromptUsed, fixture};

    #[test]
    fn results_that_differ_in_what_makes_a_group_are_not_alike() {
        let word = |word: &str| Some(word.to_owned());
        let one = || fixture::result(1, "m").prompt("");
        let sent = |prompt: PromptUsed| one().set(|o| o.prompt = Some(prompt));
        let others = [
            one().run("s"),
            one().set(|o| o.model = "n".into()),
            one().source(Source::Openai),
            one().set(|o| o.provider = word("p")),
            one().set(|o| o.pinned_provider = word("p")),
            one().set(|o| o.api = word("chat")),
            one().set(|o| o.endpoint = word("http://h/v1")),
            one().concurrency(0),
            one().rate(0.0),
            one().set(|o| o.errors.generation = word("no")),
            one().set(|o| o.prompt = None),
            sent(PromptUsed { temperature: Some(0.0), ..PromptUsed::default() }),
            sent(PromptUsed { top_p: Some(0.0), ..PromptUsed::default() }),
            sent(PromptUsed { num_ctx: Some(0), ..PromptUsed::default() }),
            sent(PromptUsed { max_tokens: Some(0), ..PromptUsed::default() }),
            sent(PromptUsed { wanted_output_tokens: Some(0), ..PromptUsed::default() }),
            sent(PromptUsed { nonce: word("0a"), ..PromptUsed::default() }),
            sent(PromptUsed { shared_prefix_tokens: Some(0), ..PromptUsed::default() }),
            sent(PromptUsed { reasoning_effort: word("low"), ..PromptUsed::default() }),
            sent(PromptUsed { gpu_setting: word("low"), ..PromptUsed::default() }),
        ];
        let alike = Alike::of(&one());
        let same = one().ttft(1.0).set(|o| (o.id, o.repetition) = (7, Some(3)));
        assert!(alike.is(&same) && kind(&one()) == kind(&same));
        for (at, other) in others.iter().enumerate() {
            assert!(!alike.is(other) && Alike::of(other).is(other), "{other:?}");
            assert!(others.iter().skip(at + 1).all(|third| !Alike::of(other).is(third)), "{other:?}");
        }
    }
}
