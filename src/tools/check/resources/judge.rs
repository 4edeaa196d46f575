//! The certificates that notariat would make of cert-manager's objects. Pure.
//!
//! Nothing is said of a field that is honoured. A field without effect is a line that is `ok`, one that is not known a `warning`; what is
//! refused or in flight is a `fault`.

use std::collections::BTreeMap;

use super::super::report::{CheckReport, Level};
use super::seen::{APPROVER, Seen, SeenCertificate, secrets_of, titled};
use crate::base::name::ObjectRef;
use crate::cert_manager::{Acme, CertManagerIssuer, Certificate, DataKey, NameProof};
use crate::config::entry::order_names;
use crate::config::metadata::{check_annotation, check_label};

/// The namespaces that one line names.
const NAMES_SHOWN: usize = 5;

/// The lines about everything that was seen.
pub(super) fn report(seen: &Seen, cluster_resources: &str) -> CheckReport {
    let mut report = CheckReport::default();
    for (object, why) in &seen.missed {
        report.miss(object, why.clone());
    }
    for issuer in seen.issuers.all() {
        of_issuer(&mut report, issuer, seen, cluster_resources);
    }
    let holders = holders(&seen.certificates);
    let (mut served, mut issuing) = (0, 0);
    for certificate in &seen.certificates {
        let before = report.lines.len();
        of_certificate(&mut report, certificate, seen, cluster_resources, &holders);
        let is_served = report.lines[before..].iter().all(|line| line.level != Level::Fault);
        served += usize::from(is_served);
        // Said last, for a Certificate that is served as well.
        if certificate.read.as_ref().is_ok_and(|read| read.is_issuing) {
            issuing += 1;
            let sentence = "cert-manager is at an order for it (Issuing): wait until that has ended".to_owned();
            report.say(Level::Fault, &certificate.title(), sentence);
        }
    }
    let faults = seen.old.iter().chain(&seen.in_flight);
    faults.for_each(|(object, why)| report.say(Level::Fault, object, why.clone()));
    around(&mut report, seen);
    if seen.lacks_kind {
        let sentence =
            "certificates.cert-manager.io is no kind of this cluster: there is nothing to look at".to_owned();
        report.say(Level::Warning, "cert-manager", sentence);
    }
    let (all, open) = (seen.certificates.len(), issuing + seen.in_flight.len());
    let refused = all - served;
    let sentence = format!("Certificates: {all}; would be served: {served}; refused: {refused}; in flight: {open}");
    report.say(Level::Ok, "cert-manager", sentence);
    report
}

/// The lines about what lives from cert-manager beside Certificates.
fn around(report: &mut CheckReport, seen: &Seen) {
    if !seen.loose_requests.is_empty() {
        let count: usize = seen.loose_requests.values().sum();
        let shown: Vec<&str> = seen.loose_requests.keys().take(NAMES_SHOWN).map(String::as_str).collect();
        let more = if seen.loose_requests.len() > NAMES_SHOWN { ", …" } else { "" };
        let sentence = format!(
            "{count} belong to no Certificate (in {}{more}): csi-driver or another program makes them, and nobody answers them without cert-manager",
            shown.join(", ")
        );
        report.say(Level::Fault, "CertificateRequests", sentence);
    }
    for (object, annotation) in &seen.shims {
        let sentence = format!(
            "{annotation} asks cert-manager for Certificates, and nobody makes or changes them without it: a Certificate that is there goes on; `-sources ingress,gateway` serves such objects themselves (docs/moving-objects.md)"
        );
        report.say(Level::Warning, object, sentence);
    }
    if seen.has_approver {
        let sentence = "approver-policy is here, and nobody asks its policies without CertificateRequests: write them as the key `namespaces`".to_owned();
        report.say(Level::Fault, &format!("CustomResourceDefinition {APPROVER}"), sentence);
    }
    let dead = seen.webhooks.iter().filter(|(service, _)| seen.services.get(*service) == Some(&false));
    for (service, configurations) in dead {
        for configuration in configurations {
            let sentence = format!(
                "asks the Service {service}, which has no ready pod: every write of cert-manager's objects fails, that of a status, too; start its Deployment, or delete the configuration"
            );
            report.say(Level::Fault, configuration, sentence);
        }
    }
}

impl SeenCertificate {
    fn title(&self) -> String {
        titled("Certificate", &self.at.0, &self.at.1)
    }
}

/// The Certificate that fills each Secret: the oldest one, of two of the same age the first by name.
fn holders(all: &[SeenCertificate]) -> BTreeMap<&ObjectRef, (&str, &(String, String))> {
    let mut holders = BTreeMap::new();
    for certificate in all {
        let Ok(read) = &certificate.read else { continue };
        let age = (certificate.created.as_str(), &certificate.at);
        let holder = holders.entry(&read.secret).or_insert(age);
        *holder = age.min(*holder);
    }
    holders
}

fn of_issuer(report: &mut CheckReport, issuer: &CertManagerIssuer, seen: &Seen, cluster_resources: &str) {
    let title = titled(issuer.kind.name(), &issuer.namespace, &issuer.name);
    let Some(acme) = &issuer.acme else {
        report.say(Level::Ok, &title, "is no ACME issuer: cert-manager has to go on with it".to_owned());
        return;
    };
    let mut faults = acme.refused.clone();
    let within = issuer.secrets_in(cluster_resources);
    for (key, purpose) in secrets_of(issuer) {
        faults.extend(lack(seen, &key, within).map(|lack| {
            format!("{lack}, for {purpose} (-cluster-resource-namespace names the namespace of the Secrets of ClusterIssuers)")
        }));
    }
    say(report, &title, &acme.without_effect, &acme.unknown, &faults);
    if faults.is_empty() {
        report.say(Level::Ok, &title, SERVED.to_owned());
    }
}

/// The fault of a data key that an issuer names, as far as it was looked at.
fn lack(seen: &Seen, key: &DataKey, within: &str) -> Option<String> {
    let at = match key.at(within) {
        Ok(at) => at,
        Err(why) => return Some(why),
    };
    match seen.secrets.get(&at)? {
        None => Some(format!("the Secret {at} does not exist")),
        Some(keys) if !keys.contains(&key.key) => Some(format!("the Secret {at} has no data key {:?}", key.key)),
        Some(_) => None,
    }
}

fn of_certificate(
    report: &mut CheckReport,
    certificate: &SeenCertificate,
    seen: &Seen,
    cluster_resources: &str,
    holders: &BTreeMap<&ObjectRef, (&str, &(String, String))>,
) {
    let title = certificate.title();
    let read = match &certificate.read {
        Ok(read) => read,
        Err(why) => return report.say(Level::Fault, &title, why.clone()),
    };
    let mut faults = read.refused.clone();
    if let Some((_, (namespace, name))) = holders.get(&read.secret).filter(|(_, at)| **at != certificate.at) {
        faults.push(format!("Certificate {namespace}/{name} fills the Secret {}, too, and is older", read.secret));
    }
    let mut is_known = true;
    match seen.issuers.get(&read.issuer, &read.namespace) {
        Err(why) => faults.push(format!("{why}: {FOREIGN}")),
        Ok(None) if seen.misses_issuers => {
            report.miss(&title, format!("could not look at its issuer {:?}", read.issuer.name));
            is_known = false;
        }
        Ok(None) => faults.push(format!("its issuer {:?} does not exist", read.issuer.name)),
        Ok(Some(issuer)) => match &issuer.acme {
            None => faults.push(format!("its {} is not an ACME issuer: {FOREIGN}", issuer.title())),
            Some(acme) => faults.extend(by_issuer(read, acme, issuer, (seen, cluster_resources))),
        },
    }
    let mut unknown = read.unknown.clone();
    let template = |texts: &BTreeMap<String, String>, check: &dyn Fn(&str, &str) -> Result<(), String>| {
        let refused = texts.iter().filter_map(|(key, value)| Some((key, check(key, value).err()?)));
        refused.map(|(key, e)| format!("of its secretTemplate {key:?} {e}")).collect::<Vec<_>>()
    };
    unknown.extend(template(&read.secret_labels, &check_label));
    unknown.extend(template(&read.secret_annotations, &check_annotation));
    say(report, &title, &read.without_effect, &unknown, &faults);
    if faults.is_empty() && is_known {
        report.say(Level::Ok, &title, SERVED.to_owned());
    }
}

/// The line of an object of which notariat would do everything.
const SERVED: &str = "would be served as it is";

/// The fate of a Certificate of another kind of issuer.
const FOREIGN: &str = "its Secret is left as it is, and nobody renews it without cert-manager";

/// Returns the reasons for which the issuer does not let notariat serve the Certificate.
fn by_issuer(
    certificate: &Certificate,
    acme: &Acme,
    issuer: &CertManagerIssuer,
    (seen, cluster_resources): (&Seen, &str),
) -> Vec<String> {
    let within = issuer.secrets_in(cluster_resources);
    let mut faults = Vec::new();
    if !acme.refused.is_empty() {
        faults.push(format!("its {} is refused", issuer.title()));
    }
    // The first ones are those of the issuer itself, which its own line says.
    faults.extend(acme.refuses(certificate).into_iter().skip(acme.refused.len()));
    for domain in order_names(&certificate.domains) {
        let why = match acme.prove(&domain, certificate, within) {
            Err(why) => Some(why),
            Ok(NameProof::Http(_)) => None,
            Ok(NameProof::Update { access, .. }) => {
                lack(seen, &access.secret, within).map(|lack| format!("has a solver that can not be used: {lack}"))
            }
        };
        faults.extend(why.map(|why| format!("{domain} {why}")));
    }
    faults
}

/// Says the sentences of an object by class.
fn say(report: &mut CheckReport, title: &str, without_effect: &[String], unknown: &[String], faults: &[String]) {
    for (level, sentences) in [(Level::Fault, faults), (Level::Warning, unknown), (Level::Ok, without_effect)] {
        sentences.iter().for_each(|sentence| report.say(level, title, sentence.clone()));
    }
}
