//! Names that cannot be wrong: domain names, the identifiers of a certificate, Kubernetes object references.
//!
//! Text is parsed once where it enters the program (configuration, wire, command line); inside, no `&str` means a name.
//! All names are lower case and without the trailing dot.

mod cluster;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::base::shared_str::SharedStr;
pub use cluster::ClusterName;

/// The fault in a text that is not a name: one sentence without the text itself, which the caller puts before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError(String);

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NameError {}

fn bad<T>(why: impl Into<String>) -> Result<T, NameError> {
    Err(NameError(why.into()))
}

/// A domain name of letters, digits, `-` and `_`: an owner name, a zone, a host, a TSIG key or an algorithm.
/// At most 253 characters, labels of 1 to 63 (RFC 1035 section 2.3.4). The root is not representable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(Box<str>);

/// The longest name in text form: 255 octets on the wire (RFC 1035 section 2.3.4). Kubernetes has the same bound.
pub const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;
const CHALLENGE_LABEL: &str = "_acme-challenge";

impl DnsName {
    /// Reads a name with or without its trailing dot, in any case.
    ///
    /// # Errors
    /// One sentence that says which rule the text breaks.
    pub fn parse(text: &str) -> Result<DnsName, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return bad("is empty");
        }
        if text.len() > NAME_MAX {
            return bad(format!("has {} characters; a domain name has at most {NAME_MAX}", text.len()));
        }
        for label in text.split('.') {
            check_label(label)?;
            if let Some(c) = label.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
                return bad(format!("has the character {c:?}, which no domain name here may have"));
            }
        }
        Ok(DnsName(text.to_ascii_lowercase().into()))
    }

    /// Like [`DnsName::parse`], with U-labels turned into A-labels (UTS 46). Other labels may have an underscore.
    ///
    /// # Errors
    /// As above, and when a label is no U-label.
    pub fn parse_unicode(text: &str) -> Result<DnsName, NameError> {
        if text.is_ascii() {
            return DnsName::parse(text);
        }
        let ascii = |label: &str| match label.is_ascii() {
            true => Ok(label.to_owned()),
            false => idna::domain_to_ascii_strict(label),
        };
        match text.split('.').map(ascii).collect::<Result<Vec<String>, _>>() {
            Ok(labels) => DnsName::parse(&labels.join(".")),
            Err(_) => bad("is not a valid internationalized name (UTS 46), or one of its labels is too long"),
        }
    }

    /// The text, lower case, without the trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels from left to right.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// The name without its leftmost label, or `None` for a name of one label.
    pub fn parent(&self) -> Option<DnsName> {
        self.0.split_once('.').map(|(_, rest)| DnsName(rest.into()))
    }

    /// Tells whether this name is `zone` or lies below it.
    pub fn is_within(&self, zone: &DnsName) -> bool {
        self.0.strip_suffix(zone.as_str()).is_some_and(|head| head.is_empty() || head.ends_with('.'))
    }

    /// The name `label.self`.
    ///
    /// # Errors
    /// When the result would be too long or `label` is not a label.
    pub fn child(&self, label: &str) -> Result<DnsName, NameError> {
        DnsName::parse(&format!("{label}.{}", self.0))
    }

    /// Appends the uncompressed wire form, RFC 1035 section 3.1, in lower case: the canonical form of RFC 8945 section 4.3.3.
    pub fn write_wire(&self, out: &mut Vec<u8>) {
        for label in self.labels() {
            out.push(u8::try_from(label.len()).expect("labels have at most 63 octets, checked by parse"));
            out.extend_from_slice(label.as_bytes());
        }
        out.push(0);
    }
}

fn check_label(label: &str) -> Result<(), NameError> {
    match label.len() {
        0 => bad("has an empty label (two dots in a row, or a dot at an end)"),
        1..=LABEL_MAX => Ok(()),
        n => bad(format!("has a label of {n} characters; a label has at most {LABEL_MAX}")),
    }
}

/// A name a certificate is asked for: a host name as A-labels, or a wildcard over one label of it.
/// Short enough that its `_acme-challenge` name is still a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain {
    base: DnsName,
    wildcard: bool,
}

impl Domain {
    /// Reads `example.com` or `*.example.com`. U-labels become A-labels (UTS 46), upper case becomes lower case.
    ///
    /// # Errors
    /// One sentence that says which rule the text breaks and, where there is one, the cure.
    pub fn parse(text: &str) -> Result<Domain, NameError> {
        if text.is_empty() {
            return bad("is empty");
        }
        if text.chars().any(char::is_whitespace) {
            return bad("has white space in it; one list item is one name");
        }
        if text.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok() {
            return bad("is an IP address; the DNS challenge proves names only");
        }
        if text.contains("://") || text.contains('/') {
            return bad("is a URL or a path; write the host name alone");
        }
        if let Some((_, port)) = text.rsplit_once(':') {
            return bad(format!("has a port (\":{port}\"); write the host name alone"));
        }
        if text.ends_with('.') && text.len() > 1 && !text.ends_with("..") {
            return bad("ends with a dot; write it without");
        }
        let (wildcard, base) = match text.strip_prefix("*.") {
            Some(base) => (true, base),
            None => (false, text),
        };
        if base.contains('*') {
            return bad("has a `*` where none may be: a wildcard is one `*.` at the very left");
        }
        let ascii = if base.is_ascii() && !base.to_ascii_lowercase().contains("xn--") {
            base.to_ascii_lowercase()
        } else {
            if base.split('.').any(str::is_empty) {
                return bad("has an empty label (two dots in a row, or a dot at an end)");
            }
            match idna::domain_to_ascii_strict(base) {
                Ok(ascii) => ascii,
                Err(_) => {
                    return bad("is not a valid internationalized name (UTS 46), or one of its labels is too long");
                }
            }
        };
        Domain::from_ascii(&ascii, wildcard)
    }

    fn from_ascii(ascii: &str, wildcard: bool) -> Result<Domain, NameError> {
        if ascii.contains('_') {
            return bad("has an underscore; a certificate holds host names (letters, digits, `-`) only");
        }
        let base = DnsName::parse(ascii)?;
        if let Some(label) = base.labels().find(|l| l.starts_with('-') || l.ends_with('-')) {
            return bad(format!("has the label {label:?}, which starts or ends with `-`"));
        }
        if base.labels().count() < 2 {
            return bad("has one label only; no CA proves a top-level name");
        }
        if base.labels().next_back().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit())) {
            return bad("ends with a label of digits only, which is no top-level domain");
        }
        let max = NAME_MAX - CHALLENGE_LABEL.len() - 1;
        if base.as_str().len() > max {
            let n = base.as_str().len();
            return bad(format!(
                "has {n} characters; {max} are possible, because its challenge name begins with {CHALLENGE_LABEL}"
            ));
        }
        Ok(Domain { base, wildcard })
    }

    /// The name without `*.`.
    pub fn base(&self) -> &DnsName {
        &self.base
    }

    /// Tells whether this is `*.base`.
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// The name that holds the dns-01 challenge: `_acme-challenge.base` (RFC 8555 section 8.4).
    pub fn challenge_name(&self) -> DnsName {
        self.base.child(CHALLENGE_LABEL).expect("base leaves room for the label, checked by parse")
    }

    /// Tells whether a certificate for `self` serves `other`: the same name, or a wildcard over exactly one label (RFC 6125 section 6.4.3).
    pub fn covers(&self, other: &Domain) -> bool {
        self == other || (self.wildcard && !other.wildcard && other.base.parent().as_ref() == Some(&self.base))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.wildcard { "*." } else { "" }, self.base)
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ClusterName {
    /// Reads the name of another cluster: lower-case letters, digits and `-`, at most 63 characters.
    ///
    /// # Errors
    /// One sentence that says why not.
    pub fn parse(text: &str) -> Result<ClusterName, NameError> {
        if text.contains('.') {
            return bad("names a cluster with a dot in it; a name has lower-case letters, digits and `-`");
        }
        check_kubernetes_name(text, LABEL_MAX, "the name of a cluster")?;
        Ok(ClusterName::new(text))
    }
}

/// A reference to a namespaced Kubernetes object of a kind known from the place: a Secret or a ConfigMap.
/// Displayed as `namespace/name`; an object that is not at home has `cluster:` before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// The namespace, a DNS label of at most 63 characters.
    pub namespace: SharedStr,
    /// The name, a DNS subdomain of at most 253 characters.
    pub name: SharedStr,
    /// The cluster that the object is in.
    pub cluster: ClusterName,
}

impl ObjectRef {
    /// Reads `name` or `namespace/name`.
    ///
    /// # Errors
    /// When one of the two is not a Kubernetes name.
    pub fn parse(text: &str, default_namespace: &str) -> Result<ObjectRef, NameError> {
        let (namespace, name) = text.split_once('/').unwrap_or((default_namespace, text));
        check_namespace(namespace)?;
        check_kubernetes_name(name, NAME_MAX, "a name")?;
        Ok(ObjectRef::new(namespace, name))
    }

    /// Reads what [`ObjectRef`] displays: the same, perhaps with `cluster:` before it.
    ///
    /// # Errors
    /// As [`ObjectRef::parse`], and when the cluster has no name.
    pub fn parse_anywhere(text: &str, default_namespace: &str) -> Result<ObjectRef, NameError> {
        let Some((cluster, text)) = text.split_once(':') else { return ObjectRef::parse(text, default_namespace) };
        let cluster = ClusterName::parse(cluster)?;
        Ok(ObjectRef { cluster, ..ObjectRef::parse(text, default_namespace)? })
    }

    /// The same object as its own cluster names it.
    pub fn in_cluster(&self) -> ObjectRef {
        ObjectRef { cluster: ClusterName::HOME, ..self.clone() }
    }

    /// The namespace, with `cluster:` before it where that is not home: the name of its line in the key `namespaces`.
    pub fn place(&self) -> Cow<'_, str> {
        match self.cluster.name() {
            None => Cow::Borrowed(&self.namespace),
            Some(cluster) => Cow::Owned(format!("{cluster}:{}", self.namespace)),
        }
    }

    /// A reference to an object at home as the API server gave it, or made of parts that are names.
    pub fn new(namespace: &str, name: &str) -> ObjectRef {
        ObjectRef { namespace: SharedStr::intern(namespace), name: SharedStr::new(name), cluster: ClusterName::HOME }
    }
}

/// Tells whether `text` can be a namespace (RFC 1123 label).
///
/// # Errors
/// One sentence that says why not.
pub fn check_namespace(text: &str) -> Result<(), NameError> {
    if text.contains('.') {
        return bad("names a namespace with a dot in it, which Kubernetes does not allow");
    }
    check_kubernetes_name(text, LABEL_MAX, "a namespace")
}

fn check_kubernetes_name(text: &str, max: usize, what: &str) -> Result<(), NameError> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let sound = |label: &str| edge(label.chars().next()) && edge(label.chars().next_back());
    if text.is_empty() {
        return bad(format!("lacks {what} (write `name` or `namespace/name`)"));
    }
    if text.len() > max {
        return bad(format!("has {} characters; {what} in Kubernetes has at most {max}", text.len()));
    }
    if text.contains('/') {
        return bad("has more than one `/` (write `name` or `namespace/name`)");
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if !text.chars().all(allowed) || !text.split('.').all(sound) {
        return bad(format!(
            "is not {what} Kubernetes allows: lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit"
        ));
    }
    Ok(())
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cluster) = self.cluster.name() {
            write!(f, "{cluster}:")?;
        }
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for ObjectRef {
    type Err = NameError;
    /// Reads `namespace/name` or `cluster:namespace/name`; the namespace is required.
    fn from_str(text: &str) -> Result<ObjectRef, NameError> {
        ObjectRef::parse_anywhere(text, "")
    }
}

impl FromStr for DnsName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<DnsName, NameError> {
        DnsName::parse(text)
    }
}

impl FromStr for Domain {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Domain, NameError> {
        Domain::parse(text)
    }
}

/// Serialized as the text it displays, and read back through the same checks.
macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<$type, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(d)?;
                text.parse().map_err(|e| serde::de::Error::custom(format!("{text:?} {e}")))
            }
        }
    )*};
}
pub(crate) use serde_as_text;
serde_as_text!(DnsName, Domain, ObjectRef);

#[cfg(test)]
mod tests;
