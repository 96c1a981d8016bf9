//! The daemon's work, done by a thread: for servers without a ticker of their own (the original's, or ours when it is
//! not preloaded), and for tests that want ticks and rotations far more often than anybody else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use postgres::{Client, Error, NoTls};

use crate::client::connection_lost;

/// One round of maintenance by the protocol that daemons follow: the rows of `pgq.maint_operations()` in order, each in
/// a transaction of its own, a function again while it says that there is more to do.
pub fn maintain(client: &mut Client) -> Result<(), Error> {
    let operations = client.query("select func_name, func_arg from pgq.maint_operations()", &[])?;
    for operation in operations {
        let (name, argument): (String, Option<String>) = (operation.get(0), operation.get(1));
        if name.eq_ignore_ascii_case("vacuum") || name.eq_ignore_ascii_case("vacuum analyze") {
            client.batch_execute(&format!("{name} {}", argument.unwrap_or_default()))?;
            continue;
        }
        loop {
            let more: i32 = match &argument {
                Some(argument) => client.query_one(&format!("select {name}($1)"), &[argument])?,
                None => client.query_one(&format!("select {name}()"), &[])?,
            }
            .get(0);
            if more == 0 {
                break;
            }
        }
    }
    Ok(())
}

/// Puts due retries back, until none is left.
pub fn retry(client: &mut Client) -> Result<(), Error> {
    while client.query_one("select pgq.maint_retry_events()", &[])?.get::<_, i32>(0) > 0 {}
    Ok(())
}

/// How often the daemon does what.
#[derive(Clone, Copy, Debug)]
pub struct Periods {
    /// Between calls of `pgq.ticker()`.
    pub ticker: Duration,
    /// Between rounds of maintenance and retries.
    pub maintenance: Duration,
}

/// A thread that ticks and maintains one database until dropped. It outlives crashes of the server.
#[derive(Debug)]
pub struct Daemon {
    stop: Arc<AtomicBool>,
    refusal: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Starts it.
    #[must_use]
    pub fn start(config: postgres::Config, periods: Periods) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let refusal = Arc::new(Mutex::new(None));
        let (stopped, refused) = (Arc::clone(&stop), Arc::clone(&refusal));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // Whatever ended the session (a crash made on purpose, a function that failed): begin anew, as a
                // daemon does.
                if let Err(error) = serve(&config, periods, &stopped)
                    && !connection_lost(&error)
                {
                    *refused.lock().unwrap() = Some(format!("{error:?}"));
                }
                std::thread::sleep(periods.ticker);
            }
        });
        Self { stop, refusal, thread: Some(thread) }
    }

    /// The last error that was not the server's going away.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap().clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(config: &postgres::Config, periods: Periods, stop: &AtomicBool) -> Result<(), Error> {
    let mut client = config.connect(NoTls)?;
    let mut maintained = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        client.execute("select pgq.ticker()", &[])?;
        if maintained.elapsed() >= periods.maintenance {
            retry(&mut client)?;
            maintain(&mut client)?;
            maintained = Instant::now();
        }
        std::thread::sleep(periods.ticker);
    }
    Ok(())
}
