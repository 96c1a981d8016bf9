//! A compressed file that grows.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::{Error, Result};

/// Appends `contents`, compressed, to a file that is made if it is not there. The file stays a gzip file that holds
/// all that was ever appended; on an error it holds what it did before. Several processes may append at the same time.
pub fn append_gzip(path: &Path, contents: &[u8]) -> Result<()> {
    append(path, contents).map_err(Error::io(format!("append to {}", path.display())))
}

fn append(path: &Path, contents: &[u8]) -> io::Result<()> {
    let member = compressed(contents)?;
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.lock()?;
    let length = file.metadata()?.len();
    let written = write(&mut file, &member);
    if written.is_err() {
        file.set_len(length)?;
    }
    written
}

fn write(file: &mut File, member: &[u8]) -> io::Result<()> {
    file.write_all(member)?;
    file.sync_all()
}

fn compressed(contents: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(contents)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::io::Read;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn read(path: &Path) -> String {
        let mut text = String::new();
        MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn what_is_appended_is_read_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.gz");
        for text in ["one ", "", "two"] {
            append_gzip(&path, text.as_bytes()).unwrap();
        }
        assert_eq!(read(&path), "one two");
    }

    #[test]
    fn many_may_append() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.gz");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5).for_each(|_| append_gzip(&path, b"line\n").unwrap()));
            }
        });
        assert_eq!(read(&path), "line\n".repeat(20));
    }

    const FULL: &str = "SKYTOOLS_TEST_FULL_FILE";

    /// What the next test runs in a process that may not make files longer than a kilobyte.
    #[test]
    fn appending_to_a_full_file_fails() {
        let Some(path) = std::env::var_os(FULL) else { return };
        let next = |last: &u64| Some(last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        let noise: Vec<u8> =
            std::iter::successors(Some(1), next).take(4000).map(|n| (n >> 56) as u8).collect();
        assert!(append_gzip(Path::new(&path), &noise).is_err());
    }

    #[test]
    fn what_is_written_in_part_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.gz");
        append_gzip(&path, b"before").unwrap();
        let limited = "trap '' XFSZ; ulimit -f 2; exec \"$0\" --exact file::gzip::tests::appending_to_a_full_file_fails";
        let mut shell = std::process::Command::new("sh");
        shell.arg("-c").arg(limited).arg(std::env::current_exe().unwrap()).env(FULL, &path);
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(read(&path), "before");
    }

    #[test]
    fn an_error_tells_the_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        let refusal = append_gzip(&folder.path().join("a"), b"x").unwrap_err().to_string();
        assert!(
            refusal.starts_with(&format!("append to {}", folder.path().join("a").display())),
            "{refusal}"
        );
    }
}
