//! A folder and the postmaster in it, which go away with this process whatever way it ends.
//!
//! `Drop` does not run after `kill -9`, in `static`s, or when a test harness calls `exit`. What always happens is that
//! the kernel closes our files. So a small shell process reads a pipe that we hold: a word on it is an
//! order, its end means that we are gone, and then the shell stops the postmaster at once and removes the folder.
//! The shell also *starts* the postmaster, so there is no moment at which nobody knows its process id.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::server::{Error, Server};

/// `$1` the folder of the programs, `$2` our folder. SIGQUIT is the immediate stop; SIGCONT in case the postmaster
/// was being held still.
const SCRIPT: &str = r#"
postmaster=
while read -r order; do
    case $order in
    start)
        "$1/postgres" -D "$2/data" </dev/null >>"$2/log" 2>&1 &
        postmaster=$!
        echo "$postmaster" ;;
    wait)
        wait "$postmaster"
        echo "$?"
        postmaster= ;;
    esac
done
if [ -n "$postmaster" ]; then
    kill -QUIT "$postmaster" && kill -CONT "$postmaster"
    wait "$postmaster"
fi
rm -rf "$2"
"#;

/// See the module. The folder holds `data/` (the cluster), `log`, and the server's socket.
#[derive(Debug)]
pub struct Guard {
    folder: PathBuf,
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Guard {
    /// Makes a fresh folder under `parent`, owned by the account that runs the server.
    pub fn new(server: &Server, parent: &Path) -> Result<Self, Error> {
        let folder = nix::unistd::mkdtemp(&parent.join("pgq-test-XXXXXX"))
            .map_err(|errno| Error::io(format!("make a folder in {}", parent.display()))(errno.into()))?;
        if let Some(account) = server.account() {
            account.own(&folder)?;
        }
        let mut shell = server
            .prepared("/bin/sh")
            .args(["-c", SCRIPT, "pgq-test-guard"])
            .args([server.bindir(), &folder])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Its own group: a Ctrl-C is for us; the guard learns of it by our end.
            .process_group(0)
            .spawn()
            .map_err(Error::io("start the guard"))?;
        let orders = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().expect("the guard's stdout is a pipe"));
        Ok(Self { folder, shell, orders, answers })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a postmaster on `data/`; it is not ready yet.
    pub fn start_postmaster(&mut self) -> Pid {
        Pid::from_raw(self.ask("start"))
    }

    /// Waits until the postmaster has ended; its exit code (above 128: killed by a signal).
    pub fn wait_postmaster(&mut self) -> i32 {
        self.ask("wait")
    }

    fn ask(&mut self, order: &str) -> i32 {
        let mut answer = String::new();
        writeln!(self.orders.as_mut().expect("open until drop"), "{order}")
            .and_then(|()| self.answers.read_line(&mut answer))
            .expect("the guard answers");
        answer.trim().parse().unwrap_or_else(|_| panic!("a number from the guard, not {answer:?}"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.orders.take());
        // Nothing to be done about a guard that is already gone.
        let _ = self.shell.wait();
        // Only where the parent folder is ours alone is there anything left: the empty folder itself.
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// Whether a process still runs (a zombie does not).
#[must_use]
pub fn alive(pid: Pid) -> bool {
    process_state(pid).is_some_and(|state| state != 'Z')
}

/// SIGKILL to a postmaster and to every process it started, all in one moment as far as they can tell.
///
/// The postmaster is held still first, else it could start another child between the look at its children and the
/// kill. Children of a postmaster that dies alone would still finish, even commit, what they are at; a machine that
/// loses power does not do them that favour, so neither do we.
pub(crate) fn kill_family(postmaster: Pid) {
    let send = |pid, signal| {
        // ESRCH: it was quicker.
        let _ = kill(pid, signal);
    };
    send(postmaster, Signal::SIGSTOP);
    let children = children_of(postmaster);
    send(postmaster, Signal::SIGKILL);
    for &child in &children {
        send(child, Signal::SIGKILL);
    }
    crate::client::wait_until("the killed server processes to be gone", || {
        !children.iter().any(|&child| alive(child))
    });
}

fn children_of(parent: Pid) -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().map(Pid::from_raw))
        .filter(|&pid| stat_field(pid, 1).and_then(|ppid| ppid.parse().ok()) == Some(parent.as_raw()))
        .collect()
}

fn process_state(pid: Pid) -> Option<char> {
    stat_field(pid, 0)?.chars().next()
}

/// A field of `/proc/PID/stat`, counted from behind the program's name (which may hold blanks): 0 state, 1 parent.
fn stat_field(pid: Pid, index: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split_whitespace().nth(index).map(str::to_owned)
}
