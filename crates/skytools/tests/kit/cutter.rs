//! A way to a server that breaks at a chosen message: what a client meets when a cable is pulled.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use pgq_tests::shared::Database;

/// Where a request is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// On its way to the server, which never sees it.
    Request,
    /// The server does it, and the answer is lost.
    Answer,
    /// On its way, and the client is left waiting: time to kill it.
    Silence,
}

/// A proxy on a loopback port. It ends with the test's process.
pub struct Cutter {
    conninfo: String,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    /// Requests that still pass, and what happens to the one behind them.
    next: Option<(u32, Cut)>,
    is_done: bool,
}

impl Cutter {
    /// A way to this database.
    pub fn new(database: &Database) -> Self {
        let cluster = database.cluster();
        let server = cluster.socket_folder().join(format!(".s.PGSQL.{}", cluster.port()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let usual = cluster.conninfo(database.name());
        let rest: Vec<&str> = usual
            .split(' ')
            .filter(|word| !word.starts_with("host=") && !word.starts_with("port="))
            .collect();
        let conninfo = format!("host=127.0.0.1 port={port} sslmode=disable {}", rest.join(" "));
        let plan = Arc::new(Mutex::new(Plan::default()));
        let plans = Arc::clone(&plan);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (server, plan) = (server.clone(), Arc::clone(&plans));
                thread::spawn(move || _ = pass(client.unwrap(), server, &plan));
            }
        });
        Self { conninfo, plan }
    }

    /// How to go this way.
    pub fn conninfo(&self) -> &str {
        &self.conninfo
    }

    /// Lets so many requests pass, and cuts at the one behind them; once.
    pub fn cut_after(&self, requests: u32, cut: Cut) {
        *locked(&self.plan) = Plan { next: Some((requests, cut)), is_done: false };
    }

    /// Whether it has cut.
    pub fn has_cut(&self) -> bool {
        locked(&self.plan).is_done
    }

    /// Does not cut any more; whether it has.
    pub fn disarm(&self) -> bool {
        let mut plan = locked(&self.plan);
        plan.next = None;
        plan.is_done
    }
}

fn locked(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection.
fn pass(mut client: TcpStream, server: PathBuf, plan: &Mutex<Plan>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut server = UnixStream::connect(server)?;
    let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
    let mute = Arc::new(Mutex::new(false));
    let is_mute = Arc::clone(&mute);
    thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok(length @ 1..) = answers.read(&mut buffer) {
            // A silent wait for an answer that nobody gets ends with the answer.
            if *is_mute.lock().unwrap_or_else(PoisonError::into_inner)
                || back.write_all(&buffer[..length]).is_err()
            {
                break;
            }
        }
        let _ = (back.shutdown(Shutdown::Both), answers.shutdown(Shutdown::Both));
    });
    // The first message has no type.
    server.write_all(&message(&mut client, 0)?)?;
    loop {
        let message = message(&mut client, 1)?;
        match strikes(plan, message[0]) {
            None => server.write_all(&message)?,
            Some(Cut::Request) => return server.shutdown(Shutdown::Both),
            Some(Cut::Answer) => {
                *mute.lock().unwrap_or_else(PoisonError::into_inner) = true;
                server.write_all(&message)?;
            }
            Some(Cut::Silence) => {
                // Until the client is killed.
                let _ = client.read(&mut [0; 1]);
                return server.shutdown(Shutdown::Both);
            }
        }
    }
}

/// A request is what the server answers before it reads on: a query, or the end of a series of messages.
fn strikes(plan: &Mutex<Plan>, kind: u8) -> Option<Cut> {
    let mut plan = locked(plan);
    let (left, cut) = plan.next.filter(|_| matches!(kind, b'Q' | b'S'))?;
    plan.next = left.checked_sub(1).map(|left| (left, cut));
    plan.is_done = plan.next.is_none();
    plan.is_done.then_some(cut)
}

/// A whole message: a type of so many bytes, a length that counts itself, the rest.
fn message(client: &mut TcpStream, kind: usize) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; kind + 4];
    client.read_exact(&mut message)?;
    let length = u32::from_be_bytes(message[kind..].try_into().unwrap()) as usize;
    message.resize(kind + length, 0);
    client.read_exact(&mut message[kind + 4..])?;
    Ok(message)
}
