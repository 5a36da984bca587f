//! The slow way to share energy: every moment of a claim is looked at, and all claims at each.

use super::*;

/// A part of a claim, and what share of the power it claims.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    from: f64,
    to: f64,
    share: f64,
}

/// The pieces of a claim between any two moments at which anything changes.
pub fn pieces(claims: &[Claim], claim: &Claim, attribution: Attribution) -> Vec<Piece> {
    let flows = || claims.iter().filter_map(|claim| claim.flow);
    let mut edges: Vec<f64> = claims.iter().flat_map(|claim| [claim.from, claim.to]).collect();
    edges.extend(flows().flat_map(|flow| [flow.from, flow.to]));
    edges.retain(|at| (claim.from..=claim.to).contains(at));
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let piece = |edge: &[f64]| {
        let at = edge[0];
        let holds = |flow: &TokenFlow| flow.from <= at && at < flow.to;
        let equal = 1.0 / claims.iter().filter(|claim| claim.from <= at && at < claim.to).count() as f64;
        let rate: f64 = flows().filter(holds).map(|flow| flow.rate).sum();
        let share = match attribution {
            Attribution::Tokens if rate > 0.0 => claim.flow.filter(holds).map_or(0.0, |flow| flow.rate / rate),
            _ => equal,
        };
        Piece { from: at, to: edge[1], share }
    };
    edges.windows(2).map(piece).collect()
}

/// What the readings say of pieces, which follow each other without a gap.
pub fn estimate(series: &PowerSeries, pieces: &[Piece]) -> Option<Estimate> {
    let (a, b) = (pieces.first()?.from, pieces.last()?.to);
    let mut sum = Estimate::NOTHING;
    for segment in (0..series.readings.len()).filter_map(|i| series.segment(i)) {
        let inside = segment.from >= a - EDGE && segment.to <= b + EDGE;
        let (mut least, mut most, mut seen) = (f64::INFINITY, 0.0_f64, 0.0);
        for piece in pieces {
            let (from, to) = (piece.from.max(segment.from), piece.to.min(segment.to));
            if to <= from {
                continue;
            }
            let joules = segment.energy(from, to);
            seen += to - from;
            sum.energy += joules * piece.share;
            sum.gross += joules;
            sum.share_seconds += (to - from) * piece.share;
            (least, most) = (least.min(piece.share), most.max(piece.share));
            if segment.ramp {
                sum.lower += segment.ends.0.min(segment.ends.1) * (to - from) * piece.share;
                sum.upper += segment.ends.0.max(segment.ends.1) * (to - from) * piece.share;
            }
        }
        sum.covered += seen;
        if seen <= EDGE {
            continue;
        }
        if !segment.ramp {
            sum.lower += if inside { segment.least * least } else { 0.0 };
            sum.upper += segment.most * most;
        }
        sum.touched += segment.to - segment.from;
        sum.samples += 1;
        sum.contained += u64::from(inside);
        sum.min = sum.min.min(segment.ends.0.min(segment.ends.1));
        sum.max = sum.max.max(segment.ends.0.max(segment.ends.1));
    }
    sum.lower = sum.lower.min(sum.energy);
    sum.upper = sum.upper.max(sum.energy);
    (sum.samples > 0).then_some(sum)
}
