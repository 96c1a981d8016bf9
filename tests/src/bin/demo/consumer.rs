//! A consumer at work in a thread of its own.

use std::collections::HashSet;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use pgq_tests::latency::Latency;
use pgq_tests::queue::{Consumer, Event};
use postgres::{Client, NoTls};

use crate::replica::Replica;
use crate::workload::{HISTORY, QUEUE};

/// Between two looks at an empty queue.
const POLL: Duration = Duration::from_millis(10);

/// What a consumer has got so far.
#[derive(Debug, Default)]
pub struct Received {
    /// Its name.
    pub name: String,
    /// The bank, by what it was told.
    pub replica: Replica,
    /// The ids of the events.
    ids: HashSet<i64>,
    /// How many events came that had come before.
    pub doubled: usize,
    /// How many did not fit what had come before.
    pub alien: usize,
    /// How many batches held events.
    pub batches: usize,
    /// The size of the last of them.
    pub last_batch: usize,
    /// The size of the largest.
    pub largest_batch: usize,
    /// From the begin of each transaction to its receipt, since the screen looked last.
    pub recent: Latency,
    /// The same, all the time.
    pub overall: Latency,
}

/// The thread.
#[derive(Debug)]
pub struct Runner {
    name: String,
    received: Arc<Mutex<Received>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Runner {
    /// Registers the consumer and lets it run. One that pauses asks for batches that span as long as its pause, so it
    /// handles more at a time instead of falling behind for ever.
    pub fn start(name: &str, pause: Duration, config: postgres::Config) -> Result<Self, postgres::Error> {
        let mut client = config.connect(NoTls)?;
        let consumer = Consumer::new(QUEUE, name);
        consumer.register(&mut client)?;
        let received = Arc::new(Mutex::new(Received { name: name.to_owned(), ..Received::default() }));
        let stop = Arc::new(AtomicBool::new(false));
        let span = (!pause.is_zero()).then(|| format!("{} ms", pause.as_millis()));
        let (mine, stopped) = (Arc::clone(&received), Arc::clone(&stop));
        let consumer_name = name.to_owned();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let got = one_batch(&mut client, &consumer, span.as_deref(), &mine)
                    .map_err(|error| format!("{consumer_name}: {error:?}"))?;
                std::thread::sleep(if got { pause.max(Duration::from_millis(1)) } else { POLL });
            }
            Ok(())
        });
        Ok(Self { name: name.to_owned(), received, stop, thread: Some(thread) })
    }

    /// The consumer's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the thread has given up.
    pub fn broken(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// What it has got so far.
    pub fn state(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap()
    }

    /// Stops the thread, takes what is still there up to the newest tick, and gives the result.
    pub fn finish(mut self, client: &mut Client, newest_tick: i64) -> Result<Received, Box<dyn Error>> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| format!("the consumer {} panicked", self.name))??;
        }
        let consumer = Consumer::new(QUEUE, &self.name);
        while consumer.position(client)? < newest_tick {
            one_batch(client, &consumer, None, &self.received)?;
        }
        Ok(std::mem::take(&mut *self.state()))
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Not waited for: it may be pausing, and its connection ends with the server.
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Handles the next batch, if there is one; whether it held events.
fn one_batch(
    client: &mut Client,
    consumer: &Consumer,
    span: Option<&str>,
    received: &Mutex<Received>,
) -> Result<bool, postgres::Error> {
    let batch = match span {
        Some(span) => consumer.next_batch_of(client, span)?,
        None => consumer.next_batch(client)?,
    };
    let Some(batch) = batch else { return Ok(false) };
    let events = batch.events(client)?;
    received.lock().unwrap().take(&events);
    batch.finish(client)?;
    Ok(!events.is_empty())
}

impl Received {
    /// How many different events have come.
    pub fn events(&self) -> usize {
        self.ids.len()
    }

    /// How many transactions of the producers have come.
    pub fn transactions(&self) -> usize {
        self.replica.len_of(HISTORY)
    }

    fn take(&mut self, events: &[Event]) {
        let now = SystemTime::now();
        for event in events {
            if !self.ids.insert(event.id) {
                self.doubled += 1;
                continue;
            }
            let before = self.transactions();
            if self.replica.apply(event).is_none() {
                self.alien += 1;
            }
            if self.transactions() > before {
                let latency = now.duration_since(event.time).unwrap_or_default();
                self.recent.record(latency);
                self.overall.record(latency);
            }
        }
        if !events.is_empty() {
            self.batches += 1;
            self.last_batch = events.len();
            self.largest_batch = self.largest_batch.max(events.len());
        }
    }
}
