//! Whether a server is the one we want: its certificate as libpq judges it.
//!
//! A stricter judge would refuse what many servers have: a certificate that is its own root, one whose name is in the
//! subject only, and, where nobody asked for a check, one of the first version of X.509.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::CertificateError::{BadEncoding, Expired, NotValidYet};
use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
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
        if self.by_name && !is_for(&parsed(certificate)?, server) {
            return Err(Error::InvalidCertificate(NotValidForName));
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
        let algorithm = key.algorithm.to_der().map_err(|_| Error::InvalidCertificate(BadEncoding))?;
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
            Err(Error::InvalidCertificate(rustls::CertificateError::BadSignature))
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = parsed(certificate)?.tbs_certificate.subject_public_key_info;
        let key = key.to_der().map_err(|_| Error::InvalidCertificate(BadEncoding))?;
        verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(key),
            signed,
            &self.algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn parsed(certificate: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Certificate::from_der(certificate).map_err(|_| Error::InvalidCertificate(BadEncoding))
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

/// Whether it is made out to this host: an alternative name counts; the subject, where there is none of that kind.
fn is_for(certificate: &Certificate, host: &ServerName<'_>) -> bool {
    let certificate = &certificate.tbs_certificate;
    let names = match certificate.get::<SubjectAltName>() {
        Ok(found) => found.map(|(_, names)| names.0).unwrap_or_default(),
        Err(_) => return false,
    };
    let mut of_kind = names
        .iter()
        .filter_map(|name| match (name, host) {
            (GeneralName::DnsName(name), ServerName::DnsName(host)) => {
                Some(covers(name.as_str(), host.as_ref()))
            }
            (GeneralName::IpAddress(address), ServerName::IpAddress(host)) => {
                Some(match IpAddr::from(*host) {
                    IpAddr::V4(host) => address.as_bytes() == host.octets(),
                    IpAddr::V6(host) => address.as_bytes() == host.octets(),
                })
            }
            _ => None,
        })
        .peekable();
    if of_kind.peek().is_some() {
        return of_kind.any(|is_covered| is_covered);
    }
    let host = host.to_str();
    let mut attributes = certificate.subject.0.iter().flat_map(|names| names.0.iter());
    let common_name = attributes.find(|attribute| attribute.oid == COMMON_NAME);
    common_name
        .and_then(|name| std::str::from_utf8(name.value.value()).ok())
        .is_some_and(|name| covers(name, &host))
}

/// Whether a name, maybe `*.example.com`, stands for this host. A star stands for one label.
fn covers(name: &str, host: &str) -> bool {
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    match (name.strip_prefix("*."), host.split_once('.')) {
        (Some(name), Some((label, domain))) => !label.is_empty() && name.eq_ignore_ascii_case(domain),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{CertificateParams, DnType, KeyPair};

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
        ] {
            let certificate = made_out_to(common_name, alternatives);
            let host_name = ServerName::try_from(host).unwrap();
            assert_eq!(
                is_for(&certificate, &host_name),
                expected,
                "{common_name} {alternatives:?} for {host}"
            );
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
