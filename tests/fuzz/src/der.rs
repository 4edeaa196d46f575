//! A second reader of certificates and a second check of their signatures, for the target `path`. It shares no code with the one under test.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

/// An element of DER: its tag, its contents, and all of its octets.
struct Element<'d> {
    tag: u8,
    content: &'d [u8],
    whole: &'d [u8],
}

/// The elements of a text of DER, one after the other.
struct Elements<'d>(&'d [u8]);

impl<'d> Iterator for Elements<'d> {
    type Item = Element<'d>;

    fn next(&mut self) -> Option<Element<'d>> {
        let (tag, first) = (*self.0.first()?, usize::from(*self.0.get(1)?));
        let (head, length) = match first {
            0..=127 => (2, first),
            129..=131 => {
                let octets = self.0.get(2..2 + first - 128)?;
                (2 + octets.len(), octets.iter().fold(0, |all, octet| all << 8 | usize::from(*octet)))
            }
            _ => return None,
        };
        let whole = self.0.get(..head + length)?;
        self.0 = &self.0[head + length..];
        Some(Element { tag, content: &whole[head..], whole })
    }
}

/// The parts of a certificate on which a path depends (RFC 5280 section 4.1).
#[derive(Debug, PartialEq, Eq)]
pub struct Certificate<'d> {
    signed: &'d [u8],
    algorithm: &'d [u8],
    signature: &'d [u8],
    pub issuer: &'d [u8],
    pub subject: &'d [u8],
    key_kind: &'d [u8],
    curve: &'d [u8],
    key: &'d [u8],
}

impl<'d> Certificate<'d> {
    /// Reads a certificate; `None` where it is none.
    pub fn read(der: &'d [u8]) -> Option<Certificate<'d>> {
        let mut parts = Elements(Elements(der).next().filter(|all| all.tag == 0x30)?.content);
        let (signed, algorithm, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let mut fields = Elements(signed.content).skip_while(|field| field.tag == 0xa0).skip(2);
        let (issuer, _validity, subject, key) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let mut key = Elements(key.content);
        let (kind, octets) = (key.next()?, key.next()?);
        let mut kind = Elements(kind.content);
        Some(Certificate {
            signed: signed.whole,
            algorithm: Elements(algorithm.content).next()?.content,
            signature: signature.content.strip_prefix(&[0])?,
            issuer: issuer.whole,
            subject: subject.whole,
            key_kind: kind.next()?.content,
            curve: kind.next().map(|curve| curve.content).unwrap_or_default(),
            key: octets.content.strip_prefix(&[0])?,
        })
    }

    /// Tells whether the certificate names itself as its issuer.
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Tells whether `upper` has the name of the issuer and its key made the signature; `None` where the algorithm is none of those that ring has.
    pub fn is_signed_by(&self, upper: &Certificate<'_>) -> Option<bool> {
        if self.issuer != upper.subject {
            return Some(false);
        }
        const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
        const CURVE: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        const P384: &[u8] = &[0x2b, 0x81, 4, 0, 0x22];
        const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
        let with_rsa = |n: u8| self.algorithm == [&RSA[..8], &[n]].concat();
        let with_curve = |n: u8| self.algorithm == [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, n];
        let algorithm: &'static dyn VerificationAlgorithm = match (upper.key_kind, upper.curve) {
            (RSA, _) if with_rsa(11) => &signature::RSA_PKCS1_2048_8192_SHA256,
            (RSA, _) if with_rsa(12) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (RSA, _) if with_rsa(13) => &signature::RSA_PKCS1_2048_8192_SHA512,
            (CURVE, P256) if with_curve(2) => &signature::ECDSA_P256_SHA256_ASN1,
            (CURVE, P256) if with_curve(3) => &signature::ECDSA_P256_SHA384_ASN1,
            (CURVE, P384) if with_curve(2) => &signature::ECDSA_P384_SHA256_ASN1,
            (CURVE, P384) if with_curve(3) => &signature::ECDSA_P384_SHA384_ASN1,
            (ED25519, _) if self.algorithm == ED25519 => &signature::ED25519,
            _ => return None,
        };
        Some(UnparsedPublicKey::new(algorithm, upper.key).verify(self.signed, self.signature).is_ok())
    }
}
