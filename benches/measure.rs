//! How things are compared: in pairs, one right after the other, and by the median of the pairs' ratios.
//!
//! The speed of a shared machine drifts by a third within minutes. Two figures taken a minute apart say little;
//! two taken back to back, many times, say how they relate.

use std::time::{Duration, Instant};

/// The counted pairs of each row.
pub const PAIRS: usize = 9;

/// What came out of the pairs of one row.
pub struct Pairs {
    /// Median of our side.
    pub ours: f64,
    /// Median of the side it is compared with.
    pub other: f64,
    /// Median, least and greatest of ours / other.
    pub ratio: [f64; 3],
}

/// Takes one uncounted and then [`PAIRS`] counted pairs; who goes first alternates.
pub fn pairs(mut ours: impl FnMut() -> f64, mut other: impl FnMut() -> f64) -> Pairs {
    ours();
    other();
    let taken: Vec<(f64, f64)> = (0..PAIRS)
        .map(|round| {
            if round % 2 == 0 {
                let first = ours();
                (first, other())
            } else {
                let first = other();
                (ours(), first)
            }
        })
        .collect();
    let ratios = sorted(taken.iter().map(|(ours, other)| ours / other));
    Pairs {
        ours: median(&sorted(taken.iter().map(|pair| pair.0))),
        other: median(&sorted(taken.iter().map(|pair| pair.1))),
        ratio: [median(&ratios), ratios[0], ratios[ratios.len() - 1]],
    }
}

/// What a work takes more with something than without it: both are measured each time, back to back, taking turns in
/// who goes first.
pub fn added(mut with: impl FnMut() -> f64, mut without: impl FnMut() -> f64) -> impl FnMut() -> f64 {
    let mut with_first = false;
    move || {
        with_first = !with_first;
        if with_first {
            let first = with();
            first - without()
        } else {
            let first = without();
            with() - first
        }
    }
}

/// Seconds that the work takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// The same as a duration, for what is shown by itself.
pub fn duration(work: impl FnOnce()) -> Duration {
    Duration::from_secs_f64(seconds(work))
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}
