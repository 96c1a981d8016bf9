//! The file of a local consumer.
//!
//! ```text
//! 1234
//! queue=orders&consumer=copier
//! ```
//!
//! The last tick that is done, and whose it is, url-encoded. Files of PgQ 3.x have the number alone.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::consumer::Subscription;
use crate::db::payload;
use crate::file::write_atomically;
use crate::script::Config;
use crate::{Error, Result};

#[derive(Debug)]
pub(super) struct TrackingFile {
    path: PathBuf,
    owner: String,
}

impl TrackingFile {
    /// The one that the configuration names. Its folder must exist.
    pub fn from_config(config: &Config, who: &Subscription) -> Result<Self> {
        let path = config.file("local_tracking_file")?;
        let folder = folder(&path);
        if !folder.is_dir() {
            return Err(Error::usage(format!("local_tracking_file: {} is no folder", folder.display())));
        }
        Ok(Self { path, owner: owner(who.queue(), who.consumer()) })
    }

    /// The tick in it; `None` if it is not there.
    pub fn read(&self) -> Result<Option<i64>> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(Error::io(format!("read {self}")))?,
        };
        let (tick, owner) = text.split_once('\n').unwrap_or((&text, ""));
        let owner = owner.trim_end();
        if !owner.is_empty() && owner != self.owner {
            return Err(Error::bad(format!("{self} is the position of {owner}, not of {}", self.owner)));
        }
        tick.trim().parse().map(Some).map_err(|_| {
            Error::bad(format!("{self} does not begin with the number of a tick: it is left as it is"))
        })
    }

    /// Writes it so that a crash leaves the old file or the new one.
    pub fn write(&self, tick: i64) -> Result<()> {
        write_atomically(&self.path, format!("{tick}\n{}\n", self.owner).as_bytes(), None)
    }

    /// Deletes it, if it is there.
    pub fn delete(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            deleted => deleted.map_err(Error::io(format!("delete {self}"))),
        }
    }
}

impl fmt::Display for TrackingFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn owner(queue: &str, consumer: &str) -> String {
    payload::encode([("queue", Some(queue)), ("consumer", Some(consumer))])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tempfile::TempDir;

    use super::*;

    /// A file in a folder of its own, which goes with it.
    struct InFolder(TrackingFile, TempDir);

    impl InFolder {
        fn of(queue: &str, consumer: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("job.tick");
            Self(TrackingFile { path, owner: owner(queue, consumer) }, folder)
        }

        fn holding(text: &str) -> Self {
            let it = Self::of("orders", "copier");
            fs::write(&it.0.path, text).unwrap();
            it
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let here = InFolder::of("two\nlines & more", "Tõnu=1");
        assert_eq!(here.0.read().unwrap(), None);
        for tick in [1, i64::MAX, 7] {
            here.0.write(tick).unwrap();
            assert_eq!(here.0.read().unwrap(), Some(tick));
        }
        assert_eq!(fs::read_dir(&here.1).unwrap().count(), 1, "nothing is left beside it");
        here.0.delete().unwrap();
        assert_eq!(here.0.read().unwrap(), None);
        here.0.delete().unwrap();
    }

    #[test]
    fn the_bare_number_of_3_x_is_read_and_becomes_ours() {
        for text in ["1234", "1234\n", " 1234 \n\n"] {
            let here = InFolder::holding(text);
            assert_eq!(here.0.read().unwrap(), Some(1234), "{text:?}");
            here.0.write(1235).unwrap();
            assert_eq!(fs::read_to_string(&here.0.path).unwrap(), "1235\nqueue=orders&consumer=copier\n");
        }
    }

    #[test]
    fn somebody_elses_is_refused() {
        let here = InFolder::holding("1234\nqueue=orders&consumer=other\n");
        let message = here.0.read().unwrap_err().to_string();
        assert!(
            message.ends_with("of queue=orders&consumer=other, not of queue=orders&consumer=copier"),
            "{message}"
        );
    }

    #[test]
    fn garbage_is_refused_and_left_alone() {
        for garbage in ["", "\n", "12a", "queue=orders", "1e3", "-", "99999999999999999999"] {
            let here = InFolder::holding(garbage);
            let message = here.0.read().unwrap_err().to_string();
            assert!(message.contains("does not begin with the number of a tick"), "{message}");
            assert_eq!(fs::read_to_string(&here.0.path).unwrap(), garbage);
        }
    }
}
