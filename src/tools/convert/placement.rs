//! The contents of one ConfigMap: issuers, zones, entries, the Secrets that they name, and what is left out.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{self, by_percentage};
use super::lines::FieldMap;
use super::names::NameRegistry;
use super::plan::{Access, Plan};
use super::routes::Route;
use super::secrets::InputSecret;
use crate::base::challenge_type::ChallengeType;
use crate::base::name::{DnsName, Domain, ObjectRef};
use crate::cert_manager::{CertManagerIssuer, Certificate, ControllerReference, IssuerKind};
use crate::config::namespaces::Namespaces;

/// The type of challenge of an entry or a rule.
const CHALLENGE: &str = ChallengeType::Http01.name();

/// A Certificate that became an entry.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) owner: Option<ControllerReference>,
}

/// A Certificate that did not.
#[derive(Debug)]
pub(super) struct LeftOut {
    pub(super) title: String,
    pub(super) reasons: Vec<String>,
    /// The entry, and its issuer by its label, where they can be read.
    pub(super) entry: Option<(FieldMap, String, FieldMap)>,
}

/// The contents of one ConfigMap.
#[derive(Debug)]
pub(super) struct Placement {
    /// The ConfigMap's own namespace first.
    namespaces: Namespaces,
    /// True if the Secrets of certificates are in other namespaces, too.
    pub(super) is_one: bool,
    secrets: NameRegistry<InputSecret>,
    labels: NameRegistry<(IssuerKind, String, String)>,
    pub(super) issuers: BTreeMap<String, FieldMap>,
    /// The server and the key of a zone; `None` for HTTP-01.
    rules: BTreeMap<DnsName, Option<Access>>,
    /// The ways on which the names go that rules count for: `None` is HTTP-01.
    proved: Vec<(Domain, Option<Access>)>,
    /// The routes of HTTP-01, each with its hosts.
    pub(super) routes: BTreeMap<Route, BTreeSet<DnsName>>,
    /// The entries by the number of their Certificate in the input.
    pub(super) entries: BTreeMap<usize, FieldMap>,
    pub(super) moved: Vec<Moved>,
    pub(super) left_out: BTreeMap<usize, LeftOut>,
    /// The notes for the operator, each once.
    pub(super) reminders: Vec<String>,
}

impl Placement {
    /// A ConfigMap in the own one of `namespaces`.
    pub(super) fn new(namespaces: Namespaces, is_one: bool) -> Placement {
        Placement {
            namespaces,
            is_one,
            secrets: NameRegistry::default(),
            labels: NameRegistry::default(),
            issuers: BTreeMap::new(),
            rules: BTreeMap::new(),
            proved: Vec::new(),
            routes: BTreeMap::new(),
            entries: BTreeMap::new(),
            moved: Vec::new(),
            left_out: BTreeMap::new(),
            reminders: Vec::new(),
        }
    }

    /// The namespace of the ConfigMap, and of the Secrets that are made.
    pub(super) fn namespace(&self) -> &str {
        self.namespaces.own()
    }

    /// The namespaces with Secrets of certificates, besides the own one.
    pub(super) fn others(&self) -> Vec<&str> {
        let mut others: Vec<&str> =
            self.moved.iter().map(|m| m.namespace.as_str()).filter(|n| *n != self.namespace()).collect();
        others.sort_unstable();
        others.dedup();
        others
    }

    /// The Secrets that are made, each with its name.
    pub(super) fn secrets(&self) -> Vec<(&str, &InputSecret)> {
        self.secrets.all()
    }

    /// The items of the key `zones`.
    pub(super) fn zones(&mut self) -> Vec<FieldMap> {
        let rules: Vec<_> = self.rules.iter().map(|(zone, access)| (zone.to_string(), access.clone())).collect();
        let item = |(zone, access): (String, Option<Access>)| {
            let mut fields: FieldMap = vec![("zone", zone.into())];
            match access {
                None => fields.push(("challenge", CHALLENGE.into())),
                Some(access) => {
                    fields.push(("server", access.update.server.to_string().into()));
                    fields.extend(self.tsig_key(&access).map(|name| ("tsigSecretName", name.into())));
                }
            }
            fields
        };
        rules.into_iter().map(item).collect()
    }

    /// Keeps the name of a Secret free that exists in some namespace.
    pub(super) fn reserve(&mut self, namespace: &str, name: &str) {
        if namespace == self.namespace() {
            self.secrets.reserve(name);
        }
    }

    /// The reference to the Secret of a certificate.
    pub(super) fn reference(&self, secret: &ObjectRef) -> String {
        if self.is_one { secret.to_string() } else { secret.name.to_string() }
    }

    /// Adds a sentence for the operator.
    pub(super) fn remind(&mut self, sentence: &str) {
        if !self.reminders.iter().any(|known| known == sentence) {
            self.reminders.push(sentence.to_owned());
        }
    }

    /// Makes the Certificate with this number an entry; `say` gets a sentence for each loss.
    ///
    /// # Errors
    /// Why that is not possible.
    pub(super) fn add(
        &mut self,
        number: usize,
        plan: &Plan<'_>,
        cluster_resources: &str,
        say: &mut impl FnMut(String),
    ) -> Result<(), String> {
        let certificate = &plan.certificate;
        // Read first with any names, so that a Certificate that is left out leaves no Secret behind.
        let label = self.labels.give(&issuer_key(plan.issuer), &label_wishes(plan.issuer));
        let secret = self.reference(&certificate.secret);
        let mut fields = entry::fields(certificate, &secret, Some(&label), say);
        entry::check(&fields, &self.namespaces)?;
        let can_not = |why| format!("its {} can not be used: {why}", plan.issuer.title());
        entry::check_issuer(&label, &entry::issuer_fields(plan.acme), &self.namespaces).map_err(can_not)?;
        self.add_rules(plan)?;
        if !self.issuers.contains_key(&label) {
            let issuer = self.issuer(plan, cluster_resources, say);
            self.issuers.insert(label, issuer);
        }
        if plan.is_http() {
            fields.push(("challenge", CHALLENGE.into()));
        }
        if let Some(access) = plan.shared_access() {
            let server = serde_json::json!({"server": access.update.server.to_string()});
            fields.extend(self.tsig_key(access).map(|name| ("tsigSecretName", name.into())));
            fields.push(("dns", server));
        }
        for (route, domains) in &plan.routes {
            let hosts = domains.iter().map(|domain| domain.base().clone());
            self.routes.entry(route.clone()).or_default().extend(hosts);
        }
        self.entries.insert(number, fields);
        let (namespace, name) = (certificate.namespace.clone(), certificate.name.clone());
        self.moved.push(Moved { namespace, name, owner: certificate.owner.clone() });
        self.remind_of(plan);
        Ok(())
    }

    /// Adds the reminders that the Certificate's peculiarities need.
    fn remind_of(&mut self, plan: &Plan<'_>) {
        let certificate = &plan.certificate;
        if !certificate.key.is_asked {
            self.remind(
                "Where a Certificate says nothing of its key, cert-manager makes RSA keys with 2048 bits: `keyType: rsa-2048` goes on so. Without that line new keys are ECDSA on P-256, which are smaller and faster.",
            );
        }
        if certificate.renew_before.is_none() && by_percentage(certificate).is_some() {
            self.remind("A `renewBefore` stands for renewBeforePercentage of today's lifetime: change it when the CA changes that.");
        }
        if plan.follows {
            self.remind("Add to `zones` those that CNAMEs of challenges lead to (cnameStrategy: Follow).");
        }
        if plan.has_several() {
            self.remind(
                "See that each of `zones` is a zone of its own (has a SOA record): they were cert-manager's dnsZones.",
            );
        }
    }

    /// Adds the rules that lead each name its own way. An entry itself has room for one server and one key, and for one type of challenge.
    fn add_rules(&mut self, plan: &Plan<'_>) -> Result<(), String> {
        let (added, mut rules) = (plan.rules()?, self.rules.clone());
        for (zone, access) in &added {
            rules.entry(zone.clone()).or_insert_with(|| access.clone());
        }
        // An entry that says http-01 itself needs no rule for that.
        let counts = |access: &Option<Access>| access.is_some() || !plan.is_http();
        let of_plan = plan.proofs.iter().map(|proof| (proof.domain.clone(), proof.access.clone()));
        let of_plan: Vec<_> = of_plan.filter(|(_, access)| counts(access)).collect();
        let astray = |proved: &[(Domain, Option<Access>)]| {
            proved.iter().find_map(|(domain, access)| {
                let (zone, _) = rule_for(&rules, domain).filter(|(_, rule)| *rule != access)?;
                Some(format!(
                    "its names are proved in several ways, which takes rules in `zones`, and the one for {zone} would lead {domain} to another server, key or challenge than its solver"
                ))
            })
        };
        if !added.is_empty() {
            if let Some(why) = astray(&of_plan) {
                return Err(format!("{why}: give that name a Certificate of its own"));
            }
            if let Some(why) = astray(&self.proved) {
                return Err(format!("{why}: give it a ConfigMap of its own"));
            }
        }
        self.rules = rules;
        self.proved.extend(of_plan);
        Ok(())
    }

    /// The fields of an issuer, with the Secrets that it names.
    fn issuer(&mut self, plan: &Plan<'_>, cluster_resources: &str, say: &mut impl FnMut(String)) -> FieldMap {
        let (issuer, acme) = (plan.issuer, plan.acme);
        let from = issuer.secrets_in(cluster_resources);
        let mut fields = entry::issuer_fields(acme);
        let title = issuer.title();
        acme.unknown.iter().for_each(|why| say(format!("{title}: {why}")));
        let account = acme.account.as_ref().map(|key| InputSecret::account(key, from, self.namespace()));
        match account {
            None => {}
            Some(Ok(Ok(made))) => fields.push(("accountSecretName", self.made(&made).into())),
            Some(Ok(Err(there))) => fields.push(("accountSecretName", there.name.to_string().into())),
            Some(Err(why)) => say(format!("{title}: notariat makes an account of its own: {why}")),
        }
        let binding = acme.external_account.as_ref().map(|account| InputSecret::external_account(account, from));
        match binding {
            None => {}
            Some(Ok(made)) => fields.push(("eabSecretName", self.made(&made).into())),
            Some(Err(why)) => say(format!("{title}: its external account binding is left out: {why}")),
        }
        if acme.has_ca_bundle {
            let (kind, namespace) = (issuer.kind, issuer.namespace.clone());
            let made = InputSecret::Roots { kind, namespace, issuer: issuer.name.clone() };
            fields.push(("caSecretName", self.made(&made).into()));
        }
        fields
    }

    /// The name of a Secret that is made.
    fn made(&mut self, secret: &InputSecret) -> String {
        self.secrets.give(secret, &[secret.wish()])
    }

    /// The name of the Secret with the key; the reference was read when the Certificate was planned.
    fn tsig_key(&mut self, access: &Access) -> Option<String> {
        let secret = InputSecret::tsig_key(&access.update, &access.secret_in).ok()?;
        Some(self.made(&secret))
    }

    /// Leaves a Certificate out. `known` is what makes an entry of it later: the Certificate, and its ACME issuer.
    pub(super) fn leave_out(
        &mut self,
        number: usize,
        title: String,
        reasons: Vec<String>,
        known: Option<(&Certificate, &CertManagerIssuer)>,
    ) {
        let entry = known.and_then(|(certificate, issuer)| {
            let label = self.labels.give(&issuer_key(issuer), &label_wishes(issuer));
            let secret = self.reference(&certificate.secret);
            let fields = entry::fields(certificate, &secret, Some(&label), &mut |_| {});
            Some((fields, label, entry::issuer_fields(issuer.acme.as_ref()?)))
        });
        self.left_out.insert(number, LeftOut { title, reasons, entry });
    }

    /// Reads the ConfigMap as the controller will read it.
    ///
    /// # Errors
    /// The faults for which it would be refused.
    pub(super) fn check(&self, data: BTreeMap<String, String>) -> Result<(), String> {
        crate::config::read(&data.into(), &self.namespaces).map(drop).map_err(|fault| fault.to_string())
    }
}

/// The rule that counts for a name: that of the longest zone around it.
fn rule_for<'r, T>(rules: &'r BTreeMap<DnsName, T>, domain: &Domain) -> Option<(&'r DnsName, &'r T)> {
    let parents = std::iter::successors(Some(domain.base().clone()), DnsName::parent);
    parents.into_iter().find_map(|zone| rules.get_key_value(&zone))
}

fn issuer_key(issuer: &CertManagerIssuer) -> (IssuerKind, String, String) {
    (issuer.kind, issuer.namespace.clone(), issuer.name.clone())
}

/// The names in the key `issuers`, the best first. A name has no dots and, with a number, 63 characters at most.
fn label_wishes(issuer: &CertManagerIssuer) -> [String; 2] {
    let scope = if issuer.namespace.is_empty() { "cluster" } else { issuer.namespace.as_str() };
    [issuer.name.clone(), format!("{scope}-{}", issuer.name)].map(|name| {
        let short: String = name.replace('.', "-").chars().take(LABEL_CHARACTERS).collect();
        short.trim_end_matches('-').to_owned()
    })
}

/// The characters of a label, without a number.
const LABEL_CHARACTERS: usize = 55;
