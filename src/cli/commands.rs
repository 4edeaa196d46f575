//! The one table of commands.

use crate::config::table::KEY_NAMES;

/// A command, or one of its two forms.
#[derive(Debug)]
pub struct Command {
    /// The words that call it; empty for the controller.
    pub name: &'static str,
    /// The text behind the name in the usage.
    pub form: &'static str,
    /// The arguments of the command.
    pub takes: Takes,
    /// The purpose of the command.
    pub help: &'static str,
}

/// The arguments of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Flags, `-config` or `-f` among them.
    ConfigMap,
    /// Flags and the name of a Secret.
    Secret,
    /// Flags, `-config` or `-f` among them, and a domain name.
    Domain,
    /// Flags.
    Flags,
    /// One of some words, or none of them.
    Word(&'static [&'static str]),
    /// Nothing.
    Nothing,
}

/// The shells that `completion` knows.
pub const SHELLS: &[&str] = &["bash", "zsh", "fish"];

const fn command(name: &'static str, form: &'static str, takes: Takes, help: &'static str) -> Command {
    Command { name, form, takes, help }
}

/// The controller, then the commands of `tools`.
const COMMANDS: &[Command] = &[
    command("", "-config NAME [flags]", Takes::ConfigMap, "one dash or two, value after a space or ="),
    command(
        "renew",
        "[-force] [NS/]SECRET",
        Takes::Secret,
        "ask the running notariat for a renewal; -force also beyond the cap",
    ),
    command(
        "revoke",
        "[-reason R] [NS/]SECRET",
        Takes::Secret,
        "ask it to replace and revoke: unspecified (default), keyCompromise, superseded, cessationOfOperation",
    ),
    command(
        "status",
        "-config NAME [-o wide|json] [-w]",
        Takes::ConfigMap,
        "print the state of each certificate, the most urgent first; -w again whenever it changed. Writes nothing. Give the \
         flags of the controller. Exit codes as with -once",
    ),
    command(
        "status",
        "-config NAME -wait [-timeout D] [[NS/]SECRET ...]",
        Takes::ConfigMap,
        "wait until the certificates of these Secrets, or all, are Valid: exit 0; after D (default 10m) exit 1 with what each \
         waits for. For pipelines",
    ),
    command(
        "forget",
        "-config NAME -all [-yes]",
        Takes::ConfigMap,
        "before an uninstallation, with notariat stopped: empty its records, status ConfigMap and Lease, and say what remains; \
         without -yes only say so (exit 1)",
    ),
    command("account rollover", "SECRET", Takes::Secret, "give an ACME account, by the name of its Secret, a new key"),
    command(
        "role",
        "-config NAME | -f FILE [-cluster NAME]",
        Takes::ConfigMap,
        "print the Role that is enough for a ConfigMap and names its Secrets; give the flags of the controller; FILE is a \
         manifest, - standard input; -cluster: the Role in another one",
    ),
    command(
        "dns-policy",
        "-config NAME | -f FILE",
        Takes::ConfigMap,
        "print what BIND, Knot and PowerDNS must allow for its names, and no more; FILE may hold the Secret of the key as well; \
         -resolver finds zones and CNAMEs",
    ),
    command(
        "http-route",
        "-config NAME | -f FILE [-ingress-class C | -gateway NS/NAME[/SECTION]] [-path-type T]",
        Takes::ConfigMap,
        "print the Ingress, or the HTTPRoutes, that lead the path of http-01 challenges to notariat, for the names that are proved \
         so; T is Prefix (default) or ImplementationSpecific, with -gateway PathPrefix; give the flags of the controller",
    ),
    command(
        "explain",
        "NAME -config NAME | -f FILE",
        Takes::Domain,
        "say which namespaces may have a domain name for their Ingresses, Gateways and Services, how it is proved, and why the others \
         may not have it; give the flags of the controller; exit 1: none",
    ),
    command(
        "convert",
        "[-one] [-cluster-resource-namespace NS] [-config NAME]",
        Takes::Flags,
        "turn cert-manager's objects on standard input (kubectl get certificates,issuers,clusterissuers -A -o json) into \
         ConfigMaps, one for each namespace, or with -one a single one in -namespace; NS has the Secrets of ClusterIssuers \
         (default cert-manager). Exit 1: not all could be carried over",
    ),
    command(
        "check",
        "-config NAME [-o json]",
        Takes::ConfigMap,
        "try everything that an order needs, with the flags of the controller: configuration, permissions, Secrets, keys and \
         zones, CAA, the CA. Changes nothing. Exit 0 sound, 1 faults, 75 none but that something was not reached, 78 no \
         ConfigMap",
    ),
    command(
        "check",
        "-f FILE [-role FILE] [-o json]",
        Takes::ConfigMap,
        "say everything that is wrong with the ConfigMaps of a manifest, and what the Roles of another lack for them, without \
         any network; give the flags of the controller; exit 0 sound, 1 faults, 78 unreadable",
    ),
    command(
        "check",
        "-resources [-f FILE] [-cluster-resource-namespace NS] [-o json]",
        Takes::ConfigMap,
        "say what of cert-manager's objects would be served as it is, what has no effect, what is refused, and what is in flight; \
         changes nothing. Exit 0 nothing in the way, 1 something refused or in flight, 75 only that something could not be looked at",
    ),
    command(
        "schema",
        "[KEY]",
        Takes::Word(&KEY_NAMES),
        "print a JSON Schema (draft 2020-12) of what the keys of the ConfigMap hold, or of one KEY: certificates, defaults, \
         issuers or zones",
    ),
    command(
        "completion",
        "bash|zsh|fish",
        Takes::Word(SHELLS),
        "print completions for a shell: source <(notariat completion bash)",
    ),
    command("man", "", Takes::Nothing, "print the manual page: notariat man | man -l -"),
];

impl Command {
    /// The whole line of the usage.
    pub fn head(&self) -> String {
        ["notariat", self.name, self.form].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// The commands of this build; the first one is the controller.
pub fn commands() -> &'static [Command] {
    if cfg!(feature = "tools") { COMMANDS } else { &COMMANDS[..1] }
}
