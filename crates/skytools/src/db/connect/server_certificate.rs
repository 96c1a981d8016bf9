//! Whether a server is the one we want: its certificate as libpq judges it.
//!
//! A stricter judge would refuse what many servers have: a certificate that is its own root, one whose name is in the
//! subject only, and, where nobody asked for a check, one of the first version of X.509.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::CertificateError::{BadEncoding, BadSignature, Expired, NotValidYet};
use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode, oid::db::rfc4519::COMMON_NAME};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// See the module.
#[derive(Debug)]
pub struct Verifier {
    /// Knows who may sign; `None`: anybody may.
    pub issuers: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates that need no signature.
    pub trusted: Vec<CertificateDer<'static>>,
    /// Whether it must be made out to the host we want.
    pub by_name: bool,
    /// What signatures we understand.
    pub algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(issuers) = &self.issuers {
            if self.trusted.contains(certificate) {
                check_dates(&parsed(certificate)?, now)?;
            } else {
                match issuers.verify_server_cert(certificate, intermediates, server, ocsp, now) {
                    // Names are looked at last: the rest was good.
                    Ok(_)
                    | Err(Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        if self.by_name {
            let presented = names(&parsed(certificate)?, server);
            if !presented.iter().any(|name| covers(name, server)) {
                let expected = server.to_owned();
                return Err(Error::InvalidCertificate(NotValidForNameContext { expected, presented }));
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = parsed(certificate)?.tbs_certificate.subject_public_key_info;
        let algorithm = written(&key.algorithm)?;
        let candidates = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
        let is_valid = candidates.flat_map(|(_, candidates)| *candidates).any(|candidate| {
            // The candidate's id has no header; that of an algorithm is two bytes long.
            algorithm.get(2..) == Some(candidate.public_key_alg_id().as_ref())
                && candidate
                    .verify_signature(key.subject_public_key.raw_bytes(), message, signed.signature())
                    .is_ok()
        });
        if is_valid {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(Error::InvalidCertificate(BadSignature))
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = written(&parsed(certificate)?.tbs_certificate.subject_public_key_info)?;
        verify_tls13_signature_with_raw_key(message, &key.into(), signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn parsed(certificate: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Certificate::from_der(certificate).map_err(|_| Error::InvalidCertificate(BadEncoding))
}

fn written(part: &impl Encode) -> Result<Vec<u8>, Error> {
    part.to_der().map_err(|_| Error::InvalidCertificate(BadEncoding))
}

fn check_dates(certificate: &Certificate, now: UnixTime) -> Result<(), Error> {
    let validity = &certificate.tbs_certificate.validity;
    if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
        return Err(Error::InvalidCertificate(NotValidYet));
    }
    if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
        return Err(Error::InvalidCertificate(Expired));
    }
    Ok(())
}

/// The names of the host's kind that it is made out to: alternative ones; the subject's, where there are none.
fn names(certificate: &Certificate, host: &ServerName<'_>) -> Vec<String> {
    let certificate = &certificate.tbs_certificate;
    // Alternatives that cannot be read make a certificate for nobody.
    let Ok(alternatives) = certificate.get::<SubjectAltName>() else { return Vec::new() };
    let alternatives = alternatives.map(|(_, names)| names.0).unwrap_or_default();
    let of_kind: Vec<String> =
        alternatives.iter().filter_map(|alternative| told(alternative, host)).collect();
    if !of_kind.is_empty() {
        return of_kind;
    }
    let mut attributes = certificate.subject.0.iter().flat_map(|attributes| attributes.0.iter());
    let common_name = attributes.rfind(|attribute| attribute.oid == COMMON_NAME);
    common_name
        .and_then(|name| std::str::from_utf8(name.value.value()).ok())
        .map(str::to_owned)
        .into_iter()
        .collect()
}

/// An alternative name, if it is a name of the host's kind.
fn told(name: &GeneralName, host: &ServerName<'_>) -> Option<String> {
    match (name, host) {
        (GeneralName::DnsName(name), ServerName::DnsName(_)) => Some(name.as_str().to_owned()),
        (GeneralName::IpAddress(address), ServerName::IpAddress(_)) => {
            let bytes = address.as_bytes();
            let address = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            address.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

/// Whether a name, maybe `*.example.com`, stands for this host. A star stands for one label.
fn covers(name: &str, host: &ServerName<'_>) -> bool {
    let told = host.to_str();
    if name.eq_ignore_ascii_case(&told) {
        return true;
    }
    match (host, name.strip_prefix("*."), told.split_once('.')) {
        (ServerName::DnsName(_), Some(name), Some((label, domain))) => {
            !label.is_empty() && name.eq_ignore_ascii_case(domain)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{CertificateParams, DnType, KeyPair};
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    use rustls::version::{TLS12, TLS13};
    use rustls::{ConnectionCommon, SideData};

    use super::*;

    fn made_out_to(common_name: &str, alternatives: &[&str]) -> Certificate {
        let alternatives: Vec<String> = alternatives.iter().map(|name| (*name).to_owned()).collect();
        let mut about = CertificateParams::new(alternatives).unwrap();
        about.distinguished_name.push(DnType::CommonName, common_name);
        let made = about.self_signed(&KeyPair::generate().unwrap()).unwrap();
        parsed(made.der()).unwrap()
    }

    #[test]
    fn a_certificate_is_for_the_hosts_it_names() {
        for (common_name, alternatives, host, expected) in [
            ("db1", &[][..], "db1", true),
            ("DB1.example.com", &[], "db1.Example.com", true),
            ("db1", &[], "db2", false),
            ("db1", &["db2"], "db1", false),
            ("db1", &["db2", "db3"], "db3", true),
            ("db1", &["192.0.2.7"], "db1", true),
            ("db1", &["192.0.2.7"], "192.0.2.7", true),
            ("db1", &["192.0.2.7", "::1"], "::1", true),
            ("192.0.2.7", &["192.0.2.8"], "192.0.2.7", false),
            ("192.0.2.7", &["db1"], "192.0.2.7", true),
            ("x", &["*.example.com"], "db1.example.com", true),
            ("x", &["*.example.com"], "a.db1.example.com", false),
            ("x", &["*.example.com"], "example.com", false),
            ("*.0.2.7", &[], "192.0.2.7", false),
        ] {
            let certificate = made_out_to(common_name, alternatives);
            let host_name = ServerName::try_from(host).unwrap();
            let is_for = names(&certificate, &host_name).iter().any(|name| covers(name, &host_name));
            assert_eq!(is_for, expected, "{common_name} {alternatives:?} for {host}");
        }
    }

    /// A handshake with a server that shows this certificate and signs with this key, without a check of names.
    fn handshake(
        certificate: &[u8],
        key: &KeyPair,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> Result<(), Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let key_der = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let signer = provider.key_provider.load_private_key(key_der).unwrap();
        let shown = CertifiedKey::new(vec![CertificateDer::from(certificate.to_vec())], signer);
        let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        let verifier = Verifier { issuers: None, trusted: Vec::new(), by_name: false, algorithms };
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        let mut server = rustls::ServerConnection::new(Arc::new(server)).unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(client), "db1".try_into().unwrap()).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            pass(&mut client, &mut server).unwrap();
            pass(&mut server, &mut client)?;
        }
        Ok(())
    }

    /// All that one side has to say, to the other.
    fn pass<S, R>(from: &mut ConnectionCommon<S>, to: &mut ConnectionCommon<R>) -> Result<(), Error>
    where
        S: SideData,
        R: SideData,
    {
        let mut said = Vec::new();
        while from.wants_write() {
            from.write_tls(&mut said).unwrap();
        }
        let mut rest = &said[..];
        while !rest.is_empty() {
            to.read_tls(&mut rest).unwrap();
            to.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn where_nobody_checks_certificates_an_old_one_will_do_but_not_a_borrowed_one() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let made = CertificateParams::new(vec!["db1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let mut old = parsed(made.der()).unwrap();
        old.tbs_certificate.version = x509_cert::Version::V1;
        old.tbs_certificate.extensions = None;
        let old = old.to_der().unwrap();
        for version in [&TLS12, &TLS13] {
            assert_eq!(handshake(made.der(), &key, version), Ok(()));
            assert_eq!(handshake(&old, &key, version), Ok(()));
            // Who only shows the right certificate would share its channel binding.
            let borrowed = handshake(&old, &other, version);
            assert_eq!(borrowed, Err(Error::InvalidCertificate(BadSignature)), "{version:?}");
        }
    }

    #[test]
    fn dates_count_also_where_no_signature_does() {
        let mut about = CertificateParams::new(vec!["db1".to_owned()]).unwrap();
        about.not_before = rcgen::date_time_ymd(2020, 1, 1);
        about.not_after = rcgen::date_time_ymd(2021, 1, 1);
        let made = about.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let certificate = parsed(made.der()).unwrap();
        let at = |seconds| {
            check_dates(&certificate, UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
        };
        assert_eq!(at(1_500_000_000), Err(Error::InvalidCertificate(NotValidYet)));
        assert_eq!(at(1_600_000_000), Ok(()));
        assert_eq!(at(1_700_000_000), Err(Error::InvalidCertificate(Expired)));
    }
}
