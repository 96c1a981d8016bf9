//! Percentiles of waiting times.

use std::time::Duration;

/// Times sorted into buckets that grow by a twentieth: a percentile is right to 5 %, and a million samples cost no
/// more memory than ten.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    buckets: Vec<u64>,
    count: u64,
    max: Duration,
}

/// A bucket's upper bound over its lower.
const GROWTH: f64 = 1.05;

impl Latency {
    /// One more sample.
    pub fn record(&mut self, time: Duration) {
        let micros = time.as_secs_f64() * 1e6;
        // Below a microsecond there is nothing to tell apart.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let bucket = micros.max(1.0).log(GROWTH).ceil() as usize;
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max = self.max.max(time);
    }

    /// How many samples there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    #[must_use]
    pub const fn max(&self) -> Duration {
        self.max
    }

    /// The time that this share (0.99) of the samples did not exceed; zero without samples.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let wanted = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, &samples) in self.buckets.iter().enumerate() {
            seen += samples;
            if seen >= wanted {
                #[allow(clippy::cast_precision_loss)]
                let upper = GROWTH.powf(bucket as f64) / 1e6;
                return Duration::from_secs_f64(upper).min(self.max);
            }
        }
        self.max
    }

    /// Adds another one's samples.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_a_twentieth() {
        let mut latency = Latency::default();
        for millis in 1..=1000 {
            latency.record(Duration::from_millis(millis));
        }
        for (share, millis) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = latency.percentile(share).as_secs_f64() * 1e3;
            assert!((found / millis - 1.0).abs() < 0.06, "p{share}: {found} ms instead of {millis}");
        }
        assert_eq!(latency.max(), Duration::from_secs(1));
    }

    #[test]
    fn no_samples_is_zero() {
        assert_eq!(Latency::default().percentile(0.99), Duration::ZERO);
    }

    #[test]
    fn merging_is_recording_both() {
        let (mut a, mut b) = (Latency::default(), Latency::default());
        a.record(Duration::from_millis(1));
        b.record(Duration::from_millis(9));
        a.merge(&b);
        assert_eq!((a.count(), a.max()), (2, Duration::from_millis(9)));
    }
}
