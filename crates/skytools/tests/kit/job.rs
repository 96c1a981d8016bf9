//! A job in a thread of the test: what a program would do, with a handler of the test's own.

use std::thread::JoinHandle;

use pgq_tests::client::wait_until;
use skytools::consumer::{CONSUMER_KEYS, COOP_KEYS, FAILED_EVENT_KEYS};
use skytools::script::{Config, Job, Key, Kind, Script, Stop};
use skytools::{Error, Result};

/// The key of the queue's database, and what else tests may set.
const KEYS: &[Key] = &[Key::required("src_db", Kind::Connection, "The database with the queue.")];

/// A job at work. It is stopped, after its round, when this goes out of scope.
pub struct Worker {
    stop: Stop,
    thread: Option<JoinHandle<Result<u8>>>,
}

/// A configuration of these keys, and quick to come back to its work.
pub fn config(source: &str, pairs: &[(&str, &str)]) -> Config {
    let usual = [
        ("src_db", source),
        ("consumer_name", "worker"),
        ("loop_delay", "0.02"),
        ("exception_sleep", "0.02"),
    ];
    let pairs = usual.into_iter().chain(pairs.iter().copied());
    Config::from_pairs("test", &[KEYS, CONSUMER_KEYS, FAILED_EVENT_KEYS, COOP_KEYS], pairs).unwrap()
}

impl Worker {
    /// Starts the job that `make` makes.
    pub fn start<J: Job>(
        config: Config,
        make: impl FnOnce(&mut Script) -> Result<J> + Send + 'static,
    ) -> Self {
        let mut script = Script::new(config);
        let stop = script.stop();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            runtime.map_err(Error::other)?.block_on(async {
                let mut job = make(&mut script)?;
                script.run(&mut job).await
            })
        });
        Self { stop, thread: Some(thread) }
    }

    /// Waits for its end.
    pub fn end(mut self) -> Result<u8> {
        let thread = self.thread.take().unwrap();
        wait_until("the job to end", || thread.is_finished());
        thread.join().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.between_events();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
