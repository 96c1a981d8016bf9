//! Building our extensions and putting their files into a server.
//!
//! An extension is a `NAME.control` file in the root, a folder `sql/NAME` whose `install.order` tells how its
//! script is put together, and, if the control file names a module, a library.
//!
//! Files are replaced by rename, never in place: a running server may have them mapped.

use crate::command::{OrSay, Outcome, fail, run};
use crate::place::{Piece, place};
use crate::prepare;
use crate::server::Server;
use crate::settings::{Profile, Settings};
use crate::tree::Tree;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One extension: its control file and what it says.
struct Extension {
    name: String,
    control: PathBuf,
    module: Option<String>,
}

/// Everything to install: modules go to the pkglibdir, the rest to `sharedir/extension`.
struct Pieces {
    modules: Vec<Piece>,
    shared: Vec<Piece>,
}

/// Cargo, told for which server to build and where to keep what depends on the server.
pub fn cargo_for(settings: &Settings, server: &Server, verb: &str) -> Command {
    let mut cargo = cargo(settings, verb);
    cargo.env("PGRX_PG_CONFIG_PATH", &server.pg_config);
    cargo.envs(server.libclang.iter().map(|(name, value)| (name, value)));
    cargo.arg("--target-dir").arg(settings.target(server.feature()));
    cargo
}

/// Cargo, for what knows no server.
pub fn cargo(settings: &Settings, verb: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&settings.repo).arg(verb);
    cargo
}

/// Builds the library and returns where it is.
pub fn build(settings: &Settings, server: &Server, profile: Profile) -> Outcome<PathBuf> {
    let mut cargo = cargo_for(settings, server, "build");
    cargo.args(["--package", "pgq", "--lib"]).args(choices(&server.feature(), profile));
    run(&mut cargo)?;
    Ok(settings.target(server.feature()).join(profile.folder()).join("libpgq.so"))
}

/// What makes a build the one or the other.
fn choices(feature: &str, profile: Profile) -> Vec<String> {
    match profile {
        Profile::Dev => vec!["--features".to_owned(), format!("{feature},failpoints")],
        Profile::Release => vec!["--features".to_owned(), feature.to_owned(), "--release".to_owned()],
    }
}

/// Builds, and installs into a private tree of its own.
pub fn stage(settings: &Settings, server: &Server, profile: Profile) -> Outcome<Tree> {
    let library = build(settings, server, profile)?;
    let pieces = pieces(settings, &library)?;
    let tree = Tree::of(settings, server, profile.name())?;
    let extensions = tree.sharedir.join("extension");
    remove_others(&extensions, &pieces.shared)?;
    place(&pieces.modules, &tree.pkglibdir)?;
    place(&pieces.shared, &extensions)?;
    Ok(tree)
}

/// Installs a release build into the user's server.
pub fn install(settings: &Settings) -> Outcome {
    let server = prepare::server(settings)?;
    if settings.pg_config.is_none() && server.bindir.starts_with(settings.target("")) {
        return fail(
            "the machine has no PostgreSQL with headers to install into; \
             name yours: make install PG_CONFIG=/path/to/pg_config",
        );
    }
    let library = build(settings, &server, Profile::Release)?;
    let pieces = pieces(settings, &library)?;
    let (modules, shared) = (
        settings.under_destdir(&server.pkglibdir),
        settings.under_destdir(&server.sharedir.join("extension")),
    );
    for (pieces, folder) in [(&pieces.modules, modules), (&pieces.shared, shared)] {
        place(pieces, &folder)?;
        for piece in pieces {
            println!("installed {}", folder.join(&piece.name).display());
        }
    }
    Ok(())
}

fn pieces(settings: &Settings, library: &Path) -> Outcome<Pieces> {
    let version = workspace_version(&read(&settings.repo.join("Cargo.toml"))?)?;
    let mut pieces = Pieces { modules: Vec::new(), shared: Vec::new() };
    for extension in extensions(settings, &version)? {
        let name = &extension.name;
        let control = read(&extension.control)?.into_bytes();
        pieces.shared.push(Piece { name: format!("{name}.control"), bytes: control, mode: 0o644 });
        let script = script(name, &settings.repo.join("sql").join(name))?.into_bytes();
        pieces.shared.push(Piece { name: format!("{name}--{version}.sql"), bytes: script, mode: 0o644 });
        for upgrade in upgrades(settings, name)? {
            let file = upgrade.file_name().unwrap_or_default().to_string_lossy().into_owned();
            pieces.shared.push(Piece { name: file, bytes: read(&upgrade)?.into_bytes(), mode: 0o644 });
        }
        if let Some(module) = extension.module {
            if library.file_name().is_none_or(|file| *file != *format!("lib{module}.so")) {
                return fail(format!(
                    "{name}.control names the module {module}, which no library of ours is"
                ));
            }
            let bytes = fs::read(library).or_say(|| format!("read {}", library.display()))?;
            pieces.modules.push(Piece { name: format!("{module}.so"), bytes, mode: 0o755 });
        }
    }
    Ok(pieces)
}

/// The extensions of the root, all of the workspace's version: a release is one number.
fn extensions(settings: &Settings, version: &str) -> Outcome<Vec<Extension>> {
    let mut found = Vec::new();
    for control in files(&settings.repo, ".control")? {
        let name = control.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = read(&control)?;
        let said = setting(&text, "default_version").unwrap_or_default();
        if said != version {
            return fail(format!(
                "{name}.control has default_version = '{said}', Cargo.toml has version = \"{version}\": make them agree"
            ));
        }
        let module =
            setting(&text, "module_pathname").map(|path| path.trim_start_matches("$libdir/").to_owned());
        found.push(Extension { name, control, module });
    }
    if found.is_empty() {
        fail("the root has no *.control file: there is no extension to install")
    } else {
        Ok(found)
    }
}

/// `name = 'value'` in a control file.
fn setting<'a>(control: &'a str, name: &str) -> Option<&'a str> {
    control.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then(|| value.trim().trim_matches('\''))
    })
}

/// `version` under `[workspace.package]`.
fn workspace_version(manifest: &str) -> Outcome<String> {
    let mut section = "";
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[workspace.package]"
            && let Some((key, value)) = line.split_once('=')
            && key.trim() == "version"
        {
            return Ok(value.trim().trim_matches('"').to_owned());
        }
    }
    fail("Cargo.toml has no version under [workspace.package]")
}

/// The install script: what `install.order` lists, in that order.
///
/// A line names a file, or all files of a folder by `FOLDER/*.sql`, in the order of the alphabet. Every `.sql`
/// file of the extension must be named exactly once, so that none is forgotten.
fn script(extension: &str, folder: &Path) -> Outcome<String> {
    let order = folder.join("install.order");
    let mut script = format!("\\echo Use \"CREATE EXTENSION {extension}\" to load this file. \\quit\n");
    let mut named = BTreeSet::new();
    let text = read(&order)?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    for line in lines.filter(|line| !line.is_empty()) {
        let of_line = match line.strip_suffix("/*.sql") {
            Some(below) => files(&folder.join(below), ".sql")?,
            None => vec![folder.join(line)],
        };
        for file in of_line {
            let shown = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
            script.push_str(&format!("\n-- {shown}\n\n{}\n", read(&file)?.trim()));
            if !named.insert(file) {
                return fail(format!("{} names {shown} twice", order.display()));
            }
        }
    }
    match sql_files(folder)?.iter().find(|file| !named.contains(*file)) {
        Some(forgotten) => fail(format!("{} does not name {}", order.display(), forgotten.display())),
        None => Ok(script),
    }
}

fn sql_files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = files(folder, ".sql")?;
    for below in files(folder, "")?.into_iter().filter(|path| path.is_dir()) {
        found.extend(sql_files(&below)?);
    }
    Ok(found)
}

/// Upgrade scripts of an extension: `sql/upgrade/NAME--FROM--TO.sql`.
fn upgrades(settings: &Settings, name: &str) -> Outcome<Vec<PathBuf>> {
    let folder = settings.repo.join("sql/upgrade");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let start = format!("{name}--");
    let is_its =
        |path: &PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&start));
    Ok(files(&folder, ".sql")?.into_iter().filter(is_its).collect())
}

/// The paths in a folder whose names end so, in the order of the alphabet.
fn files(folder: &Path, ending: &str) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).or_say(|| format!("read {}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ending)))
        .collect();
    found.sort();
    Ok(found)
}

/// Removes what an earlier state of the source staged into a private tree and this one does not.
fn remove_others(folder: &Path, pieces: &[Piece]) -> Outcome {
    let names: Vec<&str> = pieces.iter().filter_map(|piece| piece.name.strip_suffix(".control")).collect();
    for file in files(folder, ".sql")? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ours = names.iter().any(|extension| name.starts_with(&format!("{extension}--")));
        if ours && !pieces.iter().any(|piece| piece.name == name) {
            fs::remove_file(&file).or_say(|| format!("remove {}", file.display()))?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).or_say(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, process};

    /// A folder with these files, and what `script` makes of it.
    fn script_of(name: &str, files: &[(&str, &str)]) -> Outcome<String> {
        let folder = env::temp_dir().join(format!("pgq-script-{name}-{}", process::id()));
        for (file, text) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let script = script("pgq", &folder);
        fs::remove_dir_all(&folder).expect("cleaned up");
        script
    }

    #[test]
    fn what_people_install_has_no_failpoints() {
        let release = choices("pg15", Profile::Release);
        assert_eq!(release, ["--features", "pg15", "--release"]);
        assert!(choices("pg15", Profile::Dev).iter().any(|choice| choice.contains("failpoints")));
        // Nor does any other feature bring them.
        let manifest =
            read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))).expect("a manifest");
        let features =
            manifest.split("[features]").nth(1).expect("features").split("\n[").next().unwrap_or_default();
        let naming: Vec<&str> = features.lines().filter(|line| line.contains("failpoints")).collect();
        assert_eq!(naming, ["failpoints = []"]);
    }

    #[test]
    fn the_script_follows_the_order_and_folders_the_alphabet() {
        let script = script_of(
            "order",
            &[
                ("install.order", "tables.sql  # first\n\nfunctions/*.sql\ngrants.sql\n"),
                ("grants.sql", "GRANT;"),
                ("tables.sql", "CREATE TABLE;"),
                ("functions/b.sql", "B;"),
                ("functions/a.sql", "A;\n"),
            ],
        )
        .expect("a script");
        assert!(script.starts_with("\\echo Use \"CREATE EXTENSION pgq\" to load this file. \\quit\n"));
        let statements: Vec<&str> = script.lines().filter(|line| line.ends_with(';')).collect();
        assert_eq!(statements, ["CREATE TABLE;", "A;", "B;", "GRANT;"]);
    }

    #[test]
    fn a_forgotten_file_is_refused_by_name() {
        let files = [("install.order", "a.sql\n"), ("a.sql", ""), ("functions/lost.sql", "")];
        assert!(script_of("lost", &files).expect_err("lost").to_string().contains("does not name"));
    }

    #[test]
    fn a_file_named_twice_is_refused_by_name() {
        let files = [("install.order", "functions/a.sql\nfunctions/*.sql\n"), ("functions/a.sql", "")];
        assert!(script_of("twice", &files).expect_err("twice").to_string().contains("functions/a.sql twice"));
    }

    #[test]
    fn control_settings_and_the_workspace_version_are_read() {
        let control = "comment = 'a = b'\ndefault_version = '4.0.0'\nmodule_pathname='$libdir/pgq'\n";
        assert_eq!(setting(control, "default_version"), Some("4.0.0"));
        assert_eq!(setting(control, "module_pathname"), Some("$libdir/pgq"));
        assert_eq!(setting(control, "schema"), None);
        let manifest =
            "[package]\nversion = \"1\"\n[workspace.package]\nedition = \"2024\"\nversion = \"4.0.0\"\n";
        assert_eq!(workspace_version(manifest).expect("a version"), "4.0.0");
    }
}
