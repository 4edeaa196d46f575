//! The JSON objects of a CA (RFC 8555 section 7), with the fields in use. Pure.
//!
//! Untrusted: all of it. Unknown fields, challenge types and status words are tolerated, and an optional field of
//! another type counts as absent; a missing field is an error only where it is needed.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::base::limits::{PROFILES_SHOWN_MAX, SUBPROBLEMS_SHOWN_MAX};
use crate::base::sanitize::{excerpt, one_line};
use crate::base::time::Time;

/// The directory (section 7.1.1).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub struct DirectoryObject {
    pub new_nonce: String,
    pub new_account: String,
    pub new_order: String,
    #[serde(default, deserialize_with = "lenient")]
    pub key_change: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub revoke_cert: Option<String>,
    /// RFC 9773 section 4.1.
    #[serde(default, deserialize_with = "lenient")]
    pub renewal_info: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub meta: Meta,
}

impl DirectoryObject {
    /// The URLs that every order needs.
    pub fn mandatory_urls(&self) -> impl Iterator<Item = &str> {
        [&self.new_nonce, &self.new_account, &self.new_order].into_iter().map(String::as_str)
    }

    /// All URLs of the directory.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        let optional = [&self.key_change, &self.revoke_cert, &self.renewal_info];
        self.mandatory_urls().chain(optional.into_iter().flatten().map(String::as_str))
    }

    /// Drops the optional URLs for which `holds` is false.
    pub fn retain_optional_urls(&mut self, holds: impl Fn(&str) -> bool) {
        for url in [&mut self.key_change, &mut self.revoke_cert, &mut self.renewal_info] {
            *url = url.take().filter(|url| holds(url));
        }
    }
}

/// The directory's metadata.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub struct Meta {
    #[serde(default, deserialize_with = "lenient")]
    pub terms_of_service: Option<String>,
    /// The names by which CAA records mean this CA (RFC 8659 section 4.2).
    #[serde(default, deserialize_with = "lenient")]
    pub caa_identities: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub external_account_required: bool,
    /// Profiles with their descriptions (draft-ietf-acme-profiles section 3).
    #[serde(default, deserialize_with = "lenient")]
    pub profiles: BTreeMap<String, serde_json::Value>,
}

impl Meta {
    /// The names of the profiles on one line, [`PROFILES_SHOWN_MAX`] at most.
    pub fn profile_names(&self) -> String {
        let names: Vec<String> = self.profiles.keys().take(PROFILES_SHOWN_MAX).map(|name| one_line(name)).collect();
        names.join(", ")
    }
}

/// An account (section 7.1.2).
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub struct AccountObject {
    pub status: AcmeStatus,
}

/// Renewal information (RFC 9773 section 4.2).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub struct RenewalInfo {
    pub suggested_window: SuggestedWindow,
    #[serde(default, rename = "explanationURL", deserialize_with = "lenient")]
    pub explanation_url: Option<String>,
}

/// The suggested time of renewal.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub struct SuggestedWindow {
    #[serde(deserialize_with = "rfc3339")]
    pub start: Time,
    #[serde(deserialize_with = "rfc3339")]
    pub end: Time,
}

fn rfc3339<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    Time::parse_rfc3339(&text).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no time of RFC 3339")))
}

/// The targets of `rel="alternate"` in a Link header (RFC 8288, RFC 8555 section 7.4.2), which may hold several links.
pub fn alternates(header: &str) -> impl Iterator<Item = String> {
    let link = |part: &str| {
        let (url, parameters) = part.split_once('>')?;
        let alternate = parameters.split(';').any(|p| {
            let (name, value) = p.split_once('=').unwrap_or_default();
            name.trim().eq_ignore_ascii_case("rel")
                && value
                    .trim()
                    .trim_end_matches(',')
                    .trim_end()
                    .trim_matches('"')
                    .split(' ')
                    .any(|r| r.eq_ignore_ascii_case("alternate"))
        });
        alternate.then(|| url.trim().to_owned())
    };
    header.split('<').skip(1).filter_map(link)
}

/// A status word (section 7.1.6).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub enum AcmeStatus {
    Pending,
    Ready,
    Processing,
    Valid,
    Invalid,
    /// A word that the RFC does not define; polled like `processing`.
    Unknown(String),
}

impl From<String> for AcmeStatus {
    fn from(word: String) -> AcmeStatus {
        match word.as_str() {
            "pending" => AcmeStatus::Pending,
            "ready" => AcmeStatus::Ready,
            "processing" => AcmeStatus::Processing,
            "valid" => AcmeStatus::Valid,
            // An authorization has three more final states (section 7.1.6).
            "invalid" | "deactivated" | "expired" | "revoked" => AcmeStatus::Invalid,
            _ => AcmeStatus::Unknown(word),
        }
    }
}

/// An order (section 7.1.3).
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub struct Order {
    pub status: AcmeStatus,
    #[serde(default)]
    pub identifiers: Vec<Identifier>,
    #[serde(default)]
    pub authorizations: Vec<String>,
    #[serde(default)]
    pub finalize: String,
    #[serde(default, deserialize_with = "lenient")]
    pub certificate: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub error: Option<Problem>,
}

/// An identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub struct Identifier {
    #[serde(rename = "type")]
    pub kind: String,
    pub value: String,
}

/// An authorization (section 7.1.4).
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub struct Authorization {
    pub status: AcmeStatus,
    pub identifier: Identifier,
    #[serde(default, deserialize_with = "lenient")]
    pub wildcard: bool,
    #[serde(default)]
    pub challenges: Vec<Challenge>,
}

impl Authorization {
    /// The name as written in the order.
    pub fn name(&self) -> String {
        format!("{}{}", if self.wildcard { "*." } else { "" }, self.identifier.value)
    }
}

/// A challenge (section 7.1.5). Types without a token exist.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub struct Challenge {
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    pub kind: String,
    #[serde(default, deserialize_with = "lenient")]
    pub url: String,
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<AcmeStatus>,
    #[serde(default, deserialize_with = "lenient")]
    pub token: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub error: Option<Problem>,
}

/// The value, or the default where it is of another type: a bad optional field does not spoil the others.
fn lenient<'de, D: serde::Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(serde_json::Value::deserialize(deserializer)?).unwrap_or_default())
}

/// An error of the CA (RFC 7807, RFC 8555 section 6.7).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub struct Problem {
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    pub kind: String,
    #[serde(default, deserialize_with = "lenient")]
    pub detail: String,
    #[serde(default, deserialize_with = "lenient")]
    pub subproblems: Vec<Problem>,
    #[serde(default, deserialize_with = "lenient")]
    pub identifier: Option<Identifier>,
}

const ERROR_PREFIX: &str = "urn:ietf:params:acme:error:";

impl Problem {
    /// Reads a problem from any body: a proxy's HTML is kept as the detail.
    pub fn from_any_body(body: &[u8]) -> Problem {
        if let Ok(problem) = serde_json::from_slice::<Problem>(body)
            && !(problem.kind.is_empty() && problem.detail.is_empty())
        {
            return problem;
        }
        Problem { detail: excerpt(body), ..Problem::default() }
    }

    /// The last part of the type: `rateLimited`.
    pub fn word(&self) -> &str {
        self.kind.strip_prefix(ERROR_PREFIX).unwrap_or(&self.kind)
    }
}

/// The CA's own words, with each subproblem and its name.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, detail) = (one_line(self.word()), one_line(&self.detail));
        match (word.as_str(), detail.as_str()) {
            ("", "") => f.write_str("no reason given")?,
            ("", detail) => f.write_str(detail)?,
            (word, "") => f.write_str(word)?,
            (word, detail) => write!(f, "{word}: {detail}")?,
        }
        for part in self.subproblems.iter().take(SUBPROBLEMS_SHOWN_MAX) {
            let about = part.identifier.as_ref().map(|i| one_line(&i.value)).unwrap_or_default();
            write!(f, "; {about}{}{}", if about.is_empty() { "" } else { ": " }, one_line(&part.detail))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::sanitize::EXCERPT_OCTETS;

    #[test]
    fn what_pebble_sends_reads() {
        let order: Order = serde_json::from_str(
            r#"{"status":"pending","expires":"2026-11-23T14:33:00Z","identifiers":[{"type":"dns","value":"a.test"}],"profile":"default",
            "finalize":"https://ca/finalize/1","authorizations":["https://ca/authz/1"]}"#,
        )
        .unwrap();
        assert_eq!((order.status, order.authorizations.len()), (AcmeStatus::Pending, 1));
        let authorization: Authorization = serde_json::from_str(
            r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"wildcard":true,"expires":"2026-11-22T15:33:00Z","challenges":[
            {"type":"dns-persist-01","url":"https://ca/c/3","issuer-domain-names":["ca"],"status":"pending"},{"type":"odd-01","token":{"a":1}},
            {"type":"dns-01","url":"https://ca/c/1","token":"t","status":"pending"}]}"#,
        )
        .unwrap();
        assert_eq!((authorization.name().as_str(), authorization.challenges.len()), ("*.a.test", 3));
        let odd: Authorization = serde_json::from_str(
            r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"wildcard":null,"challenges":[
            {"type":null,"url":5,"token":[],"status":{},"error":"odd"},{"type":"dns-01","url":"u","token":"t","error":{"detail":null}}]}"#,
        )
        .unwrap();
        assert_eq!((odd.wildcard, odd.challenges[0].error.is_none(), odd.challenges.len()), (false, true, 2));
        let odd: Order = serde_json::from_str(r#"{"status":"contemplating"}"#).unwrap();
        assert_eq!(odd.status, AcmeStatus::Unknown("contemplating".into()));
    }

    #[test]
    fn odd_optional_fields_of_a_directory_are_absent() {
        let read = |more: &str| {
            let text =
                format!(r#"{{"newNonce":"https://ca/n","newAccount":"https://ca/a","newOrder":"https://ca/o"{more}}}"#);
            serde_json::from_str::<DirectoryObject>(&text)
        };
        for more in [
            "",
            r#","meta":null,"keyChange":null,"renewalInfo":null"#,
            r#","meta":"none","keyChange":[],"revokeCert":7,"renewalInfo":{}"#,
            r#","meta":{"termsOfService":null,"caaIdentities":null,"externalAccountRequired":null,"profiles":null}"#,
            r#","meta":{"termsOfService":5,"caaIdentities":"ca","externalAccountRequired":"no","profiles":["a"],"website":[]}"#,
        ] {
            let directory = read(more).unwrap_or_else(|e| panic!("{more}: {e}"));
            let meta = &directory.meta;
            assert_eq!((directory.urls().count(), meta.profiles.len(), meta.caa_identities.len()), (3, 0, 0), "{more}");
            assert!(!meta.external_account_required && meta.terms_of_service.is_none(), "{more}");
        }
        let mut odd = read(r#","keyChange":"","revokeCert":"http://ca/r","renewalInfo":"https://ca/i""#).unwrap();
        odd.retain_optional_urls(|url| url.starts_with("https://"));
        assert_eq!(odd.urls().last(), Some("https://ca/i"));
        assert_eq!(odd.urls().count(), 4);
        assert!(serde_json::from_str::<DirectoryObject>(r#"{"newNonce":null}"#).is_err());
    }

    #[test]
    fn links_to_other_chains_are_found() {
        for (header, found) in [
            (r#"<https://ca/c/1/1>;rel="alternate""#, &["https://ca/c/1/1"][..]),
            (r#"<https://ca/dir>;rel="index""#, &[]),
            (
                r#"<https://ca/1>; rel="alternate", <https://ca/2>; title="x"; REL=alternate"#,
                &["https://ca/1", "https://ca/2"],
            ),
            (r#"<https://ca/1>;rel="up alternate""#, &["https://ca/1"]),
            ("https://ca/1;rel=alternate", &[]),
            ("<https://ca/1", &[]),
            ("", &[]),
        ] {
            assert_eq!(alternates(header).collect::<Vec<_>>(), found, "{header}");
        }
    }

    #[test]
    fn renewal_information_reads_and_a_time_that_is_none_is_an_error() {
        let info = |start: &str| {
            let text = format!(
                r#"{{"suggestedWindow":{{"start":"{start}","end":"2026-11-24T00:00:00Z"}},"explanationURL":"https://ca/why"}}"#
            );
            serde_json::from_str::<RenewalInfo>(&text)
        };
        let read = info("2026-11-22T10:00:00.5Z").unwrap();
        assert_eq!(read.suggested_window.end.since(read.suggested_window.start).as_secs(), 38 * 3600);
        assert!(info("tomorrow").unwrap_err().to_string().contains("\"tomorrow\" is no time"));
        assert!(serde_json::from_str::<RenewalInfo>("{}").is_err());
    }

    #[test]
    fn problems_keep_the_words_of_the_ca_whatever_it_sent() {
        for (body, shown) in [
            (
                r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many\ncertificates","status":429}"#,
                "rateLimited: too many certificates",
            ),
            (
                r#"{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"no","subproblems":[{"type":"x","detail":"blocked","identifier":{"type":"dns","value":"a.test"}}]}"#,
                "rejectedIdentifier: no; a.test: blocked",
            ),
            ("<html>\n<h1>502 Bad Gateway</h1>\n</html>", "<html> <h1>502 Bad Gateway</h1> </html>"),
            ("{}", "{}"),
            ("", "no reason given"),
            (r#"{"type":"about:blank"}"#, "about:blank"),
            ("\u{1b}[31mred", "[31mred"),
        ] {
            assert_eq!(Problem::from_any_body(body.as_bytes()).to_string(), shown);
        }
        assert!(Problem::from_any_body(&vec![b'x'; 100_000]).to_string().len() <= EXCERPT_OCTETS);
    }
}
