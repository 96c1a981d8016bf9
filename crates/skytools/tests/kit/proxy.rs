//! A way to a server that breaks at a chosen moment.
//!
//! A program speaks to its servers in steps: it sends something and waits for the answer. With each of its connections
//! led through here, "what if it dies at its seventh step" is a test like any other.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::Pid;
use pgq_tests::shared::Database;

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The connection.
    Cut,
    /// The program.
    Kill,
}

/// Which side of the step it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The server never hears of it.
    Before,
    /// The server does it, and the program never hears of that.
    After,
}

/// Counts the steps of a program on all ways to its servers, and breaks one.
#[derive(Clone, Debug, Default)]
pub struct Breaker(Arc<Mutex<Option<(u32, Side, Break)>>>);

impl Breaker {
    /// Breaks the step of this number, counted from 1 and from now on.
    pub fn arm(&self, step: u32, side: Side, what: Break) {
        *self.0.lock().unwrap() = Some((step, side, what));
    }

    /// Breaks nothing any more. True: it had not broken anything yet.
    pub fn disarm(&self) -> bool {
        self.0.lock().unwrap().take().is_some()
    }

    /// Whether it has broken what it was armed for.
    pub fn has_broken(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }

    fn step(&self) -> Option<(Side, Break)> {
        let mut armed = self.0.lock().unwrap();
        let (left, side, what) = armed.as_mut()?;
        *left -= 1;
        let broken = (*side, *what);
        (*left == 0).then(|| *armed = None).map(|()| broken)
    }
}

/// A socket through which a database is reached.
pub struct Proxy {
    folder: PathBuf,
    database: String,
}

impl Proxy {
    /// Opens it. Its threads end with the connections they serve, the first one with the test process.
    pub fn to(database: &Database, folder: &Path, breaker: &Breaker) -> Self {
        let cluster = database.cluster();
        let socket = format!(".s.PGSQL.{}", cluster.port());
        std::fs::create_dir(folder).unwrap();
        let listener = UnixListener::bind(folder.join(&socket)).unwrap();
        let (server, breaker) = (cluster.socket_folder().join(&socket), breaker.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), UnixStream::connect(&server).unwrap());
                serve(client, server, breaker.clone());
            }
        });
        Self { folder: folder.to_owned(), database: database.name().to_owned() }
    }

    /// How a program comes through here.
    pub fn conninfo(&self) -> String {
        format!("host={} port=5432 user=postgres dbname={}", self.folder.display(), self.database)
    }
}

fn serve(client: UnixStream, server: UnixStream, breaker: Breaker) {
    let (mut answers, mut asker) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let is_mute = Arc::new(AtomicBool::new(false));
    let has_answered = Arc::new(AtomicBool::new(false));
    let (mute, answered) = (Arc::clone(&is_mute), Arc::clone(&has_answered));
    std::thread::spawn(move || {
        let mut piece = vec![0; 1 << 16];
        while let Ok(length @ 1..) = answers.read(&mut piece) {
            if mute.load(Ordering::SeqCst) {
                answered.store(true, Ordering::SeqCst);
            } else if asker.write_all(&piece[..length]).is_err() {
                break;
            }
        }
        answered.store(true, Ordering::SeqCst);
        let _ = asker.shutdown(Shutdown::Both);
    });
    std::thread::spawn(move || {
        let (mut client, mut server) = (client, server);
        let mut piece = vec![0; 1 << 16];
        while let Ok(length @ 1..) = client.read(&mut piece) {
            let broken = breaker.step();
            if let Some((side, what)) = broken {
                is_mute.store(true, Ordering::SeqCst);
                if side == Side::After {
                    let has_answered = || has_answered.load(Ordering::SeqCst);
                    let _ = finish_step(&mut client, &mut server, &piece[..length], has_answered);
                }
                if what == Break::Kill {
                    let peer = getsockopt(&client, sockopt::PeerCredentials).unwrap();
                    let _ = kill(Pid::from_raw(peer.pid()), Signal::SIGKILL);
                }
                break;
            }
            if server.write_all(&piece[..length]).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
        let _ = client.shutdown(Shutdown::Both);
    });
}

/// Leads through all that a program says before it waits: a COPY comes in several pieces, of which only the last is
/// answered.
fn finish_step(
    client: &mut UnixStream,
    server: &mut UnixStream,
    first: &[u8],
    has_answered: impl Fn() -> bool,
) -> std::io::Result<()> {
    server.write_all(first)?;
    client.set_read_timeout(Some(Duration::from_millis(5)))?;
    let mut piece = vec![0; 1 << 16];
    while !has_answered() {
        match client.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => server.write_all(&piece[..length])?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
