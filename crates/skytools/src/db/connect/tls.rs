//! Encryption: how much of it, whom to believe, and who we are.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateRevocationListDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tracing::warn;

use crate::db::connect::server_certificate::Verifier;
use crate::db::connect::settings::choice;
use crate::db::connect::{Conninfo, Environment};
use crate::{Error, Result};

/// `sslmode`, in the order of rising demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// See the module.
pub struct Tls {
    /// How much is asked for.
    pub mode: Mode,
    /// Without asking the server first, which servers from 17 on understand.
    pub direct: bool,
    roots: Roots,
    revoked: Vec<PathBuf>,
    /// Our certificate, and its key.
    certificate: Option<(PathBuf, PathBuf)>,
    names_server: bool,
    versions: Vec<&'static SupportedProtocolVersion>,
}

/// Whose signature makes a server's certificate good.
enum Roots {
    /// Those whom the system trusts.
    System,
    /// Those in this file.
    File(PathBuf),
    /// There is no file: nobody is asked.
    None,
}

impl Tls {
    /// Reads the keywords that begin with `ssl`; the files are looked for in `~/.postgresql` where nothing is said. No
    /// mode asks anything of servers that are all behind Unix sockets (`is_local`).
    pub fn new(all: &Conninfo, environment: &Environment, is_local: bool) -> Result<Self> {
        let text = |keyword| all.get(keyword).filter(|value: &&str| !value.is_empty());
        let mut modes = vec![
            ("prefer", Mode::Prefer),
            ("disable", Mode::Disable),
            ("allow", Mode::Allow),
            ("require", Mode::Require),
            ("verify-ca", Mode::VerifyCa),
            ("verify-full", Mode::VerifyFull),
        ];
        let from_system = text("sslrootcert") == Some("system");
        if from_system {
            modes.rotate_right(1); // the last becomes the one for nothing said
        }
        let mode = choice(all, "sslmode", &modes)?;
        if from_system && mode < Mode::VerifyFull {
            return Err(Error::usage("sslrootcert=system needs sslmode=verify-full"));
        }
        let direct = choice(all, "sslnegotiation", &[("postgres", false), ("direct", true)])?;
        if direct && mode < Mode::Require {
            return Err(Error::usage(
                "sslnegotiation=direct needs sslmode=require, verify-ca or verify-full",
            ));
        }
        let mode = if is_local { Mode::Disable } else { mode };
        let file = |keyword, usual: &str| match text(keyword) {
            Some(file) => Some(PathBuf::from(file)),
            None => environment.in_home(".postgresql").map(|folder| folder.join(usual)),
        };
        let certificate = file("sslcert", "postgresql.crt")
            .filter(|file| file.exists() && text("sslcertmode") != Some("disable"))
            .zip(file("sslkey", "postgresql.key"));
        let mut revoked: Vec<PathBuf> =
            file("sslcrl", "root.crl").filter(|file| file.exists()).into_iter().collect();
        if let Some(folder) = text("sslcrldir") {
            let failed = || Error::io(format!("read sslcrldir {folder}"));
            for entry in std::fs::read_dir(folder).map_err(failed())? {
                revoked.push(entry.map_err(failed())?.path());
            }
        }
        let version = |keyword, usual| {
            let known = ["", "tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3"];
            let value = all.get(keyword).unwrap_or_default();
            match known.iter().position(|version| version.eq_ignore_ascii_case(value)) {
                Some(0) => Ok(usual),
                Some(number) => Ok(number - 1),
                None => Err(Error::usage(format!("invalid {keyword} value: {value:?}"))),
            }
        };
        let (least, most) =
            (version("ssl_min_protocol_version", 2)?, version("ssl_max_protocol_version", 3)?);
        let versions: Vec<_> = [(2, &TLS12), (3, &TLS13)]
            .iter()
            .filter(|(v, _)| (least..=most).contains(v))
            .map(|(_, v)| *v)
            .collect();
        if versions.is_empty() {
            return Err(Error::usage("the TLS versions that are allowed are none of 1.2 and 1.3"));
        }
        Ok(Self {
            mode,
            direct,
            roots: match file("sslrootcert", "root.crt") {
                Some(_) if from_system => Roots::System,
                Some(file) if file.exists() => Roots::File(file),
                missing => without_roots(mode, text("sslrootcert").and(missing.as_deref()))?,
            },
            revoked,
            certificate,
            names_server: choice(all, "sslsni", &[("1", true), ("0", false)])?,
            versions,
        })
    }

    /// What the handshake is made by. Reads the files.
    pub fn client_config(&self) -> Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let trusted = match &self.roots {
            Roots::System => rustls_native_certs::load_native_certs().certs,
            Roots::File(file) => pem_items(file, "root certificates")?,
            Roots::None => Vec::new(),
        };
        let issuers = if let Roots::None = self.roots {
            None
        } else {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(trusted.iter().cloned());
            let mut revoked = Vec::new();
            for file in &self.revoked {
                revoked.extend(pem_items::<CertificateRevocationListDer<'_>>(file, "revocation lists")?);
            }
            let verifier = WebPkiServerVerifier::builder_with_provider(store.into(), Arc::clone(&provider))
                .with_crls(revoked)
                .build();
            Some(
                verifier.map_err(|error| {
                    Error::bad(format!("root certificates and revocation lists: {error}"))
                })?,
            )
        };
        let verifier = Verifier { issuers, trusted, by_name: self.mode == Mode::VerifyFull, algorithms };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .map_err(tls_failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.certificate {
            Some((certificate, key)) => builder
                .with_client_auth_cert(pem_items(certificate, "certificates")?, private_key(key)?)
                .map_err(|error| {
                    let (certificate, key) = (certificate.display(), key.display());
                    Error::bad(format!("client certificate {certificate} with key {key}: {error}"))
                })?,
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = self.names_server;
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(config)
    }
}

/// As libpq: without a file of root certificates, modes that need none check none.
fn without_roots(mode: Mode, missing: Option<&Path>) -> Result<Roots> {
    let file = missing.map_or_else(|| "~/.postgresql/root.crt".to_owned(), |file| file.display().to_string());
    if mode >= Mode::VerifyCa {
        return Err(Error::bad(format!(
            "root certificate file \"{file}\" does not exist: this sslmode needs it"
        )));
    }
    if missing.is_some() && mode > Mode::Disable {
        warn!(
            "root certificate file \"{file}\" does not exist: the server's certificate will not be checked"
        );
    }
    Ok(Roots::None)
}

fn pem_items<T: PemObject>(file: &Path, what: &str) -> Result<Vec<T>> {
    let unreadable = |error: pem::Error| Error::bad(format!("{what} in {}: {error}", file.display()));
    let items: std::result::Result<Vec<T>, _> = T::pem_file_iter(file).map_err(unreadable)?.collect();
    let items = items.map_err(unreadable)?;
    if items.is_empty() {
        return Err(Error::bad(format!("there are no {what} in {}", file.display())));
    }
    Ok(items)
}

/// A key that others could read is not used; root's may be readable for a group.
fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    let shown = file.display();
    let about = match std::fs::metadata(file) {
        Ok(about) if about.is_file() => about,
        Ok(_) => return Err(Error::bad(format!("private key file \"{shown}\" is not a regular file"))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::bad(format!("certificate present, but not private key file \"{shown}\"")));
        }
        Err(error) => return Err(Error::io(format!("private key file \"{shown}\""))(error)),
    };
    let forbidden = if about.uid() == 0 { 0o037 } else { 0o077 };
    if about.mode() & forbidden != 0 {
        return Err(Error::bad(format!(
            "private key file \"{shown}\" has group or world access; file must have permissions u=rw (0600) or less \
             if owned by the current user, or permissions u=rw,g=r (0640) or less if owned by root"
        )));
    }
    PrivateKeyDer::from_pem_file(file).map_err(|error| {
        Error::bad(format!("private key file \"{shown}\": no key without a passphrase: {error}"))
    })
}

fn tls_failed(error: rustls::Error) -> Error {
    Error::bad(format!("TLS: {error}"))
}
