//! Prices as decimals: money is not a measurement, and keeps every digit.

use crate::record::Pricing;
use serde_json::Value;

/// The prices of an entry; a router's −1 is no price, and neither is one that is not told.
pub fn pricing(entry: &Value) -> Option<Pricing> {
    let prices = entry.get("pricing")?;
    let decimal = |key: &str| match prices.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let discount = decimal("discount");
    let price = |key: &str| {
        let listed = decimal(key).filter(|text| is_price(text))?;
        Some(discount.as_ref().and_then(|discount| discounted(&listed, discount)).unwrap_or(listed))
    };
    let pricing = Pricing {
        prompt_usd_per_token: price("prompt"),
        completion_usd_per_token: price("completion"),
        request_usd: price("request").filter(|text| text.parse::<f64>() != Ok(0.0)),
    };
    (pricing != Pricing::default()).then_some(pricing)
}

/// Whether a text is a price: a number that is not negative.
fn is_price(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|price| price.is_finite() && price >= 0.0)
}

/// A price less a share of it, exactly: `0.0000004` less `0.25` is `0.0000003`. `None` where either is no plain decimal, the
/// share is none, or the digits are too many to keep.
fn discounted(price: &str, share: &str) -> Option<String> {
    let (price, price_scale) = decimal(price)?;
    let (share, share_scale) = decimal(share)?;
    let one = 10_u128.checked_pow(share_scale)?;
    let product = price.checked_mul(one.checked_sub(share)?)?;
    if share == 0 {
        return None;
    }
    Some(to_text(product, price_scale + share_scale))
}

/// Digits and how many of them stand behind the point.
fn decimal(text: &str) -> Option<(u128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction}");
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let scale = u32::try_from(fraction.len()).ok().filter(|scale| *scale <= 30)?;
    plain.then(|| digits.parse().ok()).flatten().map(|digits| (digits, scale))
}

fn to_text(digits: u128, scale: u32) -> String {
    let scale = scale as usize;
    let text = format!("{digits:0width$}", width = scale + 1);
    let (whole, fraction) = text.split_at(text.len() - scale);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ignores_what_is_not_a_price() {
        for (entry, price) in [
            (json!({"pricing": {"completion": "0.0000004", "discount": 0.25}}), Some("0.0000003")),
            (json!({"pricing": {"completion": "0.0000004", "discount": 0}}), Some("0.0000004")),
            (json!({"pricing": {"completion": "0.0000004", "discount": "nonsense"}}), Some("0.0000004")),
            (json!({"pricing": {"completion": "NaN"}}), None),
            (json!({"pricing": {"completion": "1e999"}}), None),
            (json!({"pricing": null}), None),
            (json!({}), None),
        ] {
            let parsed = pricing(&entry).and_then(|pricing| pricing.completion_usd_per_token);
            assert_eq!(parsed.as_deref(), price, "{entry}");
        }
    }

    #[test]
    fn subtracts_a_discount_exactly() {
        for (price, share, expect) in [
            ("0.0000004", "0.25", Some("0.0000003")),
            ("0.00000015", "0.1", Some("0.000000135")),
            ("3", "0.5", Some("1.5")),
            ("0.0000004", "1", Some("0")),
            ("0", "0.5", Some("0")),
            ("0.0000004", "0", None),
            ("0.0000004", "1.5", None),
            ("0.0000004", "-0.5", None),
            ("4e-7", "0.5", None),
            ("", "0.5", None),
            (".", "0.5", None),
            ("0.0000004", "0.0000000000000000000000000000000000001", None),
            ("99999999999999999999999999999999999999", "0.123456789", None),
        ] {
            assert_eq!(discounted(price, share).as_deref(), expect, "{price} less {share}");
        }
    }
}
