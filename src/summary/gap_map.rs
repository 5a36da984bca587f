//! Where in an answer the gaps between chunks are long: counts over the place of the chunk and the length of the gap.
//!
//! It is made of streams that were kept chunk by chunk (`--save-stream`), and is as large after a million of them as
//! after one.

/// How many classes of places there are; they grow wider as answers grow longer.
const PLACES: usize = 64;

/// How many classes of lengths: eight to a power of ten, from 0.1 ms to 1000 s.
const LENGTHS: usize = 56;
const PER_POWER: f64 = 8.0;

/// The lower bound of the first class of lengths, in seconds.
const SHORTEST: f64 = 1e-4;

/// Counts of gaps by place and length.
#[derive(Debug, Clone, PartialEq)]
pub struct GapMap {
    /// How many chunks one class of places holds: the first class has the gaps before chunks 1 to this, counted from 0.
    pub chunks_per_place: u64,
    /// The streams that were counted.
    pub streams: u64,
    /// Gaps of no length: chunks that came in one read.
    pub together: u64,
    /// By place, then by length: the counts.
    counts: Vec<[u32; LENGTHS]>,
}

/// What follows each chunk of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Steps(Vec<Step>);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// A gap of this class of lengths.
    Long(u8),
    /// A gap of no length.
    Together,
    /// No gap: the end, a clock that went back, a number that is none.
    None,
}

impl Steps {
    /// The steps of a stream; the times are seconds from the start of the request.
    pub fn of(times: impl Iterator<Item = f64>) -> Self {
        let mut times = times.peekable();
        let mut steps = Vec::new();
        while let Some(time) = times.next() {
            steps.push(times.peek().map_or(Step::None, |next| Step::of(next - time)));
        }
        Self(steps)
    }
}

impl Step {
    fn of(gap: f64) -> Self {
        if !(gap.is_finite() && gap >= 0.0) {
            return Step::None;
        }
        if gap == 0.0 {
            return Step::Together;
        }
        Step::Long(((gap / SHORTEST).log10() * PER_POWER).floor().clamp(0.0, (LENGTHS - 1) as f64) as u8)
    }
}

impl Default for GapMap {
    fn default() -> Self {
        Self { chunks_per_place: 1, streams: 0, together: 0, counts: Vec::new() }
    }
}

impl GapMap {
    /// Counts the gaps of one stream.
    pub fn add(&mut self, steps: &Steps) {
        for (place, step) in (0..).zip(&steps.0) {
            match step {
                Step::Long(class) => self.count(place, usize::from(*class)),
                Step::Together => self.together += 1,
                Step::None => {}
            }
        }
        self.streams += u64::from(!steps.0.is_empty());
    }

    fn count(&mut self, place: u64, class: usize) {
        while place / self.chunks_per_place >= PLACES as u64 {
            self.widen();
        }
        let at = (place / self.chunks_per_place) as usize;
        if self.counts.len() <= at {
            self.counts.resize(at + 1, [0; LENGTHS]);
        }
        let count = &mut self.counts[at][class];
        *count = count.saturating_add(1);
    }

    /// Joins neighbours, so that a class of places holds twice as many.
    fn widen(&mut self) {
        self.chunks_per_place *= 2;
        self.counts = self.counts.chunks(2).map(|pair| pair.iter().fold([0; LENGTHS], sum)).collect();
    }

    /// The classes that hold anything: the place's number, the bounds of the length in seconds, the count.
    pub fn cells(&self) -> impl Iterator<Item = (usize, [f64; 2], u32)> {
        let bound = |class: usize| SHORTEST * 10_f64.powf(class as f64 / PER_POWER);
        self.counts.iter().enumerate().flat_map(move |(place, lengths)| {
            let some = lengths.iter().enumerate().filter(|(_, n)| **n > 0);
            some.map(move |(class, n)| (place, [bound(class), bound(class + 1)], *n))
        })
    }
}

fn sum(mut a: [u32; LENGTHS], b: &[u32; LENGTHS]) -> [u32; LENGTHS] {
    a.iter_mut().zip(b).for_each(|(a, b)| *a = a.saturating_add(*b));
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(map: &GapMap) -> u32 {
        map.cells().map(|(.., n)| n).sum()
    }

    #[test]
    fn a_gap_is_counted_at_its_place_and_in_the_class_of_its_length() {
        let mut map = GapMap::default();
        map.add(&Steps::of([0.5, 0.51, 0.51, 2.51].into_iter()));
        assert_eq!((map.streams, map.together), (1, 1));
        let cells: Vec<_> = map.cells().collect();
        for ((place, [low, high], n), (expect, gap)) in cells.iter().zip([(0, 0.01), (2, 2.0)]) {
            assert_eq!((*place, *n), (expect, 1));
            assert!(*low <= gap * 1.000_001 && gap <= *high * 1.000_001, "{low} {gap} {high}");
        }
        assert_eq!(cells.len(), 2);
    }

    #[test]
    fn an_answer_of_any_length_and_gaps_of_any_length_take_the_same_room() {
        let mut map = GapMap::default();
        map.add(&Steps::of((0..10_000).map(|i| f64::from(i) * 0.02)));
        assert_eq!((map.chunks_per_place, total(&map)), (256, 9999));
        assert!(map.cells().all(|(place, ..)| place < PLACES));
        map.add(&Steps::of([0.0, 1e-9, 1e6].into_iter()));
        assert_eq!(total(&map), 10_001);
    }

    #[test]
    fn times_that_are_none_and_clocks_that_go_back_are_no_gaps() {
        let mut map = GapMap::default();
        map.add(&Steps::of([1.0, f64::NAN, 2.0, 1.0].into_iter()));
        map.add(&Steps::of(std::iter::empty()));
        assert_eq!((map.streams, total(&map)), (1, 0));
    }
}
