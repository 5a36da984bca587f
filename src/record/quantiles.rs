//! The one statistics struct: count, mean, extremes and the list of percentiles that every record and report has.
//!
//! A percentile is defined once. Of exact samples it is Hyndman and Fan's type 7: linear between the two neighbours of rank
//! p·(n − 1), as numpy and R compute it by default. Of a histogram it is the upper end of the class that holds the number of
//! rank ⌈p·n⌉; a class of three significant digits is at most 0.1 % wide.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A percentile that is recorded and reported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentile {
    /// The name of its field: `p99`, `p999`.
    pub name: &'static str,
    /// The name for people: `p99`, `p99.9`.
    pub label: &'static str,
    /// The share of the numbers that lie below it, from 0 to 1.
    pub fraction: f64,
}

impl Percentile {
    /// The percentile with this name or label; `None` where the list has none.
    pub fn named(name: &str) -> Option<&'static Percentile> {
        Percentile::ALL.iter().find(|percentile| percentile.name == name || percentile.label == name)
    }

    /// Whether `count` numbers can tell it.
    pub fn is_supported_by(&self, count: u64) -> bool {
        supports(count, self.fraction)
    }
}

/// Whether `count` numbers can tell a percentile, given as a fraction: at least five must lie beyond it on its thin side.
pub fn supports(count: u64, fraction: f64) -> bool {
    count as f64 * (1.0 - fraction).min(fraction) >= 5.0 - 1e-9
}

macro_rules! quantiles {
    ($($(#[doc = $doc:literal])+ $name:ident $label:literal $fraction:literal;)+) => {
        impl Percentile {
            /// All of them, from the lowest.
            pub const ALL: &[Percentile] =
                &[$(Percentile { name: stringify!($name), label: $label, fraction: $fraction }),+];
        }

        /// Statistics of many numbers, in the unit of the field that holds them. A percentile that was not recorded is absent.
        #[skip_serializing_none]
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub struct Quantiles {
            /// How many numbers.
            #[serde(default)]
            pub count: u64,
            /// The arithmetic mean.
            pub mean: Option<f64>,
            /// The smallest.
            pub min: Option<f64>,
            $($(#[doc = $doc])+
            pub $name: Option<f64>,)+
            /// The largest.
            pub max: Option<f64>,
            /// All numbers as an HdrHistogram of microseconds, format V2, base64. Histograms of any runs add up exactly.
            pub histogram: Option<String>,
        }

        impl Quantiles {
            /// Sets each percentile of the list to what `quantile` returns for its fraction.
            pub fn with_percentiles(mut self, mut quantile: impl FnMut(f64) -> Option<f64>) -> Self {
                $(self.$name = quantile($fraction);)+
                self
            }

            /// A percentile by its name or label, or `mean`, `min` or `max`; `None` where it is unknown or was not recorded.
            pub fn get(&self, name: &str) -> Option<f64> {
                match name {
                    "mean" => self.mean,
                    "min" => self.min,
                    "max" => self.max,
                    $(name if name == stringify!($name) || name == $label => self.$name,)+
                    _ => None,
                }
            }
        }
    };
}

quantiles! {
    /// The median.
    p50 "p50" 0.5;
    /// The 90th percentile.
    p90 "p90" 0.9;
    /// The 95th percentile.
    p95 "p95" 0.95;
    /// The 99th percentile.
    p99 "p99" 0.99;
    /// The 99.9th percentile.
    p999 "p99.9" 0.999;
}

impl Quantiles {
    /// Whether there are enough numbers to tell this percentile. True for `mean`, `min` and `max`.
    pub fn supports(&self, name: &str) -> bool {
        Percentile::named(name).is_none_or(|percentile| percentile.is_supported_by(self.count))
    }

    /// The names of the percentiles that so few numbers cannot tell.
    pub fn unsupported(&self) -> Vec<&'static str> {
        Percentile::ALL.iter().filter(|p| !p.is_supported_by(self.count)).map(|p| p.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_need_five_numbers_beyond_them() {
        for (count, unsupported) in [
            (1, &["p50", "p90", "p95", "p99", "p999"][..]),
            (9, &["p50", "p90", "p95", "p99", "p999"]),
            (10, &["p90", "p95", "p99", "p999"]),
            (50, &["p95", "p99", "p999"]),
            (100, &["p99", "p999"]),
            (500, &["p999"]),
            (5000, &[]),
        ] {
            let quantiles = Quantiles { count, ..Quantiles::default() };
            assert_eq!(quantiles.unsupported(), unsupported, "{count}");
            assert_eq!(quantiles.supports("p99.9"), !unsupported.contains(&"p999"), "{count}");
            assert!(quantiles.supports("max"), "{count}");
        }
        assert!(supports(500, 0.01) && !supports(499, 0.01), "the thin side counts");
    }

    #[test]
    fn every_percentile_is_found_by_name_and_label() {
        let quantiles = Quantiles { mean: Some(-1.0), ..Quantiles::default() }.with_percentiles(Some);
        for percentile in Percentile::ALL {
            for name in [percentile.name, percentile.label] {
                assert_eq!(quantiles.get(name), Some(percentile.fraction), "{name}");
                assert_eq!(Percentile::named(name), Some(percentile));
            }
        }
        assert_eq!((quantiles.get("mean"), quantiles.get("min"), quantiles.get("p42")), (Some(-1.0), None, None));
    }

    #[test]
    fn older_and_foreign_records_lack_fields() {
        let read = |text| serde_json::from_str::<Quantiles>(text).unwrap();
        let older = read(r#"{"count":3,"mean":2.0,"p50":2.0,"p99":3.0,"max":3.0,"histogram":"HIST"}"#);
        assert_eq!((older.count, older.p50, older.p999, older.min), (3, Some(2.0), None, None));
        let written = r#"{"count":3,"mean":2.0,"p50":2.0,"p99":3.0,"max":3.0,"histogram":"HIST"}"#;
        assert_eq!(serde_json::to_string(&older).unwrap(), written);
        assert_eq!(read(r#"{"p99":0.5}"#), Quantiles { p99: Some(0.5), ..Quantiles::default() });
    }
}
