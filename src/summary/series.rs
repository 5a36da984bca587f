//! Readings over time, for the time axis of the page: any number of readings in, a bounded number of points out.

use super::figures::moment;
use crate::units::{Unit, possible};
use serde::Serialize;

/// The most points that a series holds before it joins neighbours.
const POINTS: usize = 4000;

/// The most channels that a series tells apart; the meters of one machine have far fewer.
const CHANNELS: usize = 24;

/// Means over equal numbers of readings, in order of time.
#[derive(Debug, Clone, Default)]
pub struct Series {
    channels: Vec<String>,
    points: Vec<Point>,
    /// How many readings one finished point holds.
    per_point: u32,
}

#[derive(Debug, Clone, Default)]
struct Point {
    from: f64,
    to: f64,
    readings: u32,
    sums: Vec<(f64, u32)>,
}

/// A series as the page draws it: a column of times, and a column of means per channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Columns {
    /// Unix seconds: the middle of what each point is the mean of.
    pub ts: Vec<f64>,
    /// The channels by name; null where a channel had no reading.
    pub channels: Vec<(String, Vec<Option<f64>>)>,
}

impl Series {
    /// Adds the readings of one moment.
    pub fn add<'a>(&mut self, ts: f64, readings: impl IntoIterator<Item = (&'a str, f64)>) {
        if !moment(ts) {
            return;
        }
        self.per_point = self.per_point.max(1);
        let fresh = self.points.last().is_none_or(|point| point.readings >= self.per_point);
        if fresh {
            if self.points.len() == POINTS {
                self.halve();
            }
            self.points.push(Point { from: ts, to: ts, ..Point::default() });
        }
        let channels = &mut self.channels;
        let Some(point) = self.points.last_mut() else { return };
        point.from = point.from.min(ts);
        point.to = point.to.max(ts);
        point.readings += 1;
        for (name, value) in readings {
            // Watts and bytes alike: no machine has more of either.
            if !possible(Unit::Bytes, value) {
                continue;
            }
            let at = match channels.iter().position(|channel| channel == name) {
                Some(at) => at,
                None if channels.len() < CHANNELS => {
                    channels.push(name.to_owned());
                    channels.len() - 1
                }
                None => continue,
            };
            if point.sums.len() <= at {
                point.sums.resize(at + 1, (0.0, 0));
            }
            point.sums[at].0 += value;
            point.sums[at].1 += 1;
        }
    }

    /// Joins neighbours, so that the points are half as many.
    fn halve(&mut self) {
        let old = std::mem::take(&mut self.points);
        let mut old = old.into_iter();
        while let Some(mut point) = old.next() {
            if let Some(next) = old.next() {
                point.from = point.from.min(next.from);
                point.to = point.to.max(next.to);
                point.readings += next.readings;
                point.sums.resize(point.sums.len().max(next.sums.len()), (0.0, 0));
                for (mine, theirs) in point.sums.iter_mut().zip(next.sums) {
                    mine.0 += theirs.0;
                    mine.1 += theirs.1;
                }
            }
            self.points.push(point);
        }
        self.per_point *= 2;
    }

    /// The points, in order of time.
    pub fn columns(mut self) -> Columns {
        self.points.sort_by(|a, b| a.from.total_cmp(&b.from));
        let channels = self.channels.into_iter().map(|name| (name, Vec::new())).collect();
        let mut columns = Columns { ts: Vec::new(), channels };
        for point in self.points {
            columns.ts.push((point.from + point.to) / 2.0);
            for (at, (_, values)) in columns.channels.iter_mut().enumerate() {
                let sum = point.sums.get(at).copied().filter(|(_, n)| *n > 0);
                values.push(sum.map(|(sum, n)| sum / f64::from(n)));
            }
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_readings_becomes_a_bounded_number_of_points_with_the_same_mean() {
        let mut series = Series::default();
        let n = 3 * POINTS + 17;
        for i in 0..n {
            series.add(i as f64, [("gpu", i as f64)]);
        }
        let columns = series.columns();
        assert!(columns.ts.len() <= POINTS && columns.ts.len() > POINTS / 4, "{}", columns.ts.len());
        for (ts, value) in columns.ts.iter().zip(&columns.channels[0].1) {
            assert!((ts - value.unwrap()).abs() < 1e-9);
        }
    }

    #[test]
    fn a_channel_without_a_reading_is_null_there() {
        let mut series = Series::default();
        series.add(2.0, [("cpu", 1.0)]);
        series.add(1.0, [("gpu", 7.0), ("cpu", f64::NAN)]);
        let columns = series.columns();
        assert_eq!(columns.ts, [1.0, 2.0]);
        assert_eq!(columns.channels, [("cpu".into(), vec![None, Some(1.0)]), ("gpu".into(), vec![Some(7.0), None])]);
    }
}
