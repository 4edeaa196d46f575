//! The settings that the controller and the commands share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::flags::{Command, Takes};
use super::objects::selection;
use super::targets::{self, NamespaceElsewhere, TargetCluster};
use super::values::{Values, number};
use crate::base::address::ServerAddress;
use crate::base::limits::{
    ALLOWED_NAMESPACES_MAX, API_BURST_MAX, API_QPS_MAX, FORGET_AFTER, FORGET_AFTER_MAX, WORKERS_DEFAULT, WORKERS_MAX,
};
use crate::base::log::Format;
use crate::base::name::{ObjectRef, check_namespace};
use crate::config::fields::duration;
use crate::config::issuers::directory_url;
use crate::config::namespaces::Namespaces;
use crate::controller::RunMode;
use crate::kube::rate_limit::RequestRate;
use crate::server::listener::ListenAddress;
use crate::sources::selection::Selection;
use crate::store::FileMode;

/// The arguments of a run.
#[derive(Debug)]
pub struct Arguments {
    /// `-acme`: the directory URL, when it was given.
    pub acme: Option<String>,
    /// `-acme-ca`
    pub acme_ca: Option<PathBuf>,
    /// `-acme-proxy`
    pub acme_proxy: Option<String>,
    /// `-config`: names without a namespace.
    pub config: Vec<String>,
    /// `-sources` and the flags for them.
    pub selection: Selection,
    /// `-kubeconfig`
    pub kubeconfig: Option<PathBuf>,
    /// `-kube-api-qps`, `-kube-api-burst`
    pub kube_api_rate: RequestRate,
    /// `-namespace`
    pub namespace: Option<String>,
    /// `-allow-namespaces`: those besides the own one.
    pub allow_namespaces: Vec<String>,
    /// `-target`: the other clusters.
    pub targets: BTreeMap<String, TargetCluster>,
    /// `-instance`
    pub instance: Option<String>,
    /// `-local`
    pub local: Option<PathBuf>,
    /// `-local-mode`
    pub local_mode: FileMode,
    /// `-lease`, `-lease-name`: the Lease that decides which replica leads.
    pub lease: Option<String>,
    /// `-once`, `-probe`
    pub pass: RunMode,
    /// `-dry-run`
    pub dry_run: bool,
    /// `-resolver`
    pub resolver: Option<ServerAddress>,
    /// `-workers`
    pub workers: usize,
    /// `-forget-after`: how long the record of a certificate is kept after its entry goes.
    pub forget_after: Duration,
    /// `-listen`: where the HTTP port is.
    pub listen: Option<ListenAddress>,
    /// `-http-listen`: where the responder of http-01 challenges is.
    pub http_listen: Option<ListenAddress>,
    /// `-page`
    pub page: bool,
    /// `-log-level`
    pub log_level: log::LevelFilter,
    /// `-log-format`
    pub log_format: Format,
}

impl Arguments {
    /// The namespaces that an instance in the namespace `own` may use.
    pub fn namespaces(&self, own: &str) -> Namespaces {
        let namespaces = Namespaces::new(own, &self.allow_namespaces);
        let namespaces = self.selection.input_namespaces().fold(namespaces, Namespaces::with_inputs);
        let with = |namespaces: Namespaces, (name, target): (&String, &TargetCluster)| {
            namespaces.with_target(name, &target.namespaces)
        };
        self.targets.iter().fold(namespaces, with)
    }

    /// Reads the values that were given to `command`.
    ///
    /// # Errors
    /// One sentence that names the flag.
    pub fn read(command: &Command, values: &Values) -> Result<Arguments, String> {
        let is_elected = values.choice("lease", &[("on", true), ("off", false)])?.unwrap_or(true);
        let lease = values.value("lease-name", |v| own_object(v, "the Lease").map(|()| v.to_owned()))?;
        let levels = {
            use log::LevelFilter::{Debug, Error, Info, Warn};
            [("error", Error), ("warn", Warn), ("info", Info), ("debug", Debug)]
        };
        let rate = RequestRate::default();
        let (allow_namespaces, elsewhere) = values.value("allow-namespaces", namespaces)?.unwrap_or_default();
        let targets = values.value("target", targets::targets)?.unwrap_or_default();
        let arguments = Arguments {
            acme: values.value("acme", |v| directory_url(v).map_err(str::to_owned))?,
            acme_proxy: values.value("acme-proxy", proxy)?,
            acme_ca: values.text("acme-ca"),
            config: values.value("config", config_maps)?.unwrap_or_default(),
            selection: selection(command, values)?,
            kubeconfig: values.text("kubeconfig"),
            kube_api_rate: RequestRate {
                qps: values.value("kube-api-qps", |v| number(v, API_QPS_MAX))?.unwrap_or(rate.qps),
                burst: values.value("kube-api-burst", |v| number(v, API_BURST_MAX))?.unwrap_or(rate.burst),
            },
            namespace: values
                .value("namespace", |v| check_namespace(v).map(|()| v.to_owned()).map_err(|e| e.to_string()))?,
            allow_namespaces,
            targets: targets::allow(targets, elsewhere)?,
            instance: values.value("instance", |v| {
                let is_name = check_namespace(v).map(|()| v.to_owned());
                is_name.map_err(|_| "is not a name of lower-case letters, digits and `-`".to_owned())
            })?,
            local: values.text("local"),
            local_mode: values.value("local-mode", FileMode::parse)?.unwrap_or(FileMode::PRIVATE),
            lease: is_elected.then(|| lease.unwrap_or_else(|| "notariat".to_owned())),
            pass: match (values.has("probe") || command.name == "check", values.has("once")) {
                (true, _) => RunMode::Probe,
                (false, true) => RunMode::Once,
                (false, false) => RunMode::Forever,
            },
            dry_run: values.has("dry-run"),
            resolver: values.value("resolver", str::parse)?,
            workers: values.value("workers", workers)?.unwrap_or(WORKERS_DEFAULT),
            forget_after: values.value("forget-after", forget_after)?.unwrap_or(FORGET_AFTER),
            listen: values.value("listen", str::parse)?,
            http_listen: values.value("http-listen", str::parse)?,
            page: values.has("page"),
            log_level: values.choice("log-level", &levels)?.unwrap_or(log::LevelFilter::Info),
            log_format: values
                .choice("log-format", &[("text", Format::Text), ("json", Format::Json)])?
                .unwrap_or_default(),
        };
        targets::check_sources(&arguments.targets, &arguments.selection.elsewhere)?;
        match arguments.conflict(command, values) {
            Some(sentence) => Err(sentence.to_owned()),
            None => Ok(arguments),
        }
    }

    /// Names the rule that flags break together; `None` where they go together.
    fn conflict(&self, command: &Command, values: &Values) -> Option<&'static str> {
        let (has_file, of_resources) = (values.has("f"), values.has("resources"));
        if self.page && self.listen.is_none() {
            Some("-page needs -listen, which says where the page is")
        } else if self.local.is_some() && self.kubeconfig.is_some() {
            Some("-local and -kubeconfig exclude each other: the objects are in files or in Kubernetes")
        } else if self.local.is_some() && self.selection.has_objects() {
            Some(
                "-local and -sources exclude each other: a directory has no Ingresses, Gateways, Services and Certificates",
            )
        } else if self.local.is_some() && !self.targets.is_empty() {
            Some("-local and -target exclude each other: beside a directory there are no clusters")
        } else if self.dry_run && self.pass == RunMode::Probe {
            Some("-dry-run and -probe exclude each other: a probe asks name servers, and changes nothing there")
        } else if has_file && !of_resources && !self.config.is_empty() {
            Some("-config and -f exclude each other: the ConfigMap is in the file or in the cluster")
        } else if matches!(command.takes, Takes::ConfigMap | Takes::Domain)
            && !has_file
            && !of_resources
            && self.config.is_empty()
        {
            Some("-config is missing: the name of the ConfigMap that lists the certificates (-h shows all flags)")
        } else {
            None
        }
    }
}

/// Refuses what is not the name of an object in the own namespace.
fn own_object(name: &str, what: &str) -> Result<(), String> {
    match ObjectRef::parse(name, "x") {
        Ok(_) if !name.contains('/') => Ok(()),
        Ok(_) => Err(format!("names a namespace; {what} is in notariat's own (-namespace)")),
        Err(e) => Err(e.to_string()),
    }
}

fn config_maps(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = text.split(',').map(|n| n.trim().to_owned()).collect();
    names.iter().try_for_each(|name| own_object(name, "the ConfigMap"))?;
    Ok(names)
}

/// The namespaces at home, and those of other clusters with their cluster.
fn namespaces(text: &str) -> Result<(Vec<String>, Vec<NamespaceElsewhere>), String> {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    if names.len() > ALLOWED_NAMESPACES_MAX {
        return Err(format!("has {} namespaces; {ALLOWED_NAMESPACES_MAX} are possible", names.len()));
    }
    let (mut here, mut elsewhere) = (Vec::new(), Vec::new());
    for name in names {
        let namespace = name.split_once(':').map_or(name, |(_, namespace)| namespace);
        check_namespace(namespace).map_err(|e| format!("{e}: {name:?}"))?;
        match name.split_once(':') {
            None => here.push(name.to_owned()),
            Some((cluster, _)) => elsewhere.push((cluster.to_owned(), namespace.to_owned())),
        }
    }
    Ok((here, elsewhere))
}

fn proxy(text: &str) -> Result<String, String> {
    match text.strip_prefix("http://") {
        Some(rest) if !rest.is_empty() && !text.contains(char::is_whitespace) => Ok(text.to_owned()),
        _ => Err("is not of the form http://HOST:PORT".to_owned()),
    }
}

fn workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=WORKERS_MAX).contains(&n) => Ok(n),
        _ => Err(format!("is not a number from 1 to {WORKERS_MAX}")),
    }
}

fn forget_after(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s" | "0h" | "0d") {
        return Ok(Duration::ZERO);
    }
    match duration(text)? {
        given if given <= FORGET_AFTER_MAX => Ok(given),
        _ => Err(format!("is longer than {} days", FORGET_AFTER_MAX.as_secs() / 86_400)),
    }
}
