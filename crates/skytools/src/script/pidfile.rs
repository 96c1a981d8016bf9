//! The file that names the running process, and the lock that keeps a second one out.
//!
//! What is locked is the file's inode, and whoever replaces or removes the file holds the lock of the inode that is
//! at its path. So two starters that both find a stale file cannot both replace it, and no lock file is left lying
//! about. The kernel drops the lock when its process dies, whatever way it does.
//!
//! Programs of the 3.x line take no lock: of a file of theirs only the process number can be judged, which may belong
//! to somebody else by now. Our files have [`LOCKED`], an empty second line, which `$(cat FILE)` in somebody's script
//! does not show: without a lock on it such a file is stale, whoever has that number today.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::kill;
use nix::unistd::{Pid, geteuid};
use tracing::warn;

use crate::{Error, Result};

const LOCKED: &str = "";

/// For how long a lock may be held on a file that names no living process: by another starter, on its way.
const START_LIMIT: Duration = Duration::from_secs(1);

/// The pid file of this process. It goes away with the value.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Takes the file, if no other process has it. What a dead one left behind is told and replaced.
    pub fn take(path: &Path) -> Result<Self> {
        let begun = Instant::now();
        loop {
            let found = options()
                .create(true)
                .truncate(false)
                .open(path)
                .map_err(failed("open the pid file", path))?;
            if let Some(taken) = Self::replace(&found, path)? {
                return Ok(taken);
            }
            if begun.elapsed() > START_LIMIT {
                return Err(Error::usage(format!(
                    "another process running: it holds the lock of {}",
                    path.display()
                )));
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// Takes the place of the file that was found at the path. `None`: somebody else is on his way, in or out.
    fn replace(found: &File, path: &Path) -> Result<Option<Self>> {
        match found.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed("lock", path)(error)),
            Err(TryLockError::WouldBlock) => {
                return match Owner::read(found, path)? {
                    Some(owner) if owner.lives() => Err(owner.running(path)),
                    _ => Ok(None),
                };
            }
        }
        if !is_at(found, path) {
            return Ok(None); // its owner removed or replaced it before we had the lock
        }
        match Owner::read(found, path)? {
            Some(owner) if owner.may_live_without_lock() => return Err(owner.running(path)),
            Some(owner) => {
                warn!("stale pid file {}: process {} is gone, going on", path.display(), owner.pid);
            }
            None => {}
        }
        Self::put(path).map(Some)
    }

    /// Puts our own file at the path; the caller holds the lock of the one that is there.
    fn put(path: &Path) -> Result<Self> {
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        let fresh = Path::new(&fresh);
        match std::fs::remove_file(fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", fresh)(error));
            }
            _ => {}
        }
        let mut file = options().create_new(true).open(fresh).map_err(failed("create", fresh))?;
        file.lock().map_err(failed("lock", fresh))?;
        writeln!(file, "{}\n{LOCKED}", std::process::id()).map_err(failed("write", fresh))?;
        std::fs::rename(fresh, path).map_err(failed("write", path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Removes the file, if it is still ours. Doing so twice does no harm.
    pub fn remove(&self) {
        if is_at(&self.file, &self.path)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            warn!("remove {}: {error}", self.path.display());
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// In a folder for all, such as `/tmp`, somebody may have put a link there to another file, or a pipe that never ends.
const NO_TRAPS: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK);

/// For us alone to write, whatever the umask: who could write a pid file could have other processes killed.
fn options() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).mode(0o644).custom_flags(NO_TRAPS.bits());
    options
}

/// The process that a pid file names, if it runs.
pub fn running(path: &Path) -> Result<Option<Pid>> {
    let file = match File::options().read(true).custom_flags(NO_TRAPS.bits()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed("open", path))?,
    };
    let Some(owner) = Owner::read(&file, path)?.filter(Owner::lives) else { return Ok(None) };
    let writer = file.metadata().map_err(failed("read", path))?.uid();
    if !owner.may_be_named_by(writer) {
        return Err(Error::usage(format!(
            "pid file {} was written by user {writer}, but process {} is not that user's",
            path.display(),
            owner.pid
        )));
    }
    if owner.locks {
        // A shared lock, so that two who look do not see each other.
        match file.try_lock_shared() {
            Ok(()) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(failed("lock", path)(error)),
        }
    }
    Ok(Some(owner.pid))
}

/// The process that wrote a pid file.
struct Owner {
    pid: Pid,
    /// Whether it holds the file's lock while it lives.
    locks: bool,
}

impl Owner {
    /// Who wrote this file; nobody, when it is empty.
    fn read(mut file: &File, path: &Path) -> Result<Option<Self>> {
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed("read", path))?;
        let mut lines = text.lines().map(str::trim);
        let first = lines.next().unwrap_or_default();
        if first.is_empty() {
            return Ok(None);
        }
        let pid = first.parse().ok().filter(|pid| *pid > 0).ok_or_else(|| {
            Error::usage(format!("pid file {}: {first:?} is no process number", path.display()))
        })?;
        Ok(Some(Self { pid: Pid::from_raw(pid), locks: lines.next() == Some(LOCKED) }))
    }

    fn lives(&self) -> bool {
        kill(self.pid, None) != Err(Errno::ESRCH)
    }

    /// In a container a restarted program easily has the number that its predecessor had: our own number is not
    /// somebody else.
    fn may_live_without_lock(&self) -> bool {
        !self.locks && self.pid != Pid::this() && self.lives()
    }

    /// Whether this user decides what happens to the process: not everybody who can write a file for us to read.
    fn may_be_named_by(&self, user: u32) -> bool {
        user == 0
            || user == geteuid().as_raw()
            || std::fs::metadata(format!("/proc/{}", self.pid)).is_ok_and(|process| process.uid() == user)
    }

    fn running(&self, path: &Path) -> Error {
        let advice = if self.locks {
            ""
        } else {
            ", but does not hold its lock: a program of an older version, or an unrelated process. If it is not \
             this job, remove the file"
        };
        let (path, pid) = (path.display(), self.pid);
        Error::usage(format!("another process running: {pid}, as {path} says{advice}"))
    }
}

/// Whether this file is the one at the path.
fn is_at(file: &File, path: &Path) -> bool {
    let same = || {
        let (ours, there) = (file.metadata()?, std::fs::metadata(path)?);
        Ok::<_, io::Error>((ours.dev(), ours.ino()) == (there.dev(), there.ino()))
    };
    same().unwrap_or(false)
}

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    Error::io(format!("{what} {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::process::CommandExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tempfile::TempDir;

    use super::*;

    /// A path for a pid file, in a folder that goes away.
    struct Place(TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("job.pid")
        }

        fn with(text: &str) -> Self {
            let place = Self::new();
            std::fs::write(place.path(), text).unwrap();
            place
        }
    }

    /// A number that no process has: above what the kernel gives out.
    const NOBODY: i32 = i32::MAX;

    fn living_process() -> u32 {
        std::os::unix::process::parent_id()
    }

    #[test]
    fn its_first_line_is_our_number_and_it_goes_with_us() {
        let place = Place::new();
        let pid_file = PidFile::take(&place.path()).unwrap();
        let text = std::fs::read_to_string(place.path()).unwrap();
        assert_eq!(text, format!("{}\n\n", std::process::id()));
        drop(pid_file);
        assert_eq!(std::fs::read_dir(place.0.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_second_one_is_refused() {
        let place = Place::new();
        let first = PidFile::take(&place.path()).unwrap();
        let error = PidFile::take(&place.path()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("another process running: {}", std::process::id())), "{error}");
        drop(first);
        PidFile::take(&place.path()).unwrap();
    }

    #[test]
    fn a_lock_is_respected_when_the_file_names_nobody() {
        let place = Place::with("");
        let held = File::open(place.path()).unwrap();
        held.lock().unwrap();
        let error = PidFile::take(&place.path()).unwrap_err().to_string();
        assert!(error.starts_with("another process running: it holds the lock"), "{error}");
    }

    #[test]
    fn what_a_dead_process_left_is_taken() {
        for text in
            ["", "\n", &format!("{NOBODY}\n"), &format!("  {NOBODY} \nmore\n"), &format!("{NOBODY}\n\n")]
        {
            let place = Place::with(text);
            let _ours = PidFile::take(&place.path()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(running(&place.path()).unwrap(), Some(Pid::this()));
        }
    }

    #[test]
    fn a_number_given_to_another_process_does_not_keep_ours_out() {
        let place = Place::with(&format!("{}\n\n", living_process()));
        assert_eq!(running(&place.path()).unwrap(), None);
        PidFile::take(&place.path()).unwrap();
    }

    #[test]
    fn a_living_process_of_the_older_line_keeps_us_out() {
        let place = Place::with(&format!("{}\n", living_process()));
        assert_eq!(
            running(&place.path()).unwrap().map(|pid| pid.as_raw().cast_unsigned()),
            Some(living_process())
        );
        let error = PidFile::take(&place.path()).unwrap_err().to_string();
        assert!(error.contains("does not hold its lock") && error.contains("remove the file"), "{error}");
    }

    #[test]
    fn our_own_number_is_nobody_else() {
        let place = Place::with(&format!("{}\n", std::process::id()));
        PidFile::take(&place.path()).unwrap();
    }

    #[test]
    fn garbage_is_an_error() {
        for text in ["garbage\n", "0\n", "-1\n", "12 13\n", "99999999999999\n"] {
            let place = Place::with(text);
            for error in [PidFile::take(&place.path()).unwrap_err(), running(&place.path()).unwrap_err()] {
                assert!(error.to_string().ends_with("is no process number"), "{text:?}: {error}");
            }
        }
    }

    #[test]
    fn what_others_have_put_there_stays() {
        let place = Place::new();
        let pid_file = PidFile::take(&place.path()).unwrap();
        std::fs::remove_file(place.path()).unwrap();
        std::fs::write(place.path(), "4711\n").unwrap();
        drop(pid_file);
        assert_eq!(std::fs::read_to_string(place.path()).unwrap(), "4711\n");
    }

    #[test]
    fn a_file_that_was_replaced_before_its_lock_was_ours_is_left_alone() {
        let place = Place::with("");
        let found = options().open(place.path()).unwrap();
        let other = PidFile::take(&place.path()).unwrap();
        assert!(PidFile::replace(&found, &place.path()).unwrap().is_none());
        drop(other);
        assert!(!place.path().exists(), "it was still the other's to remove");
        assert!(PidFile::replace(&found, &place.path()).unwrap().is_none());
    }

    #[test]
    fn a_link_is_not_followed() {
        let place = Place::new();
        let aim = place.0.path().join("aim");
        std::os::unix::fs::symlink(&aim, place.path()).unwrap();
        let error = PidFile::take(&place.path()).unwrap_err().to_string();
        assert!(error.starts_with("open the pid file "), "{error}");
        assert!(!aim.exists());
        std::fs::write(&aim, format!("{}\n", living_process())).unwrap();
        let error = running(&place.path()).unwrap_err().to_string();
        assert!(error.starts_with("open "), "{error}");
        std::fs::remove_file(&aim).unwrap();
        std::fs::remove_file(place.path()).unwrap();
        std::os::unix::fs::symlink(&aim, place.0.path().join("job.pid.new")).unwrap();
        let _ours = PidFile::take(&place.path()).unwrap();
        assert!(!aim.exists());
    }

    #[test]
    fn nobody_waits_at_a_pipe() {
        let place = Place::new();
        nix::unistd::mkfifo(&place.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(running(&place.path()).unwrap(), None);
        let error = PidFile::take(&place.path()).unwrap_err().to_string();
        assert!(error.starts_with("read "), "{error}");
    }

    #[test]
    fn who_writes_a_file_cannot_have_the_processes_of_others_killed() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can make a file of another user");
            return;
        }
        let place = Place::with(&format!("{}\n", living_process()));
        let somebody = 4711;
        std::os::unix::fs::chown(place.path(), Some(somebody), None).unwrap();
        // We are root, and so is the process that has started us.
        let error = running(&place.path()).unwrap_err().to_string();
        assert!(error.ends_with(&format!("process {} is not that user's", living_process())), "{error}");
        let mut theirs = std::process::Command::new("sleep").arg("60").uid(somebody).spawn().unwrap();
        std::fs::write(place.path(), format!("{}\n", theirs.id())).unwrap();
        let found = running(&place.path());
        theirs.kill().unwrap();
        theirs.wait().unwrap();
        assert_eq!(found.unwrap().map(|pid| pid.as_raw().cast_unsigned()), Some(theirs.id()));
    }

    #[test]
    fn of_many_starters_at_most_one_has_it_at_a_time() {
        let place = Place::with(&format!("{NOBODY}\n"));
        let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        if let Ok(_ours) = PidFile::take(&place.path()) {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            taken.fetch_add(1, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert!(taken.into_inner() > 0);
    }
}
