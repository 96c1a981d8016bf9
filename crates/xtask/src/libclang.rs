//! libclang, with which the build reads the server's headers.
//!
//! The library alone is not enough: it needs its own `stddef.h` and friends beside it. Debian brings them in a
//! package that comes with `libclang-dev`; the wheel has the library only, and is lent gcc's.

use crate::command::{Outcome, capture};
use crate::settings::Settings;
use crate::wheels;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether the build finds a libclang with headers without being told.
pub fn is_on_the_machine() -> bool {
    env::var_os("LIBCLANG_PATH").is_some() || (library().is_some() && own_headers().is_some())
}

/// What must be in the build's environment: nothing when libclang is on the machine, else the wheel's place.
pub fn environment(settings: &Settings) -> Outcome<Vec<(&'static str, String)>> {
    if is_on_the_machine() {
        return Ok(Vec::new());
    }
    let library = wheels::LIBCLANG.found(settings)?;
    let folder = library.parent().unwrap_or(&library);
    let headers = capture(Command::new("gcc").arg("-print-file-name=include"))?;
    Ok(vec![
        ("LIBCLANG_PATH", folder.display().to_string()),
        ("BINDGEN_EXTRA_CLANG_ARGS", format!("-I{}", headers.trim())),
    ])
}

/// The folders that the clang-sys crate looks into.
fn library_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        ["/usr/lib64", "/usr/lib", "/usr/local/lib", "/usr/local/lib64"].map(PathBuf::from).into();
    for entry in entries("/usr/lib") {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("llvm") {
            folders.push(entry.join("lib"));
        } else if name.ends_with("-linux-gnu") {
            folders.push(entry);
        }
    }
    folders
}

fn library() -> Option<PathBuf> {
    let is_libclang = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let right_start = name.starts_with("libclang.so") || name.starts_with("libclang-");
        right_start && name.contains(".so") && !name.starts_with("libclang-cpp") && path.exists()
    };
    library_folders().iter().flat_map(entries).find(is_libclang)
}

fn own_headers() -> Option<PathBuf> {
    let homes = library_folders().into_iter().map(|folder| folder.join("clang"));
    homes.flat_map(entries).map(|version| version.join("include/stddef.h")).find(|header| header.is_file())
}

fn entries(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort();
    found
}
