//! The examples of the documentation of the three older systems, under tests/vectors/seeds, each to its certificate. Only the namespaces
//! differ: an example says in its header what it wants, and with which flags.

use std::collections::{BTreeMap, BTreeSet};

use notariat_lab::{Grant, Hmac, Key, Kube, NameServer, Pebble, Resolver, Scratch, Software, Zone};

use crate::support::cluster::Cluster;
use crate::support::tenants::Tenants;
use crate::support::{Site, x509};

/// BIND with some zones, and the other servers.
fn site(zones: &[&str]) -> Site {
    let key = Key::new("notariat.key", Hmac::Sha256);
    let dns = zones.iter().fold(NameServer::setup(Software::Bind), |dns, zone| {
        let used = ["foo", "myingress", "one", "two", "one.apps", "two.apps", "echo", "echoheaders", "test-service"];
        let empty = Zone::new(zone).grant(Grant::Zone(&key));
        dns.zone(used.iter().fold(empty, |zone, host| zone.line(&format!("{host} A 127.0.0.1"))))
    });
    let dns = dns.start();
    let resolver = zones.iter().fold(Resolver::setup(), |resolver, zone| resolver.forward(zone, dns.addr())).start();
    let pebble = Pebble::setup().dns_server(resolver.addr()).start();
    Site { store: Scratch::new("store"), dns, resolver, pebble, key }
}

/// The documentation of a system in a cluster that has what it speaks of.
pub(crate) struct Documentation {
    pub(crate) tenants: Tenants,
    text: String,
    /// The Secrets that its examples led to, with their names.
    wanted: BTreeMap<String, String>,
    /// The data keys of chain and private key.
    keys: [&'static str; 2],
}

impl Documentation {
    fn new(text: &str, zones: &[&str], namespaces: &[(&str, &str)]) -> Documentation {
        Documentation::at(text, site(zones), namespaces)
    }

    /// With servers of one's own.
    pub(crate) fn at(text: &str, site: Site, namespaces: &[(&str, &str)]) -> Documentation {
        let tenants = Tenants::on(Cluster::at(Kube::shared(), site));
        let ours = |text: String, (theirs, own): &(&str, &str)| {
            let own = tenants.filled(own);
            let text = text.replace(&format!("namespace: {theirs}\n"), &format!("namespace: {own}\n"));
            text.replace(&format!(" {theirs}/"), &format!(" {own}/"))
                .replace(&format!("-secret-namespace {theirs} "), &format!("-secret-namespace {own} "))
        };
        let text = namespaces.iter().fold(text.to_owned(), ours);
        Documentation { text, wanted: BTreeMap::new(), keys: ["tls.crt", "tls.key"], tenants }
    }

    /// Runs the controller on each part of the documentation that has flags of its own: every Secret that is wanted comes, with a valid
    /// chain, and no other.
    pub(crate) fn leads_to_its_secrets(&mut self, sources: &str) {
        let mut parts: Vec<(String, Vec<String>)> = vec![(String::new(), Vec::new())];
        for document in self.text.split("\n---\n").map(str::to_owned) {
            if let Some(flags) = header(&document, "flags: ") {
                parts.push((flags.to_owned(), Vec::new()));
            }
            parts.last_mut().unwrap().1.push(document);
        }
        for (flags, documents) in parts.into_iter().filter(|(_, documents)| !documents.is_empty()) {
            for document in &documents {
                self.tenants.apply(document);
                let wants = header(document, "wants: ").unwrap().split("; ").filter_map(|want| want.split_once(": "));
                self.wanted.extend(wants.map(|(secret, names)| (secret.to_owned(), names.to_owned())));
            }
            let flags: Vec<&str> = ["-sources", sources].into_iter().chain(flags.split_whitespace()).collect();
            let daemon = self.tenants.daemon(&flags);
            for (secret, names) in &self.wanted {
                let (namespace, secret) = secret.split_once('/').unwrap();
                let names: Vec<&str> = names.split(',').collect();
                let found = || self.tenants.names_under(self.keys[0], namespace, secret);
                daemon.until(secret, || found().is_some_and(|found| found == names));
                self.assert_valid(namespace, secret, &names);
            }
            assert_eq!(daemon.terminate(), 0);
        }
        assert_eq!(self.secrets(), self.wanted.keys().cloned().collect(), "nothing else was made");
    }

    fn assert_valid(&self, namespace: &str, secret: &str, names: &[&str]) {
        let folder = Scratch::new("judged");
        for (file, key) in ["tls.crt", "tls.key"].into_iter().zip(self.keys) {
            let path = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
            folder.write(file, &self.tenants.kubectl(&["-n", namespace, "get", "secret", secret, "-o", &path]));
        }
        x509::assert_valid(folder.path(), &self.tenants.cluster.site.pebble.root_pem(), names);
    }

    /// The Secrets with certificates of all namespaces that play a part.
    fn secrets(&self) -> BTreeSet<String> {
        let path = r"jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name} {end}";
        let found = ["{own}", "{a}", "{b}"].map(|namespace| {
            let certificates = "--selector=app.kubernetes.io/component=certificate";
            self.tenants.kubectl(&["-n", namespace, "get", "secrets", certificates, "-o", path])
        });
        found.concat().split_whitespace().map(str::to_owned).collect()
    }
}

fn header<'d>(document: &'d str, key: &str) -> Option<&'d str> {
    document.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(key))
}

#[test]
fn the_examples_of_kube_lego_lead_to_their_secrets() {
    let namespaces = [("default", "{a}"), ("echoserver", "{b}"), ("kube-lego", "{own}")];
    let text = include_str!("../../vectors/seeds/kube-lego.yaml");
    let mut documentation = Documentation::new(text, &["example.com"], &namespaces);
    documentation
        .tenants
        .config(&[("namespaces", "{a}: {domains: [example.com]}\n{b}: {domains: [echo.example.com]}")]);
    documentation.leads_to_its_secrets("config,ingress");
    // One for each item; the Ingresses for nginx and for GCE share one Secret.
    assert_eq!(documentation.tenants.orders(), 3);
}

#[test]
fn the_examples_of_gardener_lead_to_their_secrets() {
    let text = include_str!("../../vectors/seeds/gardener.yaml");
    let zones = ["demo.mydomain.com", "example.com"];
    let mut documentation = Documentation::new(text, &zones, &[("default", "{a}")]);
    let tenants = &documentation.tenants;
    let kube = tenants.cluster.kube;
    kube.kubectl_stdin(&["apply", "-f", "-"], include_str!("../../vectors/gateway-api/crds.yaml"));
    kube.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
    let roots = format!("--from-file=ca.crt={}", tenants.cluster.site.pebble.ca_file().display());
    tenants.cluster.kubectl(&["create", "secret", "generic", "roots", &roots]);
    let domains = "[demo.mydomain.com, example.com]";
    tenants.config(&[
        ("issuers", "issuer-name: {directory: '{ca}', caSecretName: roots}"),
        ("namespaces", &format!("{{a}}: {{domains: {domains}, wildcards: true, issuers: [issuer-name]}}")),
    ]);
    documentation.leads_to_its_secrets("config,ingress,gateway,service");
    let tenants = &documentation.tenants;
    assert_eq!(tenants.orders(), 6);
    let label = [r"-o", r"jsonpath={.metadata.labels.key1},{.metadata.labels.key2}"];
    let tuned = ["-n", "{a}", "get", "secret", "cert-echoheaders-tuned"];
    assert_eq!(tenants.kubectl(&[&tuned[..], &label].concat()), "value1,value2");
    let place = "metadata.annotations[cert.gardener.cloud/secret-namespace]";
    tenants.until_told("{a}", "test-service-elsewhere", "Warning Refused ", place);
}

#[test]
fn the_examples_of_faythe_lead_to_their_secrets() {
    let text = include_str!("../../vectors/seeds/faythe.yaml");
    let namespaces = [("default", "{a}"), ("shelob", "{b}")];
    let mut documentation = Documentation::new(text, &["goodexample.com"], &namespaces);
    documentation.tenants.config(&[("namespaces", "{a}: {domains: [goodexample.com], wildcards: true}")]);
    documentation.leads_to_its_secrets("config,ingress");
    // Three hosts directly below the zone, and with the second set of flags one wildcard for two more.
    let tenants = &documentation.tenants;
    assert_eq!(tenants.orders(), 4);
    let label = r"jsonpath={.metadata.labels.ingress\.hostname}";
    let secret = ["-n", "{b}", "get", "secret", "myingress.goodexample.com", "-o", label];
    assert_eq!(tenants.kubectl(&secret), "myingress.goodexample.com");
    for ingress in ["elsewhere", "no-rules"] {
        assert_eq!(tenants.events("{a}", ingress), [""; 0]);
    }
}

#[test]
fn the_examples_of_faythe_are_stored_as_faythe_stored_them() {
    let text = include_str!("../../vectors/seeds/faythe.yaml");
    let text = text.replace(" -secret-hostlabel ", " -secret-keys cert,key -secret-hostlabel ");
    let namespaces = [("default", "{a}"), ("shelob", "{b}")];
    let mut documentation = Documentation::new(&text, &["goodexample.com"], &namespaces);
    documentation.keys = ["cert", "key"];
    documentation.tenants.config(&[("namespaces", "{a}: {domains: [goodexample.com], wildcards: true}")]);
    documentation.leads_to_its_secrets("config,ingress");
    let tenants = &documentation.tenants;
    assert_eq!(tenants.orders(), 4);
    let path = r"go-template={{.type}} {{range $key, $value := .data}}{{$key}} {{end}}{{index .metadata.labels 'ingress.hostname'}}";
    let secret = ["-n", "{b}", "get", "secret", "myingress.goodexample.com", "-o", &path.replace('\'', "\"")];
    assert_eq!(tenants.kubectl(&secret), "Opaque cert key myingress.goodexample.com");
}
