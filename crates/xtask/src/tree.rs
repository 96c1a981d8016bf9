//! A private copy of a server, into which we install.
//!
//! Tests, demo and benches never touch the machine's PostgreSQL. A server finds its modules and shared files
//! relative to its own executable, so a copy in which the folders lie to each other as they did works anywhere.
//! The executable must be a real copy (the server follows links to itself), the rest is small.
//!
//! A copy is needed for each major and each kind of build: `target/server/15-dev`, `15-release`, `15-peer`.

use crate::command::{OrSay, Outcome, capture, fail, is_root};
use crate::server::Server;
use crate::settings::Settings;
use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fs::{self, DirBuilder, Permissions};
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{self, Command};

/// The copy, and where its parts are.
#[derive(Debug)]
pub struct Tree {
    /// All of it.
    pub root: PathBuf,
    /// The programs: what `PGQ_SERVER` and `PGQ_PEER` name.
    pub bindir: PathBuf,
    /// The loadable modules.
    pub pkglibdir: PathBuf,
    /// `extension/` is in it.
    pub sharedir: PathBuf,
}

/// Tells from what a tree was copied; without it a tree is not finished.
const ORIGIN: &str = ".copied-from";

impl Tree {
    /// Where a copy of the server would be.
    pub fn place(settings: &Settings, server: &Server, kind: &str) -> Outcome<Tree> {
        let root = home(settings)?.join("server").join(format!("{}-{kind}", server.major));
        let trunk = trunk(server);
        let branch = |folder: &Path| root.join(folder.strip_prefix(&trunk).unwrap_or(folder));
        Ok(Tree {
            bindir: branch(&server.bindir),
            pkglibdir: branch(&server.pkglibdir),
            sharedir: branch(&server.sharedir),
            root,
        })
    }

    /// Whether it is there, whole, and of this very server.
    pub fn is_copy_of(&self, server: &Server) -> bool {
        fs::read_to_string(self.root.join(ORIGIN)).is_ok_and(|origin| origin == origin_of(server))
    }

    /// A copy of the server: the one that is there, or a new one.
    pub fn of(settings: &Settings, server: &Server, kind: &str) -> Outcome<Tree> {
        if !server.has_programs() {
            return fail(format!(
                "{} has no server to run (postgres, initdb, psql and pgbench are needed)\n\
                 install it, or let PG_CONFIG name another one",
                server.bindir.display()
            ));
        }
        let tree = Tree::place(settings, server, kind)?;
        if tree.is_copy_of(server) {
            return Ok(tree);
        }
        println!("copying {} to {}", server.version, tree.root.display());
        let scratch = tree.root.with_extension(format!("{}.new", process::id()));
        let trunk = trunk(server);
        let mut parts = vec![&server.bindir, &server.pkglibdir, &server.sharedir];
        parts.extend(&server.beside);
        for part in parts {
            let to = scratch.join(part.strip_prefix(&trunk).unwrap_or(part));
            copy(part, &to, *part == server.bindir)
                .or_say(|| format!("copy {} to {}", part.display(), to.display()))?;
        }
        open_to_all(&scratch, &tree.root)?;
        fs::write(scratch.join(ORIGIN), origin_of(server))
            .or_say(|| format!("write in {}", scratch.display()))?;
        replace_folder(&scratch, &tree.root)?;
        Ok(tree)
    }
}

/// The folder that all parts of a server lie under.
fn trunk(server: &Server) -> PathBuf {
    let parts = [&server.pkglibdir, &server.sharedir].into_iter().chain(&server.beside);
    parts.fold(server.bindir.clone(), |trunk, part| {
        trunk.components().zip(part.components()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
    })
}

/// Changes when the server is upgraded or replaced.
fn origin_of(server: &Server) -> String {
    let executable = fs::metadata(server.bindir.join("postgres"));
    let age = executable.map(|file| (file.mtime(), file.size())).unwrap_or_default();
    format!("{}\n{}\n{age:?}\n", server.version, server.bindir.display())
}

/// Copies a folder, without what only builds need and without an installed PgQ: trees get theirs from us.
///
/// Where programs of all kinds share a folder, only PostgreSQL's are taken.
fn copy(from: &Path, to: &Path, programs: bool) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let ours = ["pgq", "londiste"].iter().any(|start| name.starts_with(start));
        if ours || name == "pgxs" || name.ends_with(".a") || (programs && !is_postgres_program(&name)) {
            continue;
        }
        let target = to.join(&name);
        match fs::read_link(&path) {
            Ok(link) if link.components().count() == 1 => symlink(link, target)?,
            Ok(_) if !path.exists() => (),
            _ if path.is_dir() => copy(&path, &target, false)?,
            _ => fs::copy(&path, &target).map(drop)?,
        }
    }
    Ok(())
}

fn is_postgres_program(name: &str) -> bool {
    let others = ["postgres", "postmaster", "initdb", "psql", "createdb", "dropdb", "createuser", "dropuser"];
    name.starts_with("pg_") || name == "pgbench" || name.ends_with("db") || others.contains(&name)
}

/// Lets every user read what is under `made`, and pass through the folders of ours on the way to `place`.
fn open_to_all(made: &Path, place: &Path) -> Outcome {
    let mut waiting = vec![made.to_owned()];
    while let Some(path) = waiting.pop() {
        let about = fs::symlink_metadata(&path).or_say(|| format!("look at {}", path.display()))?;
        if about.is_symlink() {
            continue;
        }
        let mode = about.mode() & 0o777;
        let wanted = if about.is_dir() || mode & 0o100 != 0 { mode | 0o555 } else { mode | 0o444 };
        if wanted != mode {
            fs::set_permissions(&path, Permissions::from_mode(wanted))
                .or_say(|| format!("open {} to other users", path.display()))?;
        }
        if about.is_dir() {
            let entries = fs::read_dir(&path).or_say(|| format!("read {}", path.display()))?;
            waiting.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        }
    }
    if let Some(parent) = place.parent() {
        // Only ever more than it was: it may be a folder that others share.
        let mode = fs::metadata(parent).map_or(0o755, |about| about.mode() & 0o7777);
        let _ = fs::set_permissions(parent, Permissions::from_mode(mode | 0o755));
    }
    Ok(())
}

/// Puts a finished folder in the place of another, which may be in use.
fn replace_folder(new: &Path, place: &Path) -> Outcome {
    let old = place.with_extension(format!("{}.old", process::id()));
    if place.exists() {
        fs::rename(place, &old).or_say(|| format!("move {} away", place.display()))?;
    }
    fs::rename(new, place).or_say(|| format!("make {}", place.display()))?;
    // A server that still runs from it keeps its open files; what cannot be removed is only in the way.
    let _ = fs::remove_dir_all(old);
    Ok(())
}

/// The folder for clusters that live as long as a test: anybody may make one in it, as in a temp folder.
pub fn scratch(settings: &Settings) -> Outcome<PathBuf> {
    let folder = home(settings)?.join("clusters");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::set_permissions(&folder, Permissions::from_mode(0o1777)))
        .or_say(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

/// The folder that trees and clusters lie in: `target`, or a folder in the temp folder.
///
/// PostgreSQL refuses to run as root. When we are root the server runs as another user, who may have no way
/// into a source tree under, say, root's home.
pub fn home(settings: &Settings) -> Outcome<PathBuf> {
    let target = settings.target("");
    fs::create_dir_all(&target).or_say(|| format!("make {}", target.display()))?;
    if !is_root()? {
        return Ok(target);
    }
    let Some(wall) = closed_to(unprivileged_uid()?, &target) else { return Ok(target) };
    let mut hasher = DefaultHasher::new();
    settings.repo.hash(&mut hasher);
    let folder = env::temp_dir().join(format!("pgq-build-{:016x}", hasher.finish()));
    if !folder.exists() {
        println!(
            "servers run as an unprivileged user, who cannot pass {}: they go to {}",
            wall.display(),
            folder.display()
        );
        DirBuilder::new().mode(0o755).create(&folder).or_say(|| format!("make {}", folder.display()))?;
    }
    let about = fs::symlink_metadata(&folder).or_say(|| format!("look at {}", folder.display()))?;
    if !about.is_dir() || about.uid() != 0 || about.mode() & 0o022 != 0 {
        return fail(format!("{} is not a folder of root's alone; remove it", folder.display()));
    }
    Ok(folder)
}

/// The first folder on the way to a path that the user cannot pass.
fn closed_to(uid: u32, path: &Path) -> Option<PathBuf> {
    let passable = |folder: &Path| {
        let Ok(about) = fs::metadata(folder) else { return true };
        about.mode() & if about.uid() == uid { 0o100 } else { 0o001 } != 0
    };
    let mut way: Vec<&Path> = path.ancestors().filter(|folder| !folder.as_os_str().is_empty()).collect();
    way.reverse();
    way.into_iter().find(|folder| !passable(folder)).map(Path::to_owned)
}

/// Who runs servers when we are root: `postgres` where there is one, else `nobody`.
fn unprivileged_uid() -> Outcome<u32> {
    let ask = |user: &str| capture(Command::new("id").args(["-u", user]));
    let uid = ask("postgres").or_else(|_| ask("nobody"))?;
    uid.trim().parse().or_else(|_| fail("`id -u nobody` tells no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(bindir: &str, pkglibdir: &str, sharedir: &str, beside: &[&str]) -> Server {
        Server {
            pg_config: "pg_config".into(),
            version: "PostgreSQL 15.1".into(),
            major: 15,
            bindir: bindir.into(),
            pkglibdir: pkglibdir.into(),
            sharedir: sharedir.into(),
            headers: PathBuf::new(),
            beside: beside.iter().map(PathBuf::from).collect(),
            libclang: Vec::new(),
        }
    }

    #[test]
    fn the_trunk_is_where_all_parts_meet() {
        let debian = server(
            "/usr/lib/postgresql/15/bin",
            "/usr/lib/postgresql/15/lib",
            "/usr/share/postgresql/15",
            &[],
        );
        assert_eq!(trunk(&debian), Path::new("/usr"));
        let wheel = server("/w/pg/install/bin", "/w/pg/install/lib", "/w/pg/install/share", &["/w/pg.libs"]);
        assert_eq!(trunk(&wheel), Path::new("/w"));
    }

    #[test]
    fn of_a_crowded_folder_only_postgres_programs_are_taken() {
        for name in ["postgres", "initdb", "pg_ctl", "pgbench", "vacuumdb", "psql"] {
            assert!(is_postgres_program(name), "{name}");
        }
        for name in ["python3", "gcc", "pgqd", "pgrep"] {
            assert!(!is_postgres_program(name), "{name}");
        }
    }

    #[test]
    fn a_folder_of_root_is_a_wall_to_others() {
        let place = env::temp_dir().join(format!("pgq-wall-{}", process::id()));
        let inner = place.join("inner");
        fs::create_dir_all(&inner).expect("a folder");
        fs::set_permissions(&place, Permissions::from_mode(0o700)).expect("a closed folder");
        let uid = fs::metadata(&place).expect("its owner").uid();
        assert_eq!(closed_to(uid, &inner), None);
        assert_eq!(closed_to(uid + 1, &inner), Some(place.clone()));
        fs::remove_dir_all(place).expect("cleaned up");
    }
}
