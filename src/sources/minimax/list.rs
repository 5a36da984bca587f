//! MiniMax: its OpenAI-like listing; a local MiniMax model behind any OpenAI-compatible server by `--base-url`.

use crate::http::Api;
use crate::record::{Failure, Model, Source};
use crate::sources::openai;

/// The models of the service, or of the local server, at `api`.
///
/// # Errors
/// When it is not reached, or is something else.
pub async fn list(api: &Api) -> Result<Vec<Model>, Failure> {
    let models = openai::list::list(api).await?;
    Ok(models.into_iter().map(|model| Model { source: Some(Source::Minimax), ..model }).collect())
}
