//! A file that is put aside when it has grown: `x.log` becomes `x.log.1`, and so on up to the count.
//!
//! Several processes may write the same file, and any of them, or a foreign tool, may put it aside: before each line
//! the name is looked up, and a file that no longer has the name is left.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use crate::{Error, Result};

/// See the module.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    max_bytes: u64,
    keep: u32,
    file: Option<File>,
    /// A full disk has taken the beginning of a line only.
    torn: bool,
}

impl RotatingFile {
    /// Opens it. `max_bytes` or `keep` 0 means that it is never put aside.
    pub(super) fn open(path: PathBuf, max_bytes: u64, keep: u32) -> Result<Self> {
        let mut opened = Self { path, max_bytes, keep, file: None, torn: false };
        opened.current().map_err(Error::io(format!("open the log file {}", opened.path.display())))?;
        Ok(opened)
    }

    /// Writes a line, which ends with its line feed, in one piece.
    pub(super) fn append(&mut self, line: &str) -> Result<()> {
        self.try_append(line).map_err(Error::io(format!("write {}", self.path.display())))
    }

    /// Leaves the file; the next line opens it by its name.
    pub(super) fn reopen(&mut self) {
        self.file = None;
    }

    fn try_append(&mut self, line: &str) -> io::Result<()> {
        let size = self.current()?;
        if self.max_bytes > 0 && self.keep > 0 && size > 0 && size + line.len() as u64 > self.max_bytes {
            // Better a long file than a lost line.
            let _ = self.put_aside();
            self.current()?;
        }
        let mut file = self.file.as_ref().expect("current has opened it");
        let piece = if self.torn { format!("\n{line}") } else { line.to_owned() };
        let written = loop {
            match file.write(piece.as_bytes()) {
                Err(failure) if failure.kind() == io::ErrorKind::Interrupted => {}
                written => break written?,
            }
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.torn = !piece.is_char_boundary(written) || !piece[..written].ends_with('\n');
        if written < piece.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Sees to it that the open file is the one of this name. Gives its size.
    fn current(&mut self) -> io::Result<u64> {
        if let Some(file) = &self.file
            && let Ok(named) = self.path.metadata()
        {
            let ours = file.metadata()?;
            if same(&ours, &named) {
                return Ok(ours.len());
            }
        }
        // Whatever the umask: who could write a log could forge it.
        let file = OpenOptions::new().create(true).append(true).mode(0o664).open(&self.path)?;
        let size = file.metadata()?.len();
        self.torn &= size > 0;
        self.file = Some(file);
        Ok(size)
    }

    /// Gives the file the next name, and the files before it theirs. Who holds the file's lock does it; the others
    /// find it done, or write on where they are.
    fn put_aside(&mut self) -> io::Result<()> {
        let file = self.file.take().expect("current has opened it");
        if file.try_lock().is_err() {
            self.file = Some(file);
            return Ok(());
        }
        if !same(&file.metadata()?, &self.path.metadata()?) {
            return Ok(());
        }
        for number in (1..self.keep).rev() {
            let moved = std::fs::rename(self.numbered(number), self.numbered(number + 1));
            if let Err(failure) = moved
                && failure.kind() != io::ErrorKind::NotFound
            {
                return Err(failure);
            }
        }
        std::fs::rename(&self.path, self.numbered(1))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use tempfile::{TempDir, tempdir};

    use super::*;

    fn read(folder: &TempDir, name: &str) -> String {
        fs::read_to_string(folder.path().join(name)).unwrap()
    }

    #[test]
    fn a_line_longer_than_the_limit_has_a_file_of_its_own() {
        let folder = tempdir().unwrap();
        let mut file = RotatingFile::open(folder.path().join("x"), 10, 5).unwrap();
        for line in ["short\n", "very much longer\n", "end\n"] {
            file.append(line).unwrap();
        }
        assert_eq!(
            ["x.2", "x.1", "x"].map(|name| read(&folder, name)),
            ["short\n", "very much longer\n", "end\n"]
        );
    }

    #[test]
    fn a_file_that_cannot_be_put_aside_is_written_on() {
        let folder = tempdir().unwrap();
        // A folder with something in it cannot be replaced by a file.
        fs::create_dir_all(folder.path().join("x.1/full")).unwrap();
        let mut file = RotatingFile::open(folder.path().join("x"), 10, 1).unwrap();
        for line in ["first\n", "second\n"] {
            file.append(line).unwrap();
        }
        assert_eq!(read(&folder, "x"), "first\nsecond\n");
    }

    #[test]
    fn a_file_that_another_process_is_putting_aside_is_written_on() {
        let folder = tempdir().unwrap();
        let mut file = RotatingFile::open(folder.path().join("x"), 10, 5).unwrap();
        file.append("first\n").unwrap();
        let other = File::open(folder.path().join("x")).unwrap();
        other.lock().unwrap();
        file.append("second\n").unwrap();
        assert_eq!(read(&folder, "x"), "first\nsecond\n");
        drop(other);
        file.append("third\n").unwrap();
        assert_eq!(["x.1", "x"].map(|name| read(&folder, name)), ["first\nsecond\n", "third\n"]);
    }

    #[test]
    fn a_file_that_another_process_has_put_aside_meanwhile_is_left_to_it() {
        let folder = tempdir().unwrap();
        let mut file = RotatingFile::open(folder.path().join("x"), 10, 5).unwrap();
        file.append("first\n").unwrap();
        fs::rename(folder.path().join("x"), folder.path().join("x.1")).unwrap();
        fs::write(folder.path().join("x"), "other\n").unwrap();
        file.put_aside().unwrap();
        assert_eq!(["x.1", "x"].map(|name| read(&folder, name)), ["first\n", "other\n"]);
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("x");
        let mut file = RotatingFile::open(path.clone(), 0, 0).unwrap();
        fs::write(&path, "to").unwrap();
        file.torn = true;
        file.reopen();
        file.append("next\n").unwrap();
        file.append("last\n").unwrap();
        assert_eq!(read(&folder, "x"), "to\nnext\nlast\n");
        file.torn = true;
        fs::remove_file(&path).unwrap();
        file.append("fresh\n").unwrap();
        assert_eq!(read(&folder, "x"), "fresh\n", "where nothing was torn nothing is ended");
    }
}
