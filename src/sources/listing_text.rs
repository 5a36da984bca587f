//! A listing for people: aligned columns, an empty cell for what the server did not say.

use crate::record::Model;
use crate::text::cut;
use crate::text::table::aligned;

/// The most characters of a cell.
const WIDEST: usize = 80;

/// The table of `models`, with a head line.
pub fn table(models: &[Model]) -> String {
    let head = ["MODEL", "SOURCE", "SIZE", "QUANT", "CONTEXT", "LOADED", "$/M IN", "$/M OUT"].map(String::from);
    let right: [bool; 8] = std::array::from_fn(|column| column >= 2);
    aligned(std::iter::once(head).chain(models.iter().map(row)), &right)
}

fn row(model: &Model) -> [String; 8] {
    let price = |price: Option<&String>| match price.and_then(|text| text.parse::<f64>().ok()) {
        Some(price) if price >= 0.0 => format!("{:.3}", price * 1e6),
        _ => String::new(),
    };
    let pricing = model.pricing.as_ref();
    [
        cut(
            &match &model.provider {
                Some(provider) => format!("{} ({provider})", model.id),
                None => model.id.clone(),
            },
            WIDEST,
        ),
        model.source.map(|source| source.to_string()).unwrap_or_default(),
        model.size_bytes.map(size).unwrap_or_default(),
        cut(model.quantization.as_deref().unwrap_or_default(), WIDEST),
        model.context_length.map(|n| n.to_string()).unwrap_or_default(),
        model.loaded.map(|loaded| if loaded { "yes" } else { "no" }.to_owned()).unwrap_or_default(),
        price(pricing.and_then(|p| p.prompt_usd_per_token.as_ref())),
        price(pricing.and_then(|p| p.completion_usd_per_token.as_ref())),
    ]
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Source;
    use indoc::indoc;

    #[test]
    fn missing_field_is_an_empty_cell() {
        let models = [
            Model {
                source: Some(Source::Lmstudio),
                id: "acme/small\x1b[2J".into(),
                size_bytes: Some(2_500_000_000),
                loaded: Some(true),
                ..Model::default()
            },
            Model { id: "x".into(), ..Model::default() },
        ];
        let expect = indoc! {"
            MODEL          SOURCE      SIZE  QUANT  CONTEXT  LOADED  $/M IN  $/M OUT
            acme/small[2J  lmstudio  2.5 GB                     yes
            x"};
        assert_eq!(table(&models), expect);
        assert!(!table(&models).contains('\x1b'));
    }
}
