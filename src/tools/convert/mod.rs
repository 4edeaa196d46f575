//! `notariat convert`: cert-manager's Certificates, Issuers and ClusterIssuers on standard input -> our ConfigMaps. Asks no server.
//!
//! Input: the output of `kubectl get certificates,issuers,clusterissuers -A -o json`, read by [`crate::cert_manager`]. The input is
//! untrusted: the author of a Certificate chose its values, and an operator with more rights applies and pastes the output. Hence each
//! value is quoted on one line of printable ASCII, commands contain only names that Kubernetes or the DNS allow, and each entry and issuer
//! passes the reader of the controller before it is printed. What can not be served becomes a comment, never an entry.
//! tests/it/convert.rs has the inputs of tests/vectors/cert-manager/.

mod entry;
mod input;
mod lines;
mod names;
mod placement;
mod plan;
mod print;
mod routes;
mod secrets;
mod steps;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use serde_json::Value;

use super::options::ConvertOptions;
use crate::base::limits::CONVERT_OCTETS_MAX;
use crate::base::name::ObjectRef;
use crate::cert_manager::{CertManagerIssuer, Certificate, KnownIssuers, object_id};
use crate::cli::Arguments;
use crate::config::namespaces::Namespaces;
use placement::Placement;
use plan::Plan;
use table::{ResultRow, RowResult};

/// The result of a conversion.
#[derive(Debug)]
pub struct Converted {
    /// The ConfigMaps as YAML, one for each namespace or one for all.
    pub yaml: String,
    /// A sentence for each field without effect and for each loss; the last item is the table.
    pub report: Vec<String>,
    /// True if everything was carried over.
    pub is_whole: bool,
}

/// The name of a ConfigMap where none is given: that of `deploy/`.
const NAME: &str = "notariat";

/// Converts standard input.
///
/// # Errors
/// When the flags do not go together, or standard input can not be read or is not what kubectl prints.
pub fn run(arguments: &Arguments, options: &ConvertOptions) -> Result<Converted, String> {
    let scope = ConvertScope::of(arguments, options)?;
    let mut text = String::new();
    let read = std::io::stdin().lock().take(CONVERT_OCTETS_MAX + 1).read_to_string(&mut text);
    read.map_err(|e| format!("standard input can not be read: {e}"))?;
    if text.len() as u64 > CONVERT_OCTETS_MAX {
        return Err(format!("standard input has more than {CONVERT_OCTETS_MAX} octets; give one namespace at a time"));
    }
    convert(&text, &scope)
}

/// The objects that are converted, and the form that they get.
#[derive(Debug)]
pub struct ConvertScope<'a> {
    /// The name of the ConfigMaps.
    pub name: &'a str,
    /// `-one`: the namespace of the one ConfigMap.
    pub one: Option<&'a str>,
    /// The namespaces whose Certificates are converted; empty for all.
    pub only: Vec<&'a str>,
    /// The namespace of the Secrets of ClusterIssuers.
    pub cluster_resources: &'a str,
}

impl<'a> ConvertScope<'a> {
    fn of(arguments: &'a Arguments, options: &'a ConvertOptions) -> Result<ConvertScope<'a>, String> {
        if arguments.config.len() > 1 {
            return Err("-config has several names; convert gives its ConfigMaps one".to_owned());
        }
        let own = arguments.namespace.as_deref();
        let one = match (options.one, own) {
            (true, None) => return Err("-one needs -namespace, the namespace in which notariat runs".to_owned()),
            (is_one, own) => own.filter(|_| is_one),
        };
        let allowed = arguments.allow_namespaces.iter().map(String::as_str);
        let only = match one {
            // All namespaces, unless some are allowed.
            Some(_) if arguments.allow_namespaces.is_empty() => Vec::new(),
            Some(_) | None => own.into_iter().chain(allowed).collect(),
        };
        let name = arguments.config.first().map_or(NAME, String::as_str);
        Ok(ConvertScope { name, one, only, cluster_resources: &options.cluster_resource_namespace })
    }

    fn holds(&self, namespace: &str) -> bool {
        self.only.is_empty() || self.only.contains(&namespace)
    }
}

/// Converts the text of a List.
///
/// # Errors
/// When the text is not a List of such objects in JSON.
pub fn convert(text: &str, scope: &ConvertScope<'_>) -> Result<Converted, String> {
    let nothing = |what: &str| {
        let report = vec![format!("{what}, so there is nothing to convert; {}", input::HOW)];
        Ok(Converted { yaml: String::new(), report, is_whole: false })
    };
    if text.trim().is_empty() {
        return nothing("standard input is empty (did the command before the pipe fail?)");
    }
    let objects = input::objects(text)?;
    let issuers: KnownIssuers = objects.iter().filter_map(CertManagerIssuer::read).collect();
    let all: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "Certificate").collect();
    let chosen: Vec<&Value> = all.iter().copied().filter(|object| scope.holds(object_id(object).0)).collect();
    if chosen.is_empty() {
        return match all.len() {
            0 => nothing("standard input has no Certificate"),
            some => nothing(&format!("none of the {some} Certificates is in {}", scope.only.join(", "))),
        };
    }
    let (places, lost, notes) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    let mut conversion = Conversion { scope, issuers: &issuers, places, lost, notes };
    let rows = conversion.certificates(&chosen);
    let (mut places, mut lost, notes) = (conversion.places, conversion.lost, conversion.notes);
    let mut manifests = Vec::new();
    for place in places.values_mut() {
        let data = print::data(place).into_iter().map(|(key, lines)| (key.to_owned(), lines.join("\n")));
        if let Err(fault) = place.check(data.collect()) {
            lost.push(format!("the ConfigMap for {} would be refused: {fault}", place.namespace()));
        }
        manifests.push(print::manifest(scope.name, place));
    }
    let is_whole = lost.is_empty();
    let mut said = BTreeSet::new();
    let mut report: Vec<String> = notes.iter().map(|(sentence, titles)| note(sentence, titles)).collect();
    report.append(&mut lost);
    report.retain(|sentence| said.insert(sentence.clone()));
    report.push(table::table(&rows, all.len() - chosen.len()));
    Ok(Converted { yaml: manifests.join("---\n"), report, is_whole })
}

/// The sentence about a field without effect, which is said once for all objects.
fn note(sentence: &str, titles: &BTreeSet<String>) -> String {
    let first = titles.first().map_or("", String::as_str);
    match titles.len() {
        0 | 1 => format!("{first}: {sentence}"),
        many => format!("{first} and {} more: {sentence}", many - 1),
    }
}

/// A conversion under way.
struct Conversion<'c> {
    scope: &'c ConvertScope<'c>,
    issuers: &'c KnownIssuers,
    /// The ConfigMaps by their namespace.
    places: BTreeMap<String, Placement>,
    /// A sentence for each loss.
    lost: Vec<String>,
    /// A sentence for each field that has no effect, with the objects that have it.
    notes: BTreeMap<String, BTreeSet<String>>,
}

impl<'c> Conversion<'c> {
    /// Converts the Certificates: a row for each, in their order.
    fn certificates(&mut self, objects: &[&Value]) -> Vec<ResultRow> {
        let read: Vec<(String, Result<Certificate, String>)> = objects.iter().map(|object| titled(object)).collect();
        if let Some(own) = self.scope.one {
            let all: BTreeSet<String> =
                read.iter().filter_map(|(_, read)| Some(read.as_ref().ok()?.namespace.clone())).collect();
            let all: Vec<String> = all.into_iter().collect();
            self.places.insert(own.to_owned(), Placement::new(Namespaces::new(own, &all), true));
        }
        let (mut plans, mut filled) = (Vec::new(), BTreeMap::<ObjectRef, &str>::new());
        for (number, (title, read)) in read.iter().enumerate() {
            let place = self.place(object_id(objects[number]).0);
            let certificate = match read {
                Ok(certificate) => certificate,
                Err(why) => {
                    place.leave_out(number, title.clone(), vec![why.clone()], None);
                    continue;
                }
            };
            place.reserve(&certificate.secret.namespace, &certificate.secret.name);
            if let Some(other) = filled.insert(certificate.secret.clone(), title) {
                filled.insert(certificate.secret.clone(), other);
                let why = format!("{other} fills the Secret {}, too", certificate.secret);
                place.leave_out(number, title.clone(), vec![why], None);
                continue;
            }
            let known = self.issuers.find(&certificate.issuer, &certificate.namespace).ok();
            let known = known.filter(|issuer| issuer.acme.is_some()).map(|issuer| (certificate, issuer));
            match Plan::make(certificate, self.issuers, self.scope.cluster_resources) {
                Ok(plan) => {
                    self.reserve_secrets(&plan);
                    plans.push((number, plan));
                }
                Err(why) => {
                    self.place(&certificate.namespace).leave_out(number, title.clone(), why, known);
                }
            }
        }
        // A rule in `zones` must not lead a name astray whose entry has room for its server: those entries come first.
        plans.sort_by_key(|(number, plan)| (plan.rules().map_or(true, |rules| !rules.is_empty()), *number));
        let mut with_loss = BTreeSet::new();
        // A rule that one Certificate brings may let another one in: a second try for those that were left out.
        let failed: Vec<&(usize, Plan<'_>)> = plans
            .iter()
            .filter(|(number, plan)| self.add(*number, &read[*number].0, plan, &mut with_loss).is_err())
            .collect();
        for (number, plan) in failed {
            let title = &read[*number].0;
            if let Err(why) = self.add(*number, title, plan, &mut with_loss) {
                let known = Some((&plan.certificate, plan.issuer));
                self.place(&plan.certificate.namespace).leave_out(*number, title.clone(), vec![why], known);
            }
        }
        for place in self.places.values() {
            let reasons = place.left_out.values().flat_map(|out| out.reasons.iter().map(|why| (&out.title, why)));
            self.lost.extend(reasons.map(|(title, why)| format!("{title} is left out: {why}")));
        }
        read.iter().enumerate().map(|(number, read)| self.row(number, objects[number], &read.1, &with_loss)).collect()
    }

    /// Makes one Certificate an entry.
    ///
    /// # Errors
    /// Why that is not possible.
    fn add(
        &mut self,
        number: usize,
        title: &str,
        plan: &Plan<'c>,
        with_loss: &mut BTreeSet<usize>,
    ) -> Result<(), String> {
        let certificate = &plan.certificate;
        let cluster_resources = self.scope.cluster_resources;
        let mut said = Vec::new();
        let place = self.place(&certificate.namespace);
        place.add(number, plan, cluster_resources, &mut |sentence| said.push(sentence))?;
        if certificate.is_issuing {
            place.remind(&format!("cert-manager is at an order for {title}: wait until that has ended."));
        }
        let of_certificate = certificate.without_effect.iter().map(|sentence| (sentence, title.to_owned()));
        let of_issuer = plan.acme.without_effect.iter().map(|sentence| (sentence, plan.issuer.title()));
        for (sentence, title) in of_certificate.chain(of_issuer) {
            self.notes.entry(sentence.clone()).or_default().insert(title);
        }
        if !said.is_empty() {
            with_loss.insert(number);
        }
        self.lost.extend(said.into_iter().map(|sentence| format!("{title}: {sentence}")));
        Ok(())
    }

    /// Keeps the names of cert-manager's own Secrets free.
    fn reserve_secrets(&mut self, plan: &Plan<'_>) {
        let from = plan.issuer.secrets_in(self.scope.cluster_resources);
        let place = self.place(&plan.certificate.namespace);
        let keys = plan.proofs.iter().filter_map(|proof| proof.access.as_ref()).map(|access| &access.update.secret);
        let keys = keys.chain(&plan.acme.account);
        let binding = plan.acme.external_account.as_ref().and_then(|account| account.key.as_ref());
        keys.chain(binding).for_each(|key| place.reserve(from, &key.secret));
    }

    /// The ConfigMap for the Certificates of a namespace.
    fn place(&mut self, namespace: &str) -> &mut Placement {
        let own = self.scope.one.unwrap_or(namespace);
        self.places.entry(own.to_owned()).or_insert_with(|| Placement::new(Namespaces::from(own), false))
    }

    /// The row of a Certificate.
    fn row(
        &self,
        number: usize,
        object: &Value,
        read: &Result<Certificate, String>,
        with_loss: &BTreeSet<usize>,
    ) -> ResultRow {
        let (namespace, name) = object_id(object);
        let is_carried = self.places.values().any(|place| place.entries.contains_key(&number));
        let result = match (is_carried, with_loss.contains(&number)) {
            (true, false) => RowResult::Whole,
            (true, true) => RowResult::WithLoss,
            (false, _) => RowResult::LeftOut,
        };
        let read = read.as_ref().ok();
        ResultRow {
            certificate: format!("{namespace}/{name}").escape_debug().to_string(),
            secret: read.map(|read| read.secret.name.to_string()).unwrap_or_default(),
            issuer: read.map(|read| read.issuer.name.escape_debug().to_string()).unwrap_or_default(),
            result,
        }
    }
}

/// A Certificate with its title for sentences.
fn titled(object: &Value) -> (String, Result<Certificate, String>) {
    let (namespace, name) = object_id(object);
    (format!("Certificate {namespace}/{name}").escape_debug().to_string(), Certificate::read(object))
}
