//! What the process is told from outside.
//!
//! ```text
//! SIGHUP    open the log anew; read the configuration again, before the next round
//! SIGINT    end after this round; again, more than a second later: before the next event; again, within a second of
//!           the last: at once, with status 1
//! SIGTERM   end at once, and die of it
//! ```
//!
//! At once means that the work is dropped: connections close, and their servers roll back. Listening has a thread of
//! its own, so a job that hogs the runtime does not keep the process alive: after [`LAST_MOMENT`] the thread ends it.
//! That thread never waits for the log, which is as slow as whoever reads it.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc::c_int;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals as SignalsInfo;
use signal_hook::low_level::emulate_default_handler;
use tracing::info;

use crate::script::log::Log;
use crate::script::pidfile::PidFile;
use crate::script::{Reload, Stop};
use crate::{Error, Result};

/// Two interrupts that come closer are an impatient one.
const IMPATIENT: Duration = Duration::from_secs(1);

/// What dropping the work may take.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// How a process ends whose work was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Status(u8),
    Killed(c_int),
}

impl Fate {
    /// Ends the process.
    pub fn meet(self) -> ! {
        let status = match self {
            Self::Status(status) => i32::from(status),
            Self::Killed(signal) => {
                // The kernel keeps the first process of a container from dying of its own signals.
                if std::process::id() != 1 {
                    let _ = emulate_default_handler(signal);
                }
                128 + signal
            }
        };
        std::process::exit(status)
    }
}

/// Signals that no longer end the process by themselves.
#[derive(Debug)]
pub struct Signals(SignalsInfo);

impl Signals {
    /// From now on signals are kept until somebody listens.
    pub fn keep() -> Result<Self> {
        SignalsInfo::new([SIGHUP, SIGINT, SIGTERM]).map(Self).map_err(failed())
    }

    /// Listens until the process ends. Gives where the fate will be found, should the work be dropped.
    pub fn listen(
        mut self,
        stop: Stop,
        reload: Reload,
        log: Weak<Log>,
        pid_file: Option<Arc<PidFile>>,
    ) -> Result<Arc<OnceLock<Fate>>> {
        let fate = Arc::new(OnceLock::new());
        let end = Arc::clone(&fate);
        let listen = move || {
            let mut interrupts = Interrupts::default();
            for signal in self.0.forever() {
                if let Some(fate) = told(signal, &mut interrupts, &stop, &reload, &log) {
                    let _ = end.set(fate);
                    let logged = aside(|| info!("ending at once"));
                    let _ = logged.recv_timeout(LAST_MOMENT);
                    stop.at_once();
                    thread::sleep(LAST_MOMENT);
                    if let Some(pid_file) = &pid_file {
                        pid_file.remove();
                    }
                    fate.meet();
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(failed())?;
        Ok(fate)
    }
}

/// Passes on what a signal asks for. Gives the fate, if that is to end at once.
fn told(
    signal: c_int,
    interrupts: &mut Interrupts,
    stop: &Stop,
    reload: &Reload,
    log: &Weak<Log>,
) -> Option<Fate> {
    match signal {
        SIGHUP => {
            if let Some(log) = log.upgrade() {
                aside(move || log.reopen());
            }
            reload.ask();
        }
        SIGINT => match interrupts.next(Instant::now()) {
            Interrupt::First => {
                aside(|| info!("interrupted: ending after this round"));
                stop.after_round();
            }
            Interrupt::Again => {
                aside(|| info!("interrupted again: ending before the next event"));
                stop.between_events();
            }
            Interrupt::Impatient => return Some(Fate::Status(1)),
        },
        _ => return Some(Fate::Killed(signal)),
    }
    None
}

/// Does what may have to wait for the log, and tells when it is done.
fn aside(task: impl FnOnce() + Send + 'static) -> Receiver<()> {
    let (tell, done) = channel();
    // Without a thread it stays undone, and the receiver hears of it at once.
    let _ = thread::Builder::new().name("signal told".to_owned()).spawn(move || {
        task();
        let _ = tell.send(());
    });
    done
}

fn failed() -> impl FnOnce(std::io::Error) -> Error {
    Error::io("listen to signals")
}

/// What an interrupt means after those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interrupt {
    First,
    Again,
    Impatient,
}

/// When the last interrupt came.
#[derive(Default)]
struct Interrupts(Option<Instant>);

impl Interrupts {
    fn next(&mut self, now: Instant) -> Interrupt {
        match self.0.replace(now) {
            None => Interrupt::First,
            Some(last) if now.duration_since(last) < IMPATIENT => Interrupt::Impatient,
            Some(_) => Interrupt::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_means_more_the_sooner_it_comes_after_the_last() {
        let begun = Instant::now();
        let mut interrupts = Interrupts::default();
        let mut at = |milliseconds| interrupts.next(begun + Duration::from_millis(milliseconds));
        assert_eq!(at(0), Interrupt::First);
        assert_eq!(at(1000), Interrupt::Again);
        assert_eq!(at(5000), Interrupt::Again);
        assert_eq!(at(5999), Interrupt::Impatient);
    }
}
