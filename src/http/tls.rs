//! TLS for ureq with our own rustls configuration.
//!
//! ureq's connector takes either Mozilla's roots or given ones, never both, and panics on a client key that does not
//! fit. Here the roots of trust, the client certificate and the name that the server must prove are configured, and a
//! mistake is an error. The connector uses ureq's `unversioned` interface, which changes with minor versions only:
//! hence `~3.5`.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::words::{KEYS, of_client};
use crate::base::pem::{self, ENCRYPTED, is_encrypted};
use crate::base::sanitize::one_line;
use crate::base::secret::Secret;

/// The trust in a server, and the client's own identity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsTrust {
    /// Mozilla's roots, as built in.
    pub public_roots: bool,
    /// Further roots in PEM.
    pub roots_pem: Vec<u8>,
    /// A client certificate chain and its key in PEM.
    pub client: Option<(Vec<u8>, Secret<Vec<u8>>)>,
    /// The name that the server must prove, where it is not the host of the URL.
    pub name: Option<String>,
    /// Accepts any server certificate: an attacker on the path can read everything.
    pub unchecked: bool,
}

impl TlsTrust {
    /// The rustls configuration.
    ///
    /// # Errors
    /// When a text is not PEM, there is no root at all, or the client's key does not fit its certificate.
    pub fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let mut roots = RootCertStore::empty();
        if self.public_roots {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let not_pem = |e| format!("the certificates of the CA are {e}");
        let mut leaves = Vec::new();
        for certificate in pem::certificates(&self.roots_pem, usize::MAX).map_err(not_pem)? {
            leaves.push(leaf_words(&certificate));
            roots.add(certificate).map_err(|e| format!("a certificate of the CA can not be a root of trust: {e}"))?;
        }
        if roots.is_empty() && !self.unchecked {
            return Err("there is no certificate of a CA in it".to_owned());
        }
        // A leaf certificate beside that of a CA does no harm.
        if let Some(Some(words)) = leaves.iter().all(Option::is_some).then(|| leaves.into_iter().next().flatten()) {
            return Err(words);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?;
        let builder = match self.unchecked {
            false => builder.with_root_certificates(roots),
            true => builder.dangerous().with_custom_certificate_verifier(Arc::new(NoVerification(provider))),
        };
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = pem::certificates(chain, usize::MAX);
                let chain = chain.map_err(|e| format!("the client certificate is {e}"))?;
                if is_encrypted(key.expose()) {
                    return Err(format!("the client key {ENCRYPTED}"));
                }
                let key = PrivateKeyDer::from_pem_slice(key.expose())
                    .map_err(|_| "the client key is not a private key in PEM".to_owned())?;
                if any_supported_type(&key).is_err() {
                    return Err(format!("the client key is of a kind that is not supported ({KEYS})"));
                }
                builder.with_client_auth_cert(chain, key).map_err(|e| of_client(&e))?
            }
        };
        Ok(Arc::new(config))
    }
}

/// The sentence about a root of trust that is a leaf certificate of another issuer: no server can have a certificate of
/// it.
fn leaf_words(der: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let is_ca = certificate.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.value.ca);
    // Certificates of version 1 have no basic constraints; old roots are of that version.
    let is_leaf = !is_ca && certificate.version().0 >= 2 && certificate.issuer() != certificate.subject();
    let (subject, issuer) = (one_line(&certificate.subject().to_string()), one_line(&certificate.issuer().to_string()));
    is_leaf.then(|| {
        format!(
            "the certificate {subject:?} is no CA's, and none is trusted by it: give that of its issuer, {issuer:?}"
        )
    })
}

/// Accepts every certificate. Signatures are still checked, so that a peer without the key is an error.
#[derive(Debug)]
struct NoVerification(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The TLS layer of a connection under construction.
pub(super) struct TlsConnector {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl TlsConnector {
    pub(super) fn new(trust: &TlsTrust) -> Result<TlsConnector, String> {
        let name = |name: &String| {
            ServerName::try_from(name.clone()).map_err(|_| format!("{name:?} is no name that a certificate can have"))
        };
        Ok(TlsConnector { config: trust.config()?, name: trust.name.as_ref().map(name).transpose()? })
    }
}

impl std::fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else {
            return Err(ureq::Error::ConnectionFailed);
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name = match &self.name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| ureq::Error::Tls("the host is no name that TLS can check"))?,
        };
        let mut connection = ClientConnection::new(self.config.clone(), name).map_err(io_error)?;
        let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned::new(connection, socket) })))
    }
}

fn io_error(e: rustls::Error) -> ureq::Error {
    ureq::Error::Io(std::io::Error::other(e))
}

/// A connection in TLS.
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl std::fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsTransport")
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let input = self.buffers.input_append_buf();
        let amount = self.stream.read(input)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_text_that_is_no_pem_only_the_place_is_said() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let lost = key.replace('\n', "");
        for text in [lost.clone(), format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", &lost[27..])]
        {
            let ca = rcgen::generate_simple_self_signed(vec!["ca.test".to_owned()]).unwrap().cert.pem();
            let roots = TlsTrust { roots_pem: text.clone().into_bytes(), ..TlsTrust::default() };
            let client = Some((text.into_bytes(), Secret::new(key.clone().into_bytes())));
            let client = TlsTrust { roots_pem: ca.into_bytes(), client, ..TlsTrust::default() };
            for trust in [roots, client] {
                let error = trust.config().unwrap_err();
                assert!(error.len() < 200 && error.contains("line 1") && !error.contains("MI"), "{error}");
                assert!(!error.contains(", 77,") && !error.contains("Base64"), "{error}");
            }
        }
    }

    #[test]
    fn what_can_not_be_trusted_or_used_is_an_error_and_never_a_panic() {
        let ca = rcgen::generate_simple_self_signed(vec!["ca.test".to_owned()]).unwrap();
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let roots_pem = ca.cert.pem().into_bytes();
        let client = |key: String| Some((ca.cert.pem().into_bytes(), Secret::new(key.into_bytes())));
        let with =
            |client| TlsTrust { public_roots: false, roots_pem: roots_pem.clone(), client, ..TlsTrust::default() };
        assert!(with(None).config().is_ok());
        assert!(with(client(ca.signing_key.serialize_pem())).config().is_ok());
        for (trust, part) in [
            (TlsTrust::default(), "no certificate of a CA"),
            (TlsTrust { roots_pem: b"nothing".to_vec(), ..TlsTrust::default() }, "no certificate of a CA"),
            (
                TlsTrust {
                    roots_pem: b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----".to_vec(),
                    ..TlsTrust::default()
                },
                "not PEM",
            ),
            (with(client(other)), "can not be used"),
            (with(client("x".to_owned())), "not a private key"),
        ] {
            let error = trust.config().expect_err(part);
            assert!(error.contains(part), "{error}");
        }
        assert!(TlsTrust { public_roots: true, ..TlsTrust::default() }.config().is_ok());
        assert!(
            TlsTrust { unchecked: true, ..TlsTrust::default() }.config().is_ok(),
            "nothing is checked, so no root is needed"
        );
        let named = |name: &str| TlsTrust { name: Some(name.to_owned()), ..with(None) };
        assert!(TlsConnector::new(&named("kubernetes.default")).is_ok() && TlsConnector::new(&named("::1")).is_ok());
        assert!(TlsConnector::new(&named("a b")).unwrap_err().contains("no name that a certificate can have"));
    }
}
