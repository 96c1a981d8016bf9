//! Files: put aside, moved away, shared, and on a full disk.

use std::path::PathBuf;
use std::process::Command;

use skytools::script::Verbosity;
use tracing::info;

use super::{file, lines, try_open, with};
use crate::kit::Workplace;

#[test]
fn a_file_is_put_aside_before_it_gets_too_large() {
    let workplace = Workplace::new();
    let path = workplace.path("x.log");
    let keys = [("log_size", "100"), ("log_count", "2")];
    with(&file(&path, &keys), || (0..95).for_each(|number| info!("line {number:04}")));
    // Ten bytes a line, ten lines a file: 0 to 69 are gone.
    assert_eq!(lines(&path), numbered(90..95));
    assert_eq!(lines(&workplace.path("x.log.1")), numbered(80..90));
    assert_eq!(lines(&workplace.path("x.log.2")), numbered(70..80));
    assert!(!workplace.path("x.log.3").exists());
}

fn numbered(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("line {number:04}")).collect()
}

#[test]
fn nothing_is_put_aside_when_nothing_shall_be_kept() {
    let workplace = Workplace::new();
    for (size, count) in [("0", "3"), ("100", "0")] {
        let path = workplace.path(&format!("{size}.log"));
        let keys = [("log_size", size), ("log_count", count)];
        with(&file(&path, &keys), || (0..95).for_each(|number| info!("line {number:04}")));
        assert_eq!(lines(&path).len(), 95);
    }
}

#[test]
fn several_processes_share_a_file_and_lose_no_line() {
    let workplace = Workplace::new();
    let path = workplace.path("x.log");
    let keys = [("log_size", "500"), ("log_count", "99")];
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let log = file(&path, &keys);
            scope.spawn(move || {
                with(&log, || (0..100).for_each(|number| info!("writer {writer} line {number:03}")))
            });
        }
    });
    let files = (1..100).rev().map(|number| workplace.path(&format!("x.log.{number}"))).chain([path.clone()]);
    let written: Vec<String> = files.flat_map(|file| lines(&file)).collect();
    for writer in 0..4 {
        let own: Vec<&String> =
            written.iter().filter(|line| line.starts_with(&format!("writer {writer} "))).collect();
        assert_eq!(own.len(), 100, "writer {writer}");
    }
    assert!(written.iter().all(|line| line.len() == "writer 0 line 000".len()), "a line is torn");
}

#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let workplace = Workplace::new();
    let path = workplace.path("x.log");
    let log = file(&path, &[]);
    with(&log, || info!("one"));
    std::fs::rename(&path, workplace.path("old.log")).unwrap();
    with(&log, || info!("two"));
    std::fs::rename(&path, workplace.path("older.log")).unwrap();
    log.reopen();
    with(&log, || info!("three"));
    assert_eq!(lines(&workplace.path("old.log")), ["one"]);
    assert_eq!(lines(&workplace.path("older.log")), ["two"]);
    assert_eq!(lines(&path), ["three"]);
}

#[test]
fn a_log_file_that_cannot_be_opened_is_told_at_once() {
    let told = try_open(&[("logfile", "/nonexistent/x.log")], Verbosity::Normal).unwrap_err().to_string();
    assert!(told.starts_with("open the log file /nonexistent/x.log: "), "{told}");
}

/// A file system of 64 KiB, gone with the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: PathBuf) -> Result<Self, String> {
        std::fs::create_dir(&folder).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&folder).output();
        let mount = mount.map_err(|error| error.to_string())?;
        if mount.status.success() {
            Ok(Self(folder))
        } else {
            Err(String::from_utf8_lossy(&mount.stderr).into_owned())
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_costs_lines_and_not_the_job() {
    let workplace = Workplace::new();
    let disk = match SmallDisk::mount(workplace.path("disk")) {
        Ok(disk) => disk,
        Err(why) => {
            eprintln!("skipped: mounting a small tmpfs is not permitted: {why}");
            return;
        }
    };
    let path = disk.0.join("x.log");
    let log = file(&path, &[]);
    let filler = disk.0.join("filler");
    with(&log, || info!("before"));
    while std::fs::write(&filler, vec![0; 60 * 1024]).is_err() {}
    with(&log, || (0..1000).for_each(|number| info!("{number:0100}")));
    let kept = lines(&path).iter().filter(|line| line.len() == 100).count();
    assert!(kept < 1000, "the disk was not full");
    std::fs::remove_file(&filler).unwrap();
    with(&log, || info!("after"));
    with(&log, || info!("later"));
    drop(log);
    let lines = lines(&path);
    let told = format!("log file: {} records could not be written and are lost", 1000 - kept);
    assert_eq!(lines[lines.len() - 3..], [told, "after".to_owned(), "later".to_owned()]);
    assert_eq!(lines[0], "before");
}
