//! What a process takes while it does something.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Memory of a process that it shares with nobody, in kilobytes.
pub fn private_kilobytes(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// The most of it that was seen during some work, looking every 5 ms.
pub fn most_private_kilobytes(pid: i32, work: impl FnOnce()) -> u64 {
    std::thread::scope(|scope| {
        // Dropped at the end of the work, be it a panic.
        let (at_work, over) = mpsc::channel::<()>();
        let watcher = scope.spawn(move || {
            let mut most = 0;
            while over.recv_timeout(Duration::from_millis(5)) == Err(RecvTimeoutError::Timeout) {
                most = most.max(private_kilobytes(pid));
            }
            most
        });
        work();
        drop(at_work);
        watcher.join().expect("it only looks")
    })
}
