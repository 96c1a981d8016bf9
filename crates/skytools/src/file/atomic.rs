//! A file that is replaced as a whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Replaces a file, or makes it: whoever reads it sees all of what was there before or all of `contents`, also after a
/// crash. With `backup` what was there before is kept under the same name with this ending (`.old`).
///
/// The file's permissions stay what they were. A link is replaced, not what it points to.
pub fn write_atomically(path: &Path, contents: &[u8], backup: Option<&str>) -> Result<()> {
    let written = with_ending(path, &format!(".new{}", std::process::id()));
    let result = replace(path, &written, contents, backup);
    if result.is_err() {
        let _ = fs::remove_file(&written);
    }
    result
}

fn replace(path: &Path, written: &Path, contents: &[u8], backup: Option<&str>) -> Result<()> {
    write_durably(path, written, contents).map_err(Error::io(format!("write {}", written.display())))?;
    if let Some(ending) = backup {
        let backup = with_ending(path, ending);
        keep(path, &backup, written).map_err(Error::io(format!("link {}", backup.display())))?;
    }
    fs::rename(written, path).map_err(Error::io(format!("replace {}", path.display())))?;
    let folder = folder(path);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(Error::io(format!("sync {}", folder.display())))
}

fn write_durably(path: &Path, written: &Path, contents: &[u8]) -> std::io::Result<()> {
    // One that a process with our number has left behind.
    let _ = fs::remove_file(written);
    let mut file = OpenOptions::new().write(true).create_new(true).open(written)?;
    match fs::metadata(path) {
        Ok(replaced) => file.set_permissions(replaced.permissions())?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    file.write_all(contents)?;
    file.sync_all()
}

/// Gives a file a second name, which may be that of another file now.
fn keep(path: &Path, backup: &Path, written: &Path) -> std::io::Result<()> {
    let linked = with_ending(written, ".link");
    let _ = fs::remove_file(&linked);
    match fs::hard_link(path, &linked) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    // Where both are the same file already, rename leaves both names.
    let renamed = fs::rename(&linked, backup);
    let _ = fs::remove_file(&linked);
    renamed
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use tempfile::{TempDir, tempdir};

    use super::*;

    /// What is in a folder, sorted.
    fn names(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_made_and_replaced() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a");
        write_atomically(&path, b"one", None).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        let before = fs::metadata(&path).unwrap().ino();
        let mut reader = File::open(&path).unwrap();
        write_atomically(&path, b"two", None).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_ne!(fs::metadata(&path).unwrap().ino(), before);
        assert_eq!(std::io::read_to_string(&mut reader).unwrap(), "one");
        assert_eq!(names(&folder), ["a"]);
    }

    #[test]
    fn what_was_there_is_kept_under_another_name() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a");
        for (contents, kept) in [("one", None), ("two", Some("one")), ("three", Some("two"))] {
            write_atomically(&path, contents.as_bytes(), Some(".old")).unwrap();
            assert_eq!(fs::read_to_string(folder.path().join("a.old")).ok().as_deref(), kept);
            assert_eq!(fs::read_to_string(&path).unwrap(), contents);
        }
        assert_eq!(names(&folder), ["a", "a.old"]);
    }

    #[test]
    fn permissions_stay() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        write_atomically(&path, b"two", None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a");
        fs::create_dir(&path).unwrap();
        let refusal = write_atomically(&path, b"one", None).unwrap_err().to_string();
        assert!(refusal.starts_with(&format!("replace {}", path.display())), "{refusal}");
        assert_eq!(names(&folder), ["a"]);
        let missing = folder.path().join("b/c");
        let refusal = write_atomically(&missing, b"one", None).unwrap_err().to_string();
        assert!(refusal.starts_with(&format!("write {}", missing.display())), "{refusal}");
    }

    #[test]
    fn a_name_alone_is_in_the_working_folder() {
        assert_eq!(folder(Path::new("a")), Path::new("."));
        assert_eq!(folder(Path::new("/a")), Path::new("/"));
    }
}
