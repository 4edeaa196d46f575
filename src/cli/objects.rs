//! The flags for the objects that are sources.

use std::collections::BTreeSet;

use super::flags::Command;
use super::values::Values;
use crate::base::limits::INGRESS_ZONES_MAX;
use crate::base::name::{Domain, check_namespace};
use crate::config::metadata::check_label;
use crate::sources::selection::{ObjectKind, Selection};
use crate::sources::wish::WishSettings;

/// The flags that need `ingress` among the sources.
const OF_INGRESSES: [&str; 5] = ["ingress-class", "ingress-all", "secret-namespace", "secret-hostlabel", "wildcards"];

/// The flags that need `-ingress-all`.
const OF_ALL_HOSTS: [&str; 3] = ["secret-namespace", "secret-hostlabel", "wildcards"];

/// Reads the flags.
///
/// # Errors
/// One sentence that names the flag.
pub(super) fn selection(command: &Command, values: &Values) -> Result<Selection, String> {
    let kinds = values.value("sources", Selection::kinds)?.unwrap_or_default();
    let settings = WishSettings {
        ingress_classes: values.value("ingress-class", classes)?.unwrap_or_default(),
        ingress_all: values.value("ingress-all", zones)?.unwrap_or_default(),
        secret_namespace: values
            .value("secret-namespace", |v| check_namespace(v).map(|()| v.to_owned()).map_err(|e| e.to_string()))?,
        secret_host_label: values
            .value("secret-hostlabel", |v| check_label(v, "x").map(|()| v.to_owned()).map_err(|e| e.to_string()))?,
        wildcards: values.has("wildcards"),
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
    let selector = values.value("selector", selector)?;
    if selector.is_some() && kinds.is_empty() {
        return Err("-selector is about Ingresses, Gateways and Services, and -sources names none".to_owned());
    }
    Ok(Selection { kinds, selector, settings })
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
             -secret-namespace certs -secret-hostlabel host -wildcards",
        )
        .unwrap();
        assert_eq!(found.kinds, [ObjectKind::Ingress, ObjectKind::Service].into());
        assert_eq!(found.selector.as_deref(), Some("app=web,tier!=test"));
        let WishSettings { ingress_classes, ingress_all, secret_namespace, secret_host_label, wildcards, .. } =
            found.settings;
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
            ("-selector app=web", "-selector is about Ingresses"),
            ("-sources ingress -selector app=web;x", "is not a label selector"),
        ] {
            let error = selected(flags).expect_err(flags);
            assert!(error.contains(part), "{flags}: {error}");
        }
    }
}
