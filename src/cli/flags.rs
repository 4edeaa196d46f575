//! The one table of flags; [`super::commands`] is that of commands. The parser ([`super::values`]), the usage text, the manual page and the environment names are
//! made of it; tests/it/docs.rs compares docs/settings.md with it.

pub use super::commands::{Command, SHELLS, Takes, commands};
use super::layout::{Column, row};

/// A flag.
#[derive(Debug)]
pub struct Flag {
    /// The name with its dashes, as pico-args takes it: `--acme-ca`, `-f`.
    pub dashed: &'static str,
    /// The name of its value; empty for a switch.
    pub value: &'static str,
    /// The default, for people; empty where `help` says it.
    pub default: &'static str,
    /// The commands that know the flag; empty: the controller and every command that takes flags.
    pub commands: &'static [&'static str],
    /// The purpose of the flag, in one sentence.
    pub help: &'static str,
    /// The values that a shell offers.
    pub offers: Offers,
}

/// The values of a flag that a shell offers.
#[derive(Clone, Copy, Debug)]
pub enum Offers {
    /// None.
    Nothing,
    /// Words.
    Words(&'static [&'static str]),
    /// Files.
    Files,
    /// Folders.
    Folders,
}

const fn flag(dashed: &'static str, value: &'static str, default: &'static str, help: &'static str) -> Flag {
    Flag { dashed, value, default, commands: &[], help, offers: Offers::Nothing }
}

const fn of(commands: &'static [&'static str], dashed: &'static str, value: &'static str) -> Flag {
    Flag { dashed, value, default: "", commands, help: "", offers: Offers::Nothing }
}

const LOG_LEVELS: &[&str] = &["error", "warn", "info", "debug"];
const REASONS: &[&str] = &["unspecified", "keyCompromise", "superseded", "cessationOfOperation"];

/// Every flag. Those of single commands come last; the help of their command explains them.
pub const FLAGS: &[Flag] = &[
    flag("--config", "NAME", "", "ConfigMap to use, in notariat's own namespace (several with commas); mandatory"),
    flag(
        "--sources",
        "KIND,KIND",
        "config",
        "config, ingress, gateway, service, cert-manager, gardener, CLUSTER:gardener; objects need the key `namespaces`",
    ),
    flag("--selector", "LABELS", "", "label selector that objects must match (default: all)"),
    flag("--ingress-class", "C,C", "", "classes of Ingresses that count; none: those without a class (default: all)"),
    flag(
        "--ingress-all",
        "ZONE,ZONE",
        "",
        "every host of an Ingress below these zones gets a certificate, without an annotation",
    ),
    flag("--secret-namespace", "NS", "", "namespace of the Secrets of -ingress-all (default: that of the Ingress)"),
    flag("--secret-hostlabel", "L", "", "label with the host on the Secrets of -ingress-all (default: none)"),
    flag("--secret-keys", "C,K", "", "data keys of chain and key there, type Opaque (default: tls.crt,tls.key)"),
    flag("--wildcards", "", "", "hosts of -ingress-all share the certificate of the wildcard above them"),
    flag(
        "--prune",
        "",
        "",
        "delete the Secret of an Ingress, Gateway or Service whose wish is gone for a day (default: it stays)",
    ),
    flag("--cascade", "", "", "let the Secret of a single object go with it, by an ownerReference (default: it stays)"),
    flag(
        "--cluster-resource-namespace",
        "NS",
        "cert-manager",
        "where the Secrets of cert-manager's ClusterIssuers are",
    ),
    flag("--cert-manager-lease-namespace", "NS", "kube-system", "where the Lease of cert-manager's controller is"),
    flag("--without-approval", "", "", "serve Certificates although approver-policy is installed, which is not asked"),
    flag("--gardener-class", "CLASS", "gardencert", "class of the Certificates of Gardener that are served"),
    flag("--issuer-namespace", "NS", "default", "namespace of Gardener's Issuers and of their Secrets"),
    flag("--default-issuer", "NAME", "default-issuer", "Gardener's Issuer for names that no Issuer has ranges for"),
    flag("--acme", "URL", "", "ACME directory (default: Let's Encrypt staging, whose certificates nobody trusts)"),
    flag("--acme-ca", "FILE", "", "extra trust roots (PEM) for the ACME server").offers(Offers::Files),
    flag(
        "--acme-proxy",
        "URL",
        "",
        "proxy on the way to the ACME server, http://HOST:PORT (CONNECT); none is ever taken from the environment",
    ),
    flag(
        "--once",
        "",
        "",
        "one pass over all entries, then exit: 0 every Secret is valid, 1 any is not or an entry was refused, 75 could not \
         find out, 78 command line or configuration unreadable",
    ),
    flag(
        "--dry-run",
        "",
        "",
        "decide and log what would be done, and write nothing: for running beside another manager",
    ),
    flag(
        "--probe",
        "",
        "",
        "ask each zone's server by a signed UPDATE that changes nothing whether it would take a challenge, then exit in the \
         same way; the controller does so once a day",
    ),
    flag("--kubeconfig", "F", "", "kubeconfig (default: those in KUBECONFIG, else the service account of the pod)")
        .offers(Offers::Files),
    flag(
        "--target",
        "NAME=FILE",
        "",
        "another cluster and its kubeconfig, for entries with `cluster: NAME` and -sources NAME:gardener; may be repeated (default: none)",
    ),
    flag("--kube-api-qps", "N", "50", "requests to the API server in a second, 1 to 1000"),
    flag("--kube-api-burst", "N", "100", "requests at once after a rest, 1 to 10000"),
    flag("--namespace", "NS", "", "own namespace (default: the pod's or the kubeconfig's; with -local: default)"),
    flag(
        "--allow-namespaces",
        "NS,NS",
        "",
        "namespaces besides the own one whose Secrets entries may name; CLUSTER:NS in another cluster (default: none)",
    ),
    flag("--instance", "NAME", "", "owner in the annotations of Secrets (default: the own namespace)"),
    flag(
        "--lease",
        "on|off",
        "on",
        "whether replicas elect by a Lease the one that works; never with -local, -once, -probe",
    )
    .offers(Offers::Words(&["on", "off"])),
    flag(
        "--lease-name",
        "NAME",
        "notariat",
        "the Lease, in the own namespace. Two instances in one namespace that are no replicas of each other need two names",
    ),
    flag("--local", "DIR", "", "no Kubernetes: objects are files, DIR/<namespace>/{configmaps,secrets}/<name>/<key>")
        .offers(Offers::Folders),
    flag("--local-mode", "M", "0600", "file mode of Secrets there: 0600, 0640 or 0660")
        .offers(Offers::Words(&["0600", "0640", "0660"])),
    flag("--resolver", "HOST[:PORT]", "", "DNS resolver for finding zones and servers (default: /etc/resolv.conf)"),
    flag("--workers", "N", "4", "certificates obtained at the same time, 1 to 64"),
    flag(
        "--forget-after",
        "D",
        "168h",
        "how long copy, key and history of a certificate are kept when its entry goes, in h or d; 0: not at all",
    ),
    flag("--listen", "ADDR", "", "HTTP port for /livez, /readyz and /metrics, :PORT or IP:PORT (default: none)"),
    flag(
        "--http-listen",
        "ADDR",
        "",
        "port of the responder of http-01 challenges, :PORT or IP:PORT (default: none); a route leads /.well-known/acme-challenge/ here",
    ),
    flag("--page", "", "", "show the certificates to browsers there, too: a table and a time line"),
    flag("--log-level", "L", "info", "error, warn, info or debug").offers(Offers::Words(LOG_LEVELS)),
    flag("--log-format", "F", "text", "text or json: an object on each line").offers(Offers::Words(&["text", "json"])),
    of(&["role", "dns-policy", "http-route", "check", "explain"], "-f", "FILE").offers(Offers::Files),
    of(&["role"], "--cluster", "NAME"),
    of(&["http-route"], "--gateway", "NS/NAME[/SECTION]"),
    of(&["http-route"], "--path-type", "T").offers(Offers::Words(&["Prefix", "ImplementationSpecific"])),
    of(&["check"], "--role", "FILE").offers(Offers::Files),
    of(&["status", "check"], "-o", "FORM").offers(Offers::Words(&["wide", "json"])),
    of(&["status"], "-w", ""),
    of(&["status"], "--wait", ""),
    of(&["status"], "--timeout", "D"),
    of(&["forget"], "--all", ""),
    of(&["forget"], "--yes", ""),
    of(&["renew"], "--force", ""),
    of(&["revoke"], "--reason", "R").offers(Offers::Words(REASONS)),
    of(&["convert"], "--one", ""),
    of(&["check"], "--resources", ""),
];

/// The first paragraph of the usage.
pub const ABOUT: &str = "notariat keeps Kubernetes Secrets holding valid TLS certificates, obtained by ACME (DNS-01 by signed UPDATE, or HTTP-01).";

/// Notes on all flags.
pub const ENVIRONMENT: &str = "Each flag from -config to -log-format that has a value can also be set in the environment: -acme-ca is \
     NOTARIAT_ACME_CA. The command line wins. Under the name kubectl-notariat it is a plugin (`kubectl notariat status`), and \
     ~/.kube/config is read, too.";

/// Flags that are asked for alone, with what they print.
pub const ALONE: [(&str, &str); 2] =
    [("-h, -help", "print this"), ("-version", "print version, commit, features and target")];

impl Flag {
    const fn offers(self, offers: Offers) -> Flag {
        Flag { offers, ..self }
    }

    /// The name without dashes.
    pub fn name(&self) -> &'static str {
        self.dashed.trim_start_matches('-')
    }

    /// The name and the value, as the usage shows them.
    pub fn head(&self) -> String {
        format!("-{} {}", self.name(), self.value).trim_end().to_owned()
    }

    /// The purpose of the flag, and its default.
    pub fn explanation(&self) -> String {
        match self.default {
            "" => self.help.to_owned(),
            default => format!("{} (default {default})", self.help),
        }
    }

    /// Tells whether `command` knows the flag.
    pub fn belongs_to(&self, command: &Command) -> bool {
        match self.commands {
            [] => !matches!(command.takes, Takes::Word(_) | Takes::Nothing),
            commands => commands.contains(&command.name),
        }
    }

    /// Tells whether the flag is one of all commands.
    pub fn is_shared(&self) -> bool {
        self.commands.is_empty()
    }

    /// The environment variable that stands for the flag. Switches and the flags of single commands have none: they belong to one run.
    ///
    /// Kubernetes sets variables for each Service (`NOTARIAT_PORT`, `NOTARIAT_SERVICE_HOST`): no flag may have such a name.
    pub fn variable(&self) -> Option<String> {
        let is_setting = self.is_shared() && !self.value.is_empty();
        is_setting.then(|| format!("NOTARIAT_{}", self.name().to_ascii_uppercase().replace('-', "_")))
    }

    /// Tells whether the value is an address, which may hold a password by mistake.
    pub fn is_address(&self) -> bool {
        matches!(self.value, "URL" | "HOST[:PORT]" | "ADDR")
    }
}

/// The text of `-h`.
pub fn usage() -> String {
    let mut text = format!("{ABOUT}\n\n");
    for (n, command) in commands().iter().enumerate() {
        let first = if n == 0 { "usage: " } else { "       " };
        text += &row(&format!("{first}{}", command.head()), command.help, Column(49));
    }
    text += "\n";
    for flag in FLAGS.iter().filter(|flag| flag.is_shared()) {
        text += &row(&format!("  {}", flag.head()), &flag.explanation(), Column(19));
    }
    for (head, what) in ALONE {
        text += &row(&format!("  {head}"), what, Column(19));
    }
    text + "\n" + &row("", ENVIRONMENT, Column(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_has_every_flag_and_command_and_stays_in_its_columns() {
        let usage = usage();
        for flag in FLAGS {
            let of_commands = commands().iter().filter(|c| flag.commands.contains(&c.name)).map(Command::head);
            match flag.is_shared() {
                true => assert!(usage.contains(&format!("\n  {} ", flag.head())), "{flag:?}"),
                false => assert!(
                    of_commands.collect::<String>().contains(&format!("-{}", flag.name())) || !cfg!(feature = "tools"),
                    "{flag:?}"
                ),
            }
        }
        assert!(commands().iter().all(|command| usage.contains(&command.head())), "{usage}");
        assert!(usage.lines().all(|line| line.len() <= 122), "{usage}");
        assert!(
            usage.contains("\n  -workers N       certificates obtained at the same time, 1 to 64 (default 4)\n"),
            "{usage}"
        );
    }

    #[test]
    fn no_variable_is_one_that_kubernetes_sets() {
        let variables: Vec<String> = FLAGS.iter().filter_map(Flag::variable).collect();
        assert!(variables.contains(&"NOTARIAT_ACME_CA".to_owned()) && !variables.contains(&"NOTARIAT_ONCE".to_owned()));
        for variable in variables {
            let rest = variable.trim_start_matches("NOTARIAT_");
            assert!(!rest.starts_with("PORT") && !rest.starts_with("SERVICE_"), "{variable}");
        }
    }
}
