//! TLS: what each `sslmode` accepts, of a server that has certificates.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::sync::LazyLock;

use pgq_tests::cluster::Cluster;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use skytools::db::{Connection, Options};

use crate::kit::{Workplace, wait};

/// A server on a loopback address of this process alone, and the files of those who connect.
struct Secured {
    _cluster: Cluster,
    address: String,
    files: Workplace,
    has_tls: bool,
}

static SECURED: LazyLock<Secured> = LazyLock::new(Secured::new);

/// Somebody who signs.
fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut about = CertificateParams::new(Vec::new()).unwrap();
    about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    about.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certificate = about.self_signed(&key).unwrap().pem();
    (Issuer::new(about, key), certificate)
}

/// A certificate that is signed, and its key.
fn signed(by: &Issuer<'static, KeyPair>, name: &str, alternatives: &[&str]) -> (String, String) {
    let alternatives: Vec<String> = alternatives.iter().map(|name| (*name).to_owned()).collect();
    let mut about = CertificateParams::new(alternatives).unwrap();
    about.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    (about.signed_by(&key, by).unwrap().pem(), key.serialize_pem())
}

impl Secured {
    fn new() -> Self {
        let [_, a, b, c] = std::process::id().to_be_bytes();
        let address = format!("127.{}.{b}.{}", a | 64, c.clamp(1, 254));
        let mut cluster = Cluster::builder().conf("listen_addresses", &address).start();
        let files = Workplace::new();
        let (ca, ca_certificate) = authority("Our CA");
        let (_, other_certificate) = authority("Other CA");
        let (server, server_key) = signed(&ca, "db", &["db.example.com", "*.wild.example.com", &address]);
        let (client, client_key) = signed(&ca, "certified", &[]);
        for (name, text) in [
            ("ca.crt", &ca_certificate),
            ("other.crt", &other_certificate),
            ("server.crt", &server),
            ("client.crt", &client),
            ("client.key", &client_key),
            ("pgpass", &format!("{address}:*:*:scram:it's a secret\ndb.example.com:*:*:scram:wrong\n")),
        ] {
            let file = files.write(name, text);
            std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
        }
        let data = cluster.data_folder();
        let owner = std::fs::metadata(&data).unwrap();
        for (name, text) in [
            ("server.crt", server.as_str()),
            ("server.key", &server_key),
            ("ca.crt", &ca_certificate),
            (
                "pg_hba.conf",
                "local all all trust\n\
                 hostssl all encrypted all trust\n\
                 hostnossl all plain all trust\n\
                 hostssl all certified all cert\n\
                 host all scram all scram-sha-256\n\
                 host all postgres all trust\n",
            ),
        ] {
            let file = data.join(name);
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
            chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        for (name, value) in [
            ("ssl", "on"),
            ("ssl_cert_file", "server.crt"),
            ("ssl_key_file", "server.key"),
            ("ssl_ca_file", "ca.crt"),
        ] {
            cluster.conf_set(name, value);
        }
        cluster.reload();
        let mut session = cluster.connect("postgres");
        session.exec("create role encrypted login; create role plain login; create role certified login");
        session.exec("create role scram login password 'it''s a secret'");
        let has_tls = session.one("select setting <> '' from pg_settings where name = 'ssl_library'", &[]);
        Self { _cluster: cluster, address, files, has_tls }
    }

    fn file(&self, name: &str) -> String {
        self.files.path(name).display().to_string()
    }
}

fn has_no_tls() -> bool {
    if !SECURED.has_tls {
        eprintln!("skipped: the server was built without TLS");
    }
    !SECURED.has_tls
}

/// What the server says of the encryption: version, and the client's name; or the error.
fn connected(conninfo: &str) -> Result<String, String> {
    let all = format!("hostaddr={} dbname=postgres sslrootcert=/nonexistent {conninfo}", SECURED.address);
    wait(async {
        let db = Connection::open("db", &all, Options::autocommit()).await?;
        let sql = "select coalesce(version || coalesce(client_dn, ''), 'plain') \
                   from pg_stat_ssl where pid = pg_backend_pid()";
        Ok(db.query_one(sql, &[]).await?.get(0))
    })
    .map_err(|error: skytools::Error| error.to_string())
}

#[track_caller]
fn fails(conninfo: &str, expected: &str) {
    let error = connected(conninfo).expect_err(conninfo);
    assert!(error.contains(expected), "{conninfo}: {error}");
    assert!(!error.contains("secret"), "{conninfo}: {error}");
}

#[test]
fn each_mode_is_as_strict_as_it_says() {
    if has_no_tls() {
        return;
    }
    let plain = || Ok("plain".to_owned());
    let tls = || Ok("TLSv1.3".to_owned());
    for (conninfo, expected) in [
        ("user=postgres sslmode=disable", plain()),
        ("user=postgres sslmode=allow", plain()),
        ("user=postgres sslmode=prefer", tls()),
        ("user=postgres", tls()),
        ("user=postgres sslmode=require", tls()),
        ("user=encrypted sslmode=allow", tls()),
        ("user=plain sslmode=prefer", plain()),
        ("user=plain sslmode=allow", plain()),
        ("user=postgres sslmode=require ssl_max_protocol_version=TLSv1.2", Ok("TLSv1.2".to_owned())),
    ] {
        assert_eq!(connected(conninfo), expected, "{conninfo}");
    }
    fails("user=encrypted sslmode=disable", "no encryption");
    fails("user=plain sslmode=require", "SSL encryption");
}

#[test]
fn certificates_are_checked_as_far_as_asked() {
    if has_no_tls() {
        return;
    }
    let [ours, other, itself] = ["ca.crt", "other.crt", "server.crt"].map(|name| SECURED.file(name));
    let by = |mode: &str, root: &str, more: &str| {
        format!("user=encrypted sslmode={mode} sslrootcert={root} {more}")
    };
    for accepted in [
        by("verify-ca", &ours, ""),
        by("verify-ca", &ours, "host=wrong.example.com"),
        by("verify-full", &ours, ""),
        by("verify-full", &ours, "host=db.example.com"),
        by("verify-full", &ours, "host=a.wild.example.com"),
        by("verify-full", &itself, "host=db.example.com"),
        by("require", &ours, ""),
    ] {
        assert_eq!(connected(&accepted).as_deref(), Ok("TLSv1.3"), "{accepted}");
    }
    fails(&by("verify-full", &ours, "host=wrong.example.com"), "not valid for name");
    fails(&by("verify-full", &ours, "host=wrong.example.com"), "db.example.com");
    fails(&by("verify-full", &ours, "host=a.b.wild.example.com"), "not valid for name");
    fails(&by("verify-full", &itself, "host=wrong.example.com"), "not valid for name");
    fails(&by("verify-ca", &other, ""), "UnknownIssuer");
    fails(&by("verify-full", &other, "host=db.example.com"), "UnknownIssuer");
    // As libpq: where there are root certificates, they count.
    fails(&by("require", &other, ""), "UnknownIssuer");
    fails("user=encrypted sslmode=verify-full sslrootcert=system host=db.example.com", "UnknownIssuer");
    fails("user=encrypted sslmode=verify-ca", "root certificate file \"/nonexistent\" does not exist");
}

#[test]
fn clients_show_their_certificates() {
    if has_no_tls() {
        return;
    }
    let [certificate, key] = ["client.crt", "client.key"].map(|name| SECURED.file(name));
    let with = format!("user=certified sslmode=require sslcert={certificate}");
    assert_eq!(connected(&format!("{with} sslkey={key}")).as_deref(), Ok("TLSv1.3/CN=certified"));
    fails("user=certified sslmode=require", "requires a valid client certificate");
    fails(&format!("{with} sslkey={key} sslcertmode=disable"), "requires a valid client certificate");
    fails(&format!("{with} sslkey=/nonexistent"), "but not private key file \"/nonexistent\"");
    let open = SECURED.files.write("open.key", &std::fs::read_to_string(&key).unwrap());
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o644)).unwrap();
    let with_open = format!("{with} sslkey={}", open.display());
    fails(&with_open, "has group or world access");
    // A group may read what belongs to root.
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o640)).unwrap();
    if std::fs::metadata(&open).unwrap().uid() == 0 {
        assert_eq!(connected(&with_open).as_deref(), Ok("TLSv1.3/CN=certified"));
    } else {
        fails(&with_open, "has group or world access");
    }
}

#[test]
fn passwords_come_from_the_file_and_are_bound_to_the_channel() {
    if has_no_tls() {
        return;
    }
    let with = format!("user=scram passfile={}", SECURED.file("pgpass"));
    assert_eq!(connected(&with).as_deref(), Ok("TLSv1.3"));
    for binding in ["require", "prefer", "disable"] {
        let conninfo = format!("{with} sslmode=require channel_binding={binding}");
        assert_eq!(connected(&conninfo).as_deref(), Ok("TLSv1.3"), "{binding}");
    }
    fails(&format!("{with} sslmode=disable channel_binding=require"), "channel binding");
    fails(&format!("{with} host=db.example.com sslmode=require"), "password authentication failed");
    fails("user=scram passfile=/nonexistent sslmode=require", "password missing");
    fails("user=scram password='my secret' sslmode=require", "password authentication failed");
}
