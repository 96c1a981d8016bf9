#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::*;

fn settings(conninfo: &str, variables: &[(&str, &str)]) -> Result<Settings> {
    let environment = Environment::made_of(variables, Path::new("/nonexistent"));
    Settings::new(&Conninfo::parse(conninfo).unwrap(), Some("job"), &environment)
}

fn error(conninfo: &str) -> String {
    settings(conninfo, &[]).err().unwrap_or_else(|| panic!("{conninfo} is accepted")).to_string()
}

fn hosts(conninfo: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let settings = settings(conninfo, variables).unwrap();
    settings.hosts.iter().map(|host| format!("{:?} {}", host.place, host.port)).collect()
}

#[test]
fn what_nobody_says_is_as_libpq_has_it() {
    let settings = settings("", &[]).unwrap();
    assert_eq!(settings.startup.get_user(), Some("joe"));
    assert_eq!(settings.startup.get_dbname(), Some("joe"));
    assert_eq!(settings.startup.get_application_name(), Some("job"));
    assert_eq!(settings.connect_timeout, Some(Duration::from_secs(15)));
    assert_eq!(settings.keepalive, Some(Keepalive { idle: 240, interval: 15, count: 4 }));
    assert_eq!(self::settings("host=a", &[]).unwrap().tls.mode, tls::Mode::Prefer);
    assert_eq!(hosts("", &[]), ["Socket(\"/var/run/postgresql\") 5432", "Socket(\"/tmp\") 5432"]);
}

#[test]
fn the_connect_string_comes_before_the_service_and_that_before_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = folder.join("services");
    std::fs::write(&file, "[shop]\nhost=service\nport=1\nuser=service\n").unwrap();
    let variables = [
        ("PGSERVICEFILE", file.to_str().unwrap()),
        ("PGHOST", "variable"),
        ("PGUSER", "variable"),
        ("PGDATABASE", "variable"),
        ("PGAPPNAME", "variable"),
        ("PGCONNECT_TIMEOUT", "0"),
        ("PGTZ", "Europe/Tallinn"),
        ("PGOPTIONS", "-c geqo=off"),
    ];
    let found = settings("service=shop user=string keepalives=0", &variables).unwrap();
    assert_eq!(found.hosts[0].place, Place::Name("service".into()));
    assert_eq!(found.hosts[0].port, 1);
    assert_eq!(found.startup.get_user(), Some("string"));
    assert_eq!(found.startup.get_dbname(), Some("variable"));
    assert_eq!(found.startup.get_application_name(), Some("variable"));
    assert_eq!(found.startup.get_options(), Some("-c timezone=Europe/Tallinn -c geqo=off"));
    assert_eq!((found.connect_timeout, found.keepalive), (None, None));
    // What is empty is as if nobody had said it, but keeps others from saying it.
    assert_eq!(settings("dbname='' user=x", &variables).unwrap().startup.get_dbname(), Some("x"));
}

#[test]
fn hosts_addresses_and_ports_are_lists_that_match() {
    assert_eq!(
        hosts("host=a,/run,,@x port=1,2,,4", &[]),
        [
            "Name(\"a\") 1",
            "Socket(\"/run\") 2",
            "Socket(\"/var/run/postgresql\") 5432",
            "Socket(\"/tmp\") 5432",
            "Socket(\"\\0x\") 4"
        ]
    );
    assert_eq!(hosts("host=a,b port=7", &[]), ["Name(\"a\") 7", "Name(\"b\") 7"]);
    assert_eq!(
        hosts("host=a,b hostaddr=192.0.2.1,::1", &[]),
        ["Address(192.0.2.1) 5432", "Address(::1) 5432"]
    );
    assert_eq!(error("host=a hostaddr=::1,::2"), "could not match 1 host names to 2 hostaddr values");
    assert_eq!(error("host=a,b port=1,2,3"), "could not match 3 port numbers to 2 hosts");
    assert_eq!(error("hostaddr=a"), "hostaddr \"a\" is no network address");
    for uri in ["postgresql://u:secret/x@h/db", "postgresql://h:0", "postgresql://h:65536"] {
        assert_eq!(error(uri), "the port of host 1 is no number from 1 to 65535", "{uri}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    for (conninfo, expected) in [
        ("sslmode=maybe", "invalid sslmode value: \"maybe\""),
        ("sslmode=", "invalid sslmode value: \"\""),
        ("target_session_attrs=''", "invalid target_session_attrs value: \"\""),
        ("connect_timeout=''", "invalid integer value \"\" for connection option connect_timeout"),
        (
            "tcp_user_timeout=9999999999",
            "invalid integer value \"9999999999\" for connection option tcp_user_timeout",
        ),
        ("connect_timeout=soon", "invalid integer value \"soon\" for connection option connect_timeout"),
        ("client_encoding=latin1", "client_encoding=latin1 is not supported in connect strings"),
        ("scram_client_key=secret", "scram_client_key=[...] is not supported in connect strings"),
        ("require_auth=none", "require_auth=none is not supported in connect strings"),
        ("sslrootcert=system sslmode=require", "sslrootcert=system needs sslmode=verify-full"),
        ("sslnegotiation=direct", "sslnegotiation=direct needs sslmode=require, verify-ca or verify-full"),
        ("ssl_max_protocol_version=TLSv1.1", "the TLS versions that are allowed are none of 1.2 and 1.3"),
        ("service=none", "definition of service \"none\" not found"),
        (
            "host=a sslmode=verify-ca sslrootcert=/nonexistent/root.crt",
            "root certificate file \"/nonexistent/root.crt\" does not exist: this sslmode needs it",
        ),
    ] {
        assert_eq!(error(conninfo), expected);
    }
    assert!(settings("client_encoding=UTF8 gssencmode=prefer replication=false", &[]).is_ok());
    assert_eq!(settings("host=a sslrootcert=system", &[]).unwrap().tls.mode, tls::Mode::VerifyFull);
    assert!(settings("ssl_min_protocol_version=tlsv1.3 ssl_max_protocol_version=''", &[]).is_ok());
}

#[test]
fn numbers_below_one_are_as_libpq_has_them() {
    let told = settings(
        "connect_timeout=0 keepalives_idle=0 keepalives_interval=-1 keepalives_count=' 7 ' tcp_user_timeout=-1",
        &[],
    )
    .unwrap();
    assert_eq!(told.connect_timeout, None);
    assert_eq!(told.keepalive, Some(Keepalive { idle: 240, interval: 15, count: 7 }));
    assert_eq!(told.tcp_user_timeout, None);
    assert_eq!(settings("connect_timeout=-1", &[]).unwrap().connect_timeout, None);
}

#[test]
fn sockets_need_no_certificates() {
    for conninfo in ["sslmode=verify-full", "host=/run sslmode=verify-ca", "host=/run,@x sslmode=verify-ca"] {
        assert_eq!(settings(conninfo, &[]).unwrap().tls.mode, tls::Mode::Disable, "{conninfo}");
    }
    assert!(settings("host=/run,a sslmode=verify-ca", &[]).is_err());
}

#[test]
fn each_host_has_its_password() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = folder.join(".pgpass");
    std::fs::write(
        &file,
        "localhost:*:*:joe:socket\n192.0.2.1:*:*:joe:address\na:1:shop:joe:a1\na:*:*:joe:a\n/run:*:*:joe:run\n",
    )
    .unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let environment = Environment::made_of(&[], folder);
    let passwords = |conninfo: &str| -> Vec<Option<String>> {
        let settings = Settings::new(&Conninfo::parse(conninfo).unwrap(), None, &environment).unwrap();
        settings.hosts.into_iter().map(|host| host.password).collect()
    };
    let some = |password: &str| Some(password.to_owned());
    assert_eq!(passwords("host=a,b,/run,/tmp"), [some("a"), None, some("run"), some("socket")]);
    assert_eq!(passwords("host=a port=1 dbname=shop"), [some("a1")]);
    assert_eq!(passwords("hostaddr=192.0.2.1"), [some("address")]);
    assert_eq!(passwords("host=a hostaddr=192.0.2.1"), [some("a")]);
    assert_eq!(passwords("host=a password=mine"), [some("mine")]);
}

#[test]
fn a_connect_string_is_checked_without_its_surroundings() {
    let check = |conninfo| Conninfo::parse(conninfo).unwrap().check().map_err(|error| error.to_string());
    for conninfo in [
        "",
        "service=none",
        "dbname=a passfile=/none",
        "host=a sslmode=verify-full sslrootcert=/none sslcrl=/none",
    ] {
        assert_eq!(check(conninfo), Ok(()), "{conninfo}");
    }
    assert_eq!(check("service=none sslmode=maybe").unwrap_err(), "invalid sslmode value: \"maybe\"");
    assert_eq!(check("host=a port=x").unwrap_err(), "the port of host 1 is no number from 1 to 65535");
}
