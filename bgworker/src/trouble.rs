//! Work that failed: it pauses for itself alone, and the log is not flooded.

use crate::process::Failure;
use crate::schedule::back_off;
use std::collections::BTreeMap;
use std::time::Duration;

/// The pause after the first failure, and the longest: those of pgqd.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The same complaint is repeated in the log this often.
const LOG_EVERY: Duration = Duration::from_secs(600);

/// What has not been tried for so long (a dropped queue) is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// The work that failed the last time it was tried.
#[derive(Debug)]
pub struct Troubles<W>(BTreeMap<W, Trouble>);

#[derive(Debug)]
struct Trouble {
    failures: u32,
    again_at: Duration,
    logged: Failure,
    logged_at: Duration,
}

impl<W> Default for Troubles<W> {
    fn default() -> Self {
        Troubles(BTreeMap::new())
    }
}

impl<W: Ord + std::fmt::Display> Troubles<W> {
    /// Whether this work may be tried now.
    pub fn allow(&self, work: &W, now: Duration) -> bool {
        self.0.get(work).is_none_or(|trouble| trouble.again_at <= now)
    }

    /// Whether all work has succeeded when it was tried last.
    pub fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Remembers a failure, and says what to log, if it is time to.
    pub fn failed(&mut self, work: W, now: Duration, failure: Failure) -> Option<String> {
        self.0.retain(|_, trouble| now < trouble.again_at.saturating_add(FORGET_AFTER));
        let name = work.to_string();
        let trouble = self.0.entry(work).or_insert_with(|| Trouble {
            failures: 0,
            again_at: now,
            logged: Failure(String::new()),
            logged_at: now,
        });
        trouble.failures = trouble.failures.saturating_add(1);
        let pause = back_off(trouble.failures, FIRST_PAUSE, LONGEST_PAUSE);
        trouble.again_at = now.saturating_add(pause);
        let news = trouble.logged != failure || now >= trouble.logged_at.saturating_add(LOG_EVERY);
        news.then(|| {
            let line = format!(
                "{name} failed ({} in a row), next attempt in {} s: {failure}",
                trouble.failures,
                pause.as_secs()
            );
            trouble.logged = failure;
            trouble.logged_at = now;
            line
        })
    }

    /// Forgets the failures of work that has succeeded, and says what to log, if there were any.
    pub fn succeeded(&mut self, work: &W) -> Option<String> {
        let trouble = self.0.remove(work)?;
        Some(format!("{work} works again; failures before: {}", trouble.failures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn because(reason: &str) -> Failure {
        Failure(reason.to_owned())
    }

    #[test]
    fn only_the_work_that_failed_pauses() {
        let mut troubles = Troubles::default();
        troubles.failed("a", s(100), because("broken"));
        assert!(!troubles.allow(&"a", s(109)));
        assert!(troubles.allow(&"a", s(110)));
        assert!(troubles.allow(&"b", s(100)));
    }

    #[test]
    fn the_same_complaint_is_logged_once_and_then_every_ten_minutes() {
        let mut troubles = Troubles::default();
        let logged: Vec<u64> = (0..1300)
            .step_by(10)
            .filter(|&now| troubles.failed("a", s(now), because("broken")).is_some())
            .collect();
        assert_eq!(logged, [0, 600, 1200]);
    }

    #[test]
    fn another_complaint_is_logged_at_once() {
        let mut troubles = Troubles::default();
        assert!(troubles.failed("a", s(0), because("broken")).is_some());
        assert_eq!(
            troubles.failed("a", s(10), because("worse")).as_deref(),
            Some("a failed (2 in a row), next attempt in 20 s: worse")
        );
    }

    #[test]
    fn success_ends_the_trouble_and_is_told() {
        let mut troubles = Troubles::default();
        troubles.failed("a", s(0), because("broken"));
        assert_eq!(troubles.succeeded(&"a").as_deref(), Some("a works again; failures before: 1"));
        assert!(troubles.allow(&"a", s(1)));
        assert_eq!(troubles.succeeded(&"a"), None);
    }

    #[test]
    fn what_is_gone_for_long_is_forgotten() {
        let mut troubles = Troubles::default();
        troubles.failed("dropped", s(0), because("broken"));
        troubles.failed("other", s(4000), because("broken"));
        assert_eq!(troubles.0.len(), 1);
    }
}
