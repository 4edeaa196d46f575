//! Whether CAA records let a CA issue by the type of challenge of a name (RFC 8659, RFC 8657). Pure.
//!
//! The records are untrusted input. The CA applies the same rules to its own view of the DNS.

use crate::base::challenge_type::ChallengeType;

/// A CAA record, its tag in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) critical: bool,
    pub(super) tag: String,
    pub(super) value: String,
}

/// The applicant: the CA's `caaIdentities`, the URL of the account where it is known, and the type of challenge that proves the name.
#[derive(Clone, Copy, Debug)]
pub(super) struct CaaContext<'a> {
    pub(super) identities: &'a [String],
    pub(super) account: Option<&'a str>,
    pub(super) challenge: ChallengeType,
}

/// The verdict of the records of the closest name that has any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CaaVerdict {
    /// The CA may issue.
    Allows,
    /// The CA may issue for one account; the own account is not known yet.
    Depends(String),
    /// The CA may not issue, and why.
    Forbids(String),
}

/// The tags that are understood, or that concern no certificate of this kind (RFC 8659 section 4, RFC 9495, CA/Browser Forum).
const KNOWN: [&str; 7] = ["issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"];

/// Judges all records of one name for a certificate that may be for a wildcard.
pub(super) fn judge(records: &[Property], is_wildcard: bool, applicant: CaaContext<'_>) -> CaaVerdict {
    // RFC 8659 section 4.5: a CA "MUST NOT issue" where it does not know a critical property.
    if let Some(strange) = records.iter().find(|record| record.critical && !KNOWN.contains(&record.tag.as_str())) {
        return CaaVerdict::Forbids(format!("the critical property `{}` is one that no CA knows", strange.tag));
    }
    let of = |tag: &str| records.iter().filter(|record| record.tag == tag).collect::<Vec<_>>();
    // Section 4.3: `issuewild` takes the place of `issue` for wildcards, where there is one.
    let mut relevant = if is_wildcard { of("issuewild") } else { Vec::new() };
    if relevant.is_empty() {
        relevant = of("issue");
    }
    if relevant.is_empty() {
        return CaaVerdict::Allows;
    }
    let ours: Vec<_> = relevant
        .iter()
        .map(|record| read(&record.value))
        .filter(|(issuer, _)| applicant.identities.iter().any(|identity| identity.eq_ignore_ascii_case(issuer)))
        .collect();
    if ours.is_empty() {
        let all: Vec<String> = relevant.iter().map(|record| format!("{} {:?}", record.tag, record.value)).collect();
        let identities = applicant.identities.join(" or ");
        let tag = &relevant[0].tag;
        return CaaVerdict::Forbids(format!(
            "{} does not name this CA: add `CAA 0 {tag} \"{}\"`; it is known as {identities}",
            all.join(", "),
            applicant.identities.first().map_or("", String::as_str)
        ));
    }
    let mut verdicts = ours.iter().map(|(issuer, parameters)| limited(issuer, parameters, applicant));
    let first = verdicts.next().expect("it is not empty, as the lines above saw");
    verdicts.fold(first, |best, next| match (&best, &next) {
        (CaaVerdict::Allows, _) => best,
        (_, CaaVerdict::Allows) | (CaaVerdict::Forbids(_), _) => next,
        (CaaVerdict::Depends(_), _) => best,
    })
}

/// The verdict of the parameters of a record that names the CA.
fn limited(issuer: &str, parameters: &[(String, String)], applicant: CaaContext<'_>) -> CaaVerdict {
    let CaaContext { account, challenge, .. } = applicant;
    for (tag, value) in parameters {
        match tag.as_str() {
            // RFC 8657 section 4.
            "validationmethods" if !value.split(',').any(|method| method.trim() == challenge.name()) => {
                return CaaVerdict::Forbids(format!(
                    "the record for {issuer} has `validationmethods={value}`, which leaves out {challenge}, the method that is used here: add it"
                ));
            }
            "accounturi" if account.is_none() => {
                return CaaVerdict::Depends(format!(
                    "the record for {issuer} is for the account {value} alone (`accounturi`); the account here is not registered yet"
                ));
            }
            "accounturi" if account != Some(value) => {
                return CaaVerdict::Forbids(format!(
                    "the record for {issuer} is for the account {value} alone (`accounturi`), and the account here is {}",
                    account.unwrap_or_default()
                ));
            }
            _ => {}
        }
    }
    CaaVerdict::Allows
}

/// The issuer's domain name and the parameters (RFC 8659 section 4.2).
fn read(value: &str) -> (String, Vec<(String, String)>) {
    let mut parts = value.split(';').map(str::trim);
    let issuer = parts.next().unwrap_or_default().trim_end_matches('.').to_owned();
    let parameter = |part: &str| {
        let (tag, value) = part.split_once('=')?;
        Some((tag.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    (issuer, parts.filter_map(parameter).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(records: &[&str], is_wildcard: bool, challenge: ChallengeType) -> String {
        let record = |text: &&str| {
            let mut words = text.splitn(3, ' ');
            let mut word = || words.next().unwrap().to_owned();
            Property { critical: word() == "128", tag: word(), value: word() }
        };
        let records: Vec<Property> = records.iter().map(record).collect();
        let identities = ["ca.test".to_owned(), "alias.test".to_owned()];
        let applicant = CaaContext { identities: &identities, account: Some("https://ca.test/acct/1"), challenge };
        match judge(&records, is_wildcard, applicant) {
            CaaVerdict::Allows => "allows".to_owned(),
            CaaVerdict::Depends(why) => format!("depends: {why}"),
            CaaVerdict::Forbids(why) => format!("forbids: {why}"),
        }
    }

    #[test]
    fn records_are_judged_as_rfc_8659_and_8657_say() {
        for (records, is_wildcard, expected) in [
            (&["0 issue ca.test"][..], false, "allows"),
            (&["0 issue CA.test."], true, "allows"),
            (&["0 issue other.test", "0 issue alias.test; x=y"], false, "allows"),
            (&["0 iodef mailto:x@ca.test"], false, "allows"),
            (&["0 issuewild ;"], false, "allows"),
            (
                &["0 issue ca.test", "0 issuewild ;"],
                true,
                "forbids: issuewild \";\" does not name this CA: add `CAA 0 issuewild \"ca.test\"`",
            ),
            (&["0 issue ;", "0 issuewild ca.test"], true, "allows"),
            (&["0 issue ;"], false, "forbids: issue \";\" does not name this CA"),
            (
                &["0 issue other.test"],
                true,
                "forbids: issue \"other.test\" does not name this CA: add `CAA 0 issue \"ca.test\"`; it is known as ca.test or alias.test",
            ),
            (&["128 odd x", "0 issue ca.test"], false, "forbids: the critical property `odd`"),
            (&["0 odd x", "128 iodef mailto:x@ca.test"], false, "allows"),
            (&["0 issue ca.test; validationmethods=http-01,dns-01"], false, "allows"),
            (
                &["0 issue ca.test;validationmethods=http-01"],
                false,
                "forbids: the record for ca.test has `validationmethods=http-01`",
            ),
            (&["0 issue ca.test; validationmethods=http-01", "0 issue ca.test"], false, "allows"),
            (&["0 issue ca.test; accounturi=https://ca.test/acct/1"], false, "allows"),
            (
                &["0 issue ca.test; AccountURI = https://ca.test/acct/2"],
                false,
                "forbids: the record for ca.test is for the account https://ca.test/acct/2 alone",
            ),
        ] {
            let found = verdict(records, is_wildcard, ChallengeType::Dns01);
            assert!(found.starts_with(expected), "{records:?}: {found}");
        }
    }

    #[test]
    fn the_methods_are_those_that_may_prove_the_name() {
        let (dns, http) = (ChallengeType::Dns01, ChallengeType::Http01);
        for (methods, challenge, lacks) in [
            ("dns-01", dns, None),
            ("dns-01", http, Some("http-01")),
            ("http-01", http, None),
            ("http-01", dns, Some("dns-01")),
            ("tls-alpn-01, http-01", http, None),
            ("dns-01,http-01", http, None),
            ("http-01x", http, Some("http-01")),
            ("", dns, Some("dns-01")),
        ] {
            let found = verdict(&[&format!("0 issue ca.test; validationmethods={methods}")], false, challenge);
            let expected = lacks.map_or("allows".to_owned(), |lacks| {
                format!("forbids: the record for ca.test has `validationmethods={methods}`, which leaves out {lacks}, the method that is used here: add it")
            });
            assert_eq!(found, expected);
        }
        let both = ["0 issue ca.test; validationmethods=dns-01", "0 issue alias.test; validationmethods=http-01"];
        assert_eq!(verdict(&both, false, http), "allows");
    }

    #[test]
    fn an_account_that_is_not_known_yet_may_be_the_one() {
        let record = Property { critical: false, tag: "issue".to_owned(), value: "ca.test; accounturi=x".to_owned() };
        let identities = ["ca.test".to_owned()];
        let applicant = CaaContext { identities: &identities, account: None, challenge: ChallengeType::Http01 };
        assert!(matches!(judge(&[record], false, applicant), CaaVerdict::Depends(_)));
    }
}
