//! The flags for the objects that are sources.

use std::collections::BTreeSet;

use super::flags::Command;
use super::values::Values;
use crate::base::limits::INGRESS_ZONES_MAX;
use crate::base::name::{Domain, check_namespace};
use crate::config::metadata::check_label;
use crate::sources::selection::{CLUSTER_RESOURCES, GardenerSettings, LEASE_NAMESPACE, ObjectKind, Selection};
use crate::sources::wish::WishSettings;
use crate::store::DataKeys;

/// The flags that need `ingress` among the sources.
const OF_INGRESSES: [&str; 6] =
    ["ingress-class", "ingress-all", "secret-namespace", "secret-hostlabel", "secret-keys", "wildcards"];

/// The flags that need `-ingress-all`.
const OF_ALL_HOSTS: [&str; 4] = ["secret-namespace", "secret-hostlabel", "secret-keys", "wildcards"];

/// Reads the flags.
///
/// # Errors
/// One sentence that names the flag.
pub(super) fn selection(command: &Command, values: &Values) -> Result<Selection, String> {
    let (kinds, elsewhere) = values.value("sources", Selection::kinds)?.unwrap_or_default();
    let has_none = kinds.is_empty() && elsewhere.is_empty();
    let secret_namespace =
        values.value("secret-namespace", |v| check_namespace(v).map(|()| v.to_owned()).map_err(|e| e.to_string()))?;
    let keys = values.value("secret-keys", DataKeys::parse)?;
    let secret_keys = keys.zip(secret_namespace.clone());
    let secret_keys = secret_keys.map(|((chain, key), namespace)| DataKeys { namespace, chain, key });
    let settings = WishSettings {
        ingress_classes: values.value("ingress-class", classes)?.unwrap_or_default(),
        ingress_all: values.value("ingress-all", zones)?.unwrap_or_default(),
        secret_namespace,
        secret_keys,
        secret_host_label: values
            .value("secret-hostlabel", |v| check_label(v, "x").map(|()| v.to_owned()).map_err(|e| e.to_string()))?,
        wildcards: values.has("wildcards"),
        listens_for_challenges: values.has("http-listen"),
        cascade: values.has("cascade"),
        ..WishSettings::default()
    };
    let is_printed = |flag: &&&str| command.name == "http-route" && **flag == "ingress-class";
    let mut of_ingresses = OF_INGRESSES.iter().filter(|flag| values.has(flag) && !is_printed(flag));
    if let Some(flag) = of_ingresses.find(|_| !kinds.contains(&ObjectKind::Ingress)) {
        return Err(format!("-{flag} is about Ingresses, and -sources does not name them: -sources config,ingress"));
    }
    if let Some(flag) = OF_ALL_HOSTS.iter().find(|flag| values.has(flag) && settings.ingress_all.is_empty()) {
        return Err(format!("-{flag} is about the hosts of -ingress-all, which is not given"));
    }
    if values.has("secret-keys") && settings.secret_namespace.is_none() {
        return Err("-secret-keys is about the Secrets in -secret-namespace, which is not given".to_owned());
    }
    if values.has("without-approval") && !kinds.contains(&ObjectKind::CertManager) {
        return Err("-without-approval is about cert-manager's Certificates, and -sources does not name them: -sources config,cert-manager".to_owned());
    }
    let selector = values.value("selector", selector)?;
    if selector.is_some() && has_none {
        return Err("-selector is about objects, and -sources names no kind of them".to_owned());
    }
    let prunes = values.has("prune");
    if let Some(flag) = ["prune", "cascade"].into_iter().find(|flag| values.has(flag) && kinds.is_empty()) {
        return Err(format!(
            "-{flag} is about Secrets of Ingresses, Gateways and Services, and -sources names none: the Secret of an entry of the \
             configuration is never deleted"
        ));
    }
    let namespace = |v: &str| check_namespace(v).map(|()| v.to_owned()).map_err(|e| e.to_string());
    let defaults = GardenerSettings::default();
    let gardener = GardenerSettings {
        class: values.value("gardener-class", some_word)?.unwrap_or(defaults.class.clone()),
        issuer_namespace: values.value("issuer-namespace", namespace)?.unwrap_or(defaults.issuer_namespace.clone()),
        default_issuer: values.value("default-issuer", some_word)?.unwrap_or(defaults.default_issuer.clone()),
    };
    let selection = Selection {
        kinds,
        elsewhere,
        selector,
        prunes,
        cluster_resource_namespace: values
            .value("cluster-resource-namespace", namespace)?
            .filter(|namespace| namespace != CLUSTER_RESOURCES),
        cert_manager_lease_namespace: values
            .value("cert-manager-lease-namespace", namespace)?
            .filter(|namespace| namespace != LEASE_NAMESPACE),
        without_approval: values.has("without-approval"),
        gardener,
        settings,
    };
    if selection.gardener != defaults && !selection.has_gardener() {
        return Err("-gardener-class, -issuer-namespace and -default-issuer are about Gardener's objects, and -sources does not name them: \
                    -sources config,gardener"
            .to_owned());
    }
    Ok(selection)
}

/// A word without spaces.
fn some_word(text: &str) -> Result<String, String> {
    match !text.is_empty() && text.len() <= 253 && text.chars().all(|c| c.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("is not a name".to_owned()),
    }
}

/// The classes; `none` stands for an Ingress without one.
fn classes(text: &str) -> Result<BTreeSet<String>, String> {
    let class = |word: &str| match word.trim() {
        "" => Err("has an empty class; `none` stands for Ingresses without one".to_owned()),
        "none" => Ok(String::new()),
        class => Ok(class.to_owned()),
    };
    text.split(',').map(class).collect()
}

fn zones(text: &str) -> Result<Vec<Domain>, String> {
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    if words.len() > INGRESS_ZONES_MAX {
        return Err(format!("has {} zones; {INGRESS_ZONES_MAX} are possible", words.len()));
    }
    let zone = |word: &str| match Domain::parse(word) {
        Ok(zone) if !zone.is_wildcard() => Ok(zone),
        Ok(_) => Err(format!("has {word:?}, and a zone has no `*`")),
        Err(e) => Err(format!("has {word:?}, which {e}")),
    };
    words.into_iter().map(zone).collect()
}

/// The API server checks what a selector means; here it must be one that can be sent.
fn selector(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=!(), ".contains(c);
    match !text.trim().is_empty() && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("is not a label selector, such as app=web,tier!=test".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::values::{CommandLine, read};

    fn selected(flags: &str) -> Result<Selection, String> {
        let words = format!("-config c {flags}");
        match read(words.split_whitespace().map(Into::into).collect(), |_| None)? {
            CommandLine::Run(command, values) => selection(command, &values),
            CommandLine::Help | CommandLine::Version => panic!("{flags}"),
        }
    }

    #[test]
    fn without_flags_nothing_but_the_configuration_is_a_source() {
        assert_eq!(selected(""), Ok(Selection::default()));
        assert_eq!(selected("-sources config"), Ok(Selection::default()));
    }

    #[test]
    fn each_flag_is_read() {
        let found = selected(
            "-sources config,ingress,service -selector app=web,tier!=test -ingress-class nginx,none -ingress-all a.test,b.test \
             -secret-namespace certs -secret-hostlabel host -wildcards -prune -cascade -secret-keys cert,key",
        )
        .unwrap();
        assert!(found.prunes && !selected("-sources ingress").unwrap().prunes);
        assert_eq!(found.kinds, [ObjectKind::Ingress, ObjectKind::Service].into());
        assert_eq!(found.selector.as_deref(), Some("app=web,tier!=test"));
        let WishSettings {
            ingress_classes,
            ingress_all,
            secret_namespace,
            secret_host_label,
            wildcards,
            cascade,
            secret_keys,
            ..
        } = found.settings;
        assert!(cascade);
        let keys = secret_keys.unwrap();
        assert_eq!((&*keys.namespace, &*keys.chain, &*keys.key), ("certs", "cert", "key"));
        assert_eq!(ingress_classes, [String::new(), "nginx".to_owned()].into());
        assert_eq!(ingress_all.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a.test", "b.test"]);
        assert_eq!(
            (secret_namespace.as_deref(), secret_host_label.as_deref(), wildcards),
            (Some("certs"), Some("host"), true)
        );
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for (flags, part) in [
            ("-sources ingres", "-sources \"ingres\" has \"ingres\", which is no source"),
            ("-ingress-class nginx", "-ingress-class is about Ingresses, and -sources does not name them"),
            ("-sources gateway -ingress-all a.test", "-ingress-all is about Ingresses"),
            ("-sources ingress -wildcards", "-wildcards is about the hosts of -ingress-all, which is not given"),
            ("-sources ingress -ingress-class nginx,", "has an empty class"),
            ("-sources ingress -ingress-all *.a.test", "a zone has no `*`"),
            ("-sources ingress -ingress-all a.test,test", "has \"test\", which has one label only"),
            ("-sources ingress -ingress-all a.test -secret-namespace A", "is not a namespace"),
            ("-sources ingress -ingress-all a.test -secret-hostlabel a/b/c", "-secret-hostlabel \"a/b/c\""),
            (
                "-sources ingress -ingress-all a.test -secret-keys cert,key",
                "-secret-keys is about the Secrets in -secret-namespace",
            ),
            (
                "-sources ingress -ingress-all a.test -secret-namespace n -secret-keys cert",
                "is not the names of two data keys",
            ),
            ("-cascade", "-cascade is about Secrets of Ingresses, Gateways and Services, and -sources names none"),
            ("-prune", "-prune is about Secrets of Ingresses, Gateways and Services, and -sources names none"),
            ("-selector app=web", "-selector is about objects"),
            ("-sources ingress -selector app=web;x", "is not a label selector"),
        ] {
            let error = selected(flags).expect_err(flags);
            assert!(error.contains(part), "{flags}: {error}");
        }
    }
}
