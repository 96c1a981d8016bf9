//! The original: PgQ 3.5, its cascade pgq_node, its daemon pgqd and its Python framework, as Debian builds them, beside
//! ours to be compared with.
//!
//! Their packages are downloaded and unpacked into a private tree of their own, never installed.

use crate::command::{OrSay, Outcome, capture, fail, is_root, run};
use crate::server::Server;
use crate::settings::Settings;
use crate::tree::Tree;
use crate::{debian, wheels};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The major that Debian 12 builds the original for.
const MAJOR: u32 = 15;

/// The original, its cascade, its daemon with a library that few machines have, and its Python framework with the
/// driver that it uses.
const PACKAGES: [&str; 7] = [
    "postgresql-15-pgq3",
    "postgresql-15-pgq-node",
    "pgqd",
    "libevent-2.1-7",
    "python3-pgq",
    "python3-skytools",
    "python3-psycopg2",
];

/// Where its Python modules lie, below the folder of the programs: what PYTHONPATH has to name.
const PYTHON: &str = "python";

/// Names the packages in a tree, and is written last: a tree without it, or with fewer packages, is made again.
const COMPLETE: &str = ".original-is-here";

/// The original's tree if it is there already; downloads nothing.
pub fn present(settings: &Settings) -> Option<Tree> {
    let server = debian::server(MAJOR).or_else(|| wheels::server_if_unpacked(settings, MAJOR))?;
    let tree = Tree::place(settings, &server, "peer").ok()?;
    let packages = fs::read_to_string(tree.root.join(COMPLETE)).unwrap_or_default();
    (tree.is_copy_of(&server) && packages == PACKAGES.join(" ")).then_some(tree)
}

/// The original's tree, downloaded unless it is there.
pub fn fetch(settings: &Settings) -> Outcome<Tree> {
    if let Some(tree) = present(settings) {
        return Ok(tree);
    }
    let server = base(settings)?;
    let unpacked = unpacked_packages(settings)?;
    let tree = Tree::of(settings, &server, "peer")?;
    let of_debian = |below: &str| unpacked.join(below).join(MAJOR.to_string());
    copy_files(&of_debian("usr/lib/postgresql").join("lib"), &tree.pkglibdir, 0o644)?;
    copy_files(
        &of_debian("usr/share/postgresql").join("extension"),
        &tree.sharedir.join("extension"),
        0o644,
    )?;
    copy_files(&of_debian("usr/share/postgresql").join("contrib"), &tree.sharedir.join("contrib"), 0o644)?;
    place_daemon(&unpacked, &tree)?;
    let modules = unpacked.join("usr/lib/python3/dist-packages/.");
    let python = tree.bindir.join(PYTHON);
    fs::create_dir_all(&python).or_say(|| format!("make {}", python.display()))?;
    run(Command::new("cp").args(["-R", "--no-preserve=ownership"]).args([&modules, &python]))?;
    let complete = tree.root.join(COMPLETE);
    fs::write(&complete, PACKAGES.join(" ")).or_say(|| format!("write {}", complete.display()))?;
    Ok(tree)
}

/// The original needs a server of its own major, headers or not.
fn base(settings: &Settings) -> Outcome<Server> {
    match debian::server(MAJOR) {
        Some(server) => Ok(server),
        None => wheels::server(settings, MAJOR),
    }
}

fn unpacked_packages(settings: &Settings) -> Outcome<PathBuf> {
    if !debian::is_here() {
        return fail("the original comes as Debian packages; this is no Debian");
    }
    let folder = settings.target("peers");
    let (debs, unpacked) = (folder.join("debs"), folder.join("unpacked"));
    fs::create_dir_all(&debs).or_say(|| format!("make {}", debs.display()))?;
    if files(&debs)?.len() < PACKAGES.len() {
        println!("downloading {}", PACKAGES.join(" "));
        download(&debs).or_else(|failure| {
            // A machine that never updated its lists knows no packages.
            if !is_root()? {
                return fail(format!(
                    "{failure}\nperhaps the package lists are missing: sudo apt-get update"
                ));
            }
            run(debian::apt_get().args(["-q", "update"]).stdout(Stdio::null()))?;
            download(&debs)
        })?;
    }
    for deb in files(&debs)? {
        capture(Command::new("dpkg-deb").arg("-x").args([&deb, &unpacked]))?;
    }
    Ok(unpacked)
}

fn download(into: &Path) -> Outcome {
    let mut download = debian::apt_get();
    // Root's apt-get would drop its rights, and then could not write into this folder.
    download.args(["-q", "-o", "APT::Sandbox::User=root", "download"]).args(PACKAGES).current_dir(into);
    capture(&mut download).map(drop)
}

/// The daemon, or in its place a script that shows it the libraries which this machine lacks.
fn place_daemon(unpacked: &Path, tree: &Tree) -> Outcome {
    let original = unpacked.join("usr/bin/pgqd");
    let place = tree.bindir.join("pgqd");
    let needs = capture(Command::new("ldd").arg(&original))?;
    if !needs.contains("not found") {
        return install(&original, &place, 0o755);
    }
    let libraries = tree.root.join("pgqd-libraries");
    let server_libraries = tree.bindir.with_file_name("lib");
    for folder in ["usr/lib", "lib"] {
        for machine in folders(&unpacked.join(folder)) {
            copy_files(&machine, &libraries, 0o644)?;
        }
    }
    let real = tree.bindir.join("pgqd.original");
    install(&original, &real, 0o755)?;
    let script = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH='{}:{}' exec '{}' \"$@\"\n",
        libraries.display(),
        server_libraries.display(),
        real.display()
    );
    fs::write(&place, script)
        .and_then(|()| fs::set_permissions(&place, Permissions::from_mode(0o755)))
        .or_say(|| format!("write {}", place.display()))
}

fn copy_files(from: &Path, to: &Path, mode: u32) -> Outcome {
    fs::create_dir_all(to).or_say(|| format!("make {}", to.display()))?;
    for file in files(from)?.into_iter().filter(|path| path.is_file()) {
        install(&file, &to.join(file.file_name().unwrap_or_default()), mode)?;
    }
    Ok(())
}

fn install(file: &Path, place: &Path, mode: u32) -> Outcome {
    fs::copy(file, place)
        .and_then(|_| fs::set_permissions(place, Permissions::from_mode(mode)))
        .or_say(|| format!("copy {} to {}", file.display(), place.display()))
}

fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).or_say(|| format!("read {}", folder.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let is_of_machine = |path: &PathBuf| path.to_string_lossy().ends_with("-linux-gnu");
    files(folder).unwrap_or_default().into_iter().filter(is_of_machine).collect()
}
