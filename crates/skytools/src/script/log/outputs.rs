//! Where records go, each way with its level. What fails there never reaches the job.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Map;
use tracing::subscriber::NoSubscriber;

use super::record::{Level, Origin, Place, Record};
use crate::{Error, Result};

/// How many records wait for a slow handler before further ones are lost.
const WAITING: usize = 1000;
/// How long the end of a program waits for what its handlers still have to write.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often standard error hears of a handler that fails.
const COMPLAINT: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// Writes records somewhere.
pub(super) trait Handler: Send {
    /// Writes one. An error means that it is lost.
    fn handle(&mut self, record: &Record) -> Result<()>;

    /// Called about once a second, where [`Output::on_a_thread`] runs it.
    fn each_second(&mut self) -> Result<()> {
        Ok(())
    }

    /// Opens anew what may have been moved away.
    fn reopen(&mut self) {}

    /// Writes what it has held back: nothing will follow.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// All handlers of a program.
#[derive(Default)]
pub(super) struct Outputs(Vec<Output>);

impl Outputs {
    pub(super) fn new(outputs: Vec<Output>) -> Self {
        Self(outputs)
    }

    pub(super) fn write(&self, record: Record) {
        let record = Arc::new(record);
        for output in self.0.iter().filter(|output| output.level.is_none_or(|level| record.level >= level)) {
            match &output.way {
                Way::Here(handler) => locked(handler).handle(&record),
                Way::Thread(background) => background.send(Message::Record(Arc::clone(&record))),
            }
        }
    }

    pub(super) fn reopen(&self) {
        for output in &self.0 {
            match &output.way {
                Way::Here(handler) => locked(handler).handler.reopen(),
                Way::Thread(background) => background.send(Message::Reopen),
            }
        }
    }

    /// Lets all handlers end their work. What is logged later is lost where a thread had to write it.
    pub(super) fn close(&self) {
        let backgrounds = self.0.iter().filter_map(|output| match &output.way {
            Way::Thread(background) => Some(background),
            Way::Here(_) => None,
        });
        let until = Instant::now() + FAREWELL;
        // All are told before the first is waited for.
        let ending: Vec<&Background> =
            backgrounds.inspect(|background| drop(locked(&background.sender).take())).collect();
        for background in ending {
            let rest = until.saturating_duration_since(Instant::now());
            let _ = locked(&background.ended).recv_timeout(rest);
        }
    }
}

/// A handler, and from which level on it gets records.
pub(super) struct Output {
    level: Option<Level>,
    way: Way,
}

enum Way {
    Here(Mutex<Watched>),
    Thread(Background),
}

impl Output {
    /// A handler that is quick, and is called where the event happens. `name` is how complaints call it.
    pub(super) fn here(name: &str, origin: &Arc<Origin>, handler: impl Handler + 'static) -> Self {
        Self { level: None, way: Way::Here(Mutex::new(Watched::new(name, origin, Box::new(handler)))) }
    }

    /// A handler that may have to wait for others: it gets a thread of its own.
    pub(super) fn on_a_thread(
        name: &str,
        origin: &Arc<Origin>,
        handler: impl Handler + 'static,
    ) -> Result<Self> {
        let watched = Watched::new(name, origin, Box::new(handler));
        Ok(Self { level: None, way: Way::Thread(Background::start(watched)?) })
    }

    /// Only for what is at least this important.
    pub(super) const fn limited_to(mut self, level: Option<Level>) -> Self {
        self.level = level;
        self
    }
}

/// A handler whose failures are counted and, once in a while, told.
struct Watched {
    name: String,
    origin: Arc<Origin>,
    handler: Box<dyn Handler>,
    lost: u64,
    complained: Option<Instant>,
}

impl Watched {
    fn new(name: &str, origin: &Arc<Origin>, handler: Box<dyn Handler>) -> Self {
        Self { name: name.to_owned(), origin: Arc::clone(origin), handler, lost: 0, complained: None }
    }

    /// Writes the record, and before it how many were lost, so that no log is silent about its gaps.
    fn handle(&mut self, record: &Record) {
        let written = match self.lost {
            0 => self.handler.handle(record),
            lost => self.handler.handle(&self.confession(lost)).and_then(|()| {
                self.lost = 0;
                self.handler.handle(record)
            }),
        };
        if let Err(failure) = written {
            self.lost += 1;
            self.complain(&failure);
        }
    }

    fn confession(&self, lost: u64) -> Record {
        Record {
            time: Timestamp::now(),
            level: Level::Warning,
            origin: Arc::clone(&self.origin),
            message: format!("log {}: {lost} records could not be written and are lost", self.name),
            fields: Map::new(),
            place: Place { module: module_path!(), file: file!(), line: line!() },
        }
    }

    /// Tells standard error, unless it has heard of this handler just now.
    fn complain(&mut self, failure: &Error) {
        if self.complained.is_none_or(|last| last.elapsed() >= COMPLAINT) {
            self.complained = Some(Instant::now());
            // Nobody is left to hear that this failed, too.
            let _ = writeln!(std::io::stderr(), "{}: log {}: {failure}", self.origin.job, self.name);
        }
    }
}

enum Message {
    Record(Arc<Record>),
    Reopen,
}

/// A thread that calls a handler.
struct Background {
    sender: Mutex<Option<SyncSender<Message>>>,
    ended: Mutex<Receiver<()>>,
    overflown: Arc<AtomicU64>,
}

impl Background {
    fn start(mut watched: Watched) -> Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let (end, ended) = sync_channel(1);
        let overflown = Arc::new(AtomicU64::new(0));
        let missed = Arc::clone(&overflown);
        thread::Builder::new()
            .name(format!("log {}", watched.name))
            .spawn(move || {
                // What a handler logs would come back to it.
                tracing::subscriber::with_default(NoSubscriber::default(), || {
                    watched.serve(&receiver, &missed)
                });
                let _ = end.send(());
            })
            .map_err(Error::io("start a thread for the log"))?;
        Ok(Self { sender: Mutex::new(Some(sender)), ended: Mutex::new(ended), overflown })
    }

    fn send(&self, message: Message) {
        if let Some(sender) = &*locked(&self.sender)
            && sender.try_send(message).is_err()
        {
            self.overflown.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Watched {
    fn serve(&mut self, messages: &Receiver<Message>, overflown: &AtomicU64) {
        let mut rested = Instant::now();
        loop {
            let message = messages.recv_timeout(SECOND);
            self.lost += overflown.swap(0, Ordering::Relaxed);
            match message {
                Ok(Message::Record(record)) => self.handle(&record),
                Ok(Message::Reopen) => self.handler.reopen(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if rested.elapsed() >= SECOND {
                rested = Instant::now();
                let done = self.handler.each_second();
                self.tell(done);
            }
        }
        let done = self.handler.close();
        self.tell(done);
    }

    fn tell(&mut self, done: Result<()>) {
        if let Err(failure) = done {
            self.complain(&failure);
        }
    }
}

/// A lock whose holder has panicked is as good as any: handlers keep no promise across calls.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
