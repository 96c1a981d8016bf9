//! PostgreSQL from the packages of Debian and its descendants.

use crate::command::{OrSay, Outcome, capture, run};
use crate::server::Server;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether packages can be had by apt-get at all.
pub fn is_here() -> bool {
    Path::new("/etc/debian_version").exists() && Path::new("/usr/bin/apt-get").exists()
}

/// The packaged server of a major, when it is complete enough to be run.
pub fn server(major: u32) -> Option<Server> {
    let server = Server::of(&pg_config(major)).ok()?;
    (server.has_programs() && server.major == major).then_some(server)
}

fn pg_config(major: u32) -> PathBuf {
    format!("/usr/lib/postgresql/{major}/bin/pg_config").into()
}

/// The packages that a build for this major lacks.
pub fn missing_packages(major: u32, libclang_is_here: bool) -> Vec<String> {
    let server = server(major);
    let mut packages = Vec::new();
    if server.is_none() {
        packages.push(format!("postgresql-{major}"));
    }
    if !server.is_some_and(|server| server.has_headers()) {
        packages.push(format!("postgresql-server-dev-{major}"));
    }
    if !libclang_is_here {
        packages.push("libclang-dev".into());
    }
    packages
}

/// The command that a user with the rights would type.
pub fn by_hand(packages: &[String]) -> String {
    format!("sudo apt-get update && sudo apt-get install --no-install-recommends {}", packages.join(" "))
}

/// Installs packages, as root, without leaving a running server on the machine.
///
/// The package of a server creates and starts a cluster named `main` the first time it is configured. While we
/// install it, a file in the drop-in folder of `createcluster.conf` says not to; then the file goes away again,
/// so that the machine's own settings are as they were.
pub fn install(packages: &[String]) -> Outcome {
    println!("installing {}", packages.join(" "));
    run(apt_get().args(["-q", "update"]).stdout(Stdio::null()))?;
    let _no_cluster = NoMainCluster::asked_for()?;
    let mut install = apt_get();
    install.args(["-qq", "-o", "Dpkg::Use-Pty=0", "install", "-y", "--no-install-recommends"]).args(packages);
    capture(&mut install).map(drop)
}

/// apt-get as a script calls it: it asks nothing and waits for another's lock.
pub fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command.args(["-o", "DPkg::Lock::Timeout=300"]);
    command
}

/// The drop-in that keeps the package from creating a cluster, there as long as this value lives.
struct NoMainCluster {
    made: Vec<PathBuf>,
}

impl NoMainCluster {
    fn asked_for() -> Outcome<Self> {
        let home = Path::new("/etc/postgresql-common/createcluster.d");
        let mut missing: Vec<PathBuf> =
            home.ancestors().take_while(|path| !path.exists()).map(Path::to_owned).collect();
        fs::create_dir_all(home).or_say(|| format!("make {}", home.display()))?;
        let file = home.join("pgq-build.conf");
        let text = "# Made by the build of PgQ while it installs packages; may be removed.\ncreate_main_cluster = false\n";
        fs::write(&file, text).or_say(|| format!("write {}", file.display()))?;
        missing.insert(0, file);
        Ok(NoMainCluster { made: missing })
    }
}

impl Drop for NoMainCluster {
    fn drop(&mut self) {
        for path in &self.made {
            // Folders that packages have filled in the meantime stay: removing them fails.
            let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
        }
    }
}
