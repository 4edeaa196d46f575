//! Sentences about TLS errors: whose certificate is meant, what is not supported, and the cure. Pure.

use rustls::{AlertDescription, CertificateError, Error};

/// The supported keys and how to make one: the rest of a sentence.
pub(super) const KEYS: &str =
    "an ECDSA key on P-521, or an RSA key below 2048 bits or with the exponent 3: make one on P-256";

/// The cure for a certificate of X.509 version 1, which has no extensions.
pub(super) const VERSION_1: &str = "is X.509 version 1, which is not supported: make one of version 3, by giving it an extension such as `basicConstraints=CA:FALSE`";

/// The sentence for a failed handshake with a server, where there is a better one than rustls's.
pub(super) fn handshake(error: &Error) -> Option<String> {
    Some(match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => match other.to_string() {
            text if text.contains("UnsupportedCertVersion") => {
                format!("the server's certificate {VERSION_1}, with its names in `subjectAltName`")
            }
            text if text.contains("CaUsedAsEndEntity") => {
                "the server shows the certificate of a CA as its own (`CA:TRUE`), which is not supported: give it one that this CA issued, with `CA:FALSE`"
                    .to_owned()
            }
            _ => return None,
        },
        Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            format!("the server ended the TLS handshake: it speaks no TLS 1.2, or the key of its certificate is not supported ({KEYS})")
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server wants a client certificate, and none is given".to_owned()
        }
        Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked),
        ) => format!("the server does not take the client certificate ({alert:?})"),
        _ => return None,
    })
}

/// The sentence for a client certificate and key that cannot be used.
pub(super) fn of_client(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other))
            if other.to_string().contains("UnsupportedCertVersion") =>
        {
            format!("the client certificate {VERSION_1}")
        }
        Error::InconsistentKeys(_) => {
            "the client certificate can not be used: the client key is that of another certificate".to_owned()
        }
        other => format!("the client certificate can not be used: {other}"),
    }
}
