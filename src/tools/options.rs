//! The flags of single commands.

use std::path::PathBuf;

use crate::acme::requests::REASONS;
use crate::base::name::ObjectRef;
use crate::cli::values::Values;
use crate::tools::check::resources::{CLUSTER_RESOURCES, cluster_resources};

/// A request to the running controller, or to the CA.
#[derive(Debug)]
pub enum SecretAction {
    /// `renew`: a renewal.
    Renew {
        /// The Secret, `name` or `namespace/name`.
        secret: String,
        /// Also where the cap says no.
        force: bool,
    },
    /// `revoke`: a replacement and a revocation.
    Revoke {
        /// The Secret, `name` or `namespace/name`.
        secret: String,
        /// Why, a word of RFC 5280.
        reason: &'static str,
    },
    /// `account rollover`: a new key for an account.
    Rollover {
        /// The Secret of the account.
        account: String,
    },
}

/// The flags of `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusOptions {
    /// `-o`: how the state is written.
    pub format: OutputFormat,
    /// `-w`: print again whenever the state changed.
    pub follow: bool,
}

/// How the state of the certificates is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// A table that fits a terminal.
    Table,
    /// A table with everything.
    Wide,
    /// JSON.
    Json,
}

/// The flags of `check`.
#[derive(Debug)]
pub struct CheckOptions {
    /// `-f`: the manifest, `-` for standard input. Without it the place is examined that the controller would read.
    pub file: Option<PathBuf>,
    /// `-role`: a manifest with Roles.
    pub role: Option<PathBuf>,
    /// `-o json`
    pub as_json: bool,
}

/// The flags of `convert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertOptions {
    /// `-one`: one ConfigMap for all namespaces.
    pub one: bool,
    /// `-cluster-resource-namespace`: where the Secrets of ClusterIssuers are.
    pub cluster_resource_namespace: String,
}

/// The flags of `http-route`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteOptions {
    /// `-ingress-class`: the class of the Ingress; `None` leaves the choice to the cluster.
    pub ingress_class: Option<String>,
    /// `-gateway`: the Gateway of HTTPRoutes, and its listener. Without it an Ingress is printed.
    pub gateway: Option<(ObjectRef, Option<String>)>,
    /// `-path-type`: the type of the path, one that takes everything below it.
    pub path_type: &'static str,
}

impl SecretAction {
    /// Reads the flags of `renew`, `revoke` or `account rollover`.
    ///
    /// # Errors
    /// When no Secret is named, or the reason is unknown.
    pub fn read(command: &str, values: &Values) -> Result<SecretAction, String> {
        let secret = values.operand.clone().ok_or("the name of a Secret is missing (-h shows all commands)")?;
        Ok(match command {
            "renew" => SecretAction::Renew { secret, force: values.has("force") },
            "revoke" => {
                let words = REASONS.map(|(word, _)| (word, word));
                SecretAction::Revoke { secret, reason: values.choice("reason", &words)?.unwrap_or(REASONS[0].0) }
            }
            _ => SecretAction::Rollover { account: secret },
        })
    }
}

impl StatusOptions {
    /// Reads the flags of `status`.
    ///
    /// # Errors
    /// When the format is unknown.
    pub fn read(values: &Values) -> Result<StatusOptions, String> {
        let format = values.choice("o", &[("wide", OutputFormat::Wide), ("json", OutputFormat::Json)])?;
        Ok(StatusOptions { format: format.unwrap_or(OutputFormat::Table), follow: values.has("w") })
    }
}

impl ConvertOptions {
    /// Reads the flags of `convert`.
    ///
    /// # Errors
    /// When the namespace is none.
    pub fn read(values: &Values) -> Result<ConvertOptions, String> {
        let namespace = cluster_resources(values)?;
        let cluster_resource_namespace = namespace.unwrap_or_else(|| CLUSTER_RESOURCES.to_owned());
        Ok(ConvertOptions { one: values.has("one"), cluster_resource_namespace })
    }
}

impl RouteOptions {
    /// Reads the flags of `http-route`.
    ///
    /// # Errors
    /// When a value is no name of an object, the type is none of the kind, or both kinds are asked for.
    pub fn read(values: &Values) -> Result<RouteOptions, String> {
        let gateway = values.value("gateway", gateway)?;
        if gateway.is_some() && values.has("ingress-class") {
            return Err(
                "-ingress-class and -gateway exclude each other: the route is an Ingress or HTTPRoutes".to_owned()
            );
        }
        // `Exact` would take the path of no token.
        let path_types: &[(&str, &'static str)] = match gateway {
            Some(_) => &[("PathPrefix", "PathPrefix")],
            None => &[("Prefix", "Prefix"), ("ImplementationSpecific", "ImplementationSpecific")],
        };
        let path_type = values.choice("path-type", path_types)?.unwrap_or(path_types[0].1);
        let ingress_class = values.value("ingress-class", object_name)?.filter(|class| class != "none");
        Ok(RouteOptions { ingress_class, gateway, path_type })
    }
}

/// The name of one object.
fn object_name(text: &str) -> Result<String, String> {
    match ObjectRef::parse(text, "x") {
        Ok(_) if !text.contains('/') => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err("is not the name of one object".to_owned()),
    }
}

/// The Gateway and the listener of `NS/NAME` or `NS/NAME/SECTION`.
fn gateway(text: &str) -> Result<(ObjectRef, Option<String>), String> {
    let mut parts = text.splitn(3, '/');
    let (Some(namespace), Some(name)) = (parts.next(), parts.next()) else {
        return Err("is not of the form NS/NAME or NS/NAME/SECTION".to_owned());
    };
    let at = ObjectRef::parse(&format!("{namespace}/{name}"), "x").map_err(|e| e.to_string())?;
    let section = parts.next().map(object_name).transpose();
    Ok((at, section.map_err(|_| "has a section that is not the name of a listener")?))
}

impl CheckOptions {
    /// Reads the flags of `check`.
    ///
    /// # Errors
    /// When the format is unknown, or `-role` stands alone.
    pub fn read(values: &Values) -> Result<CheckOptions, String> {
        let as_json = values.choice("o", &[("json", true)])?.unwrap_or(false);
        match (values.text("f"), values.text("role")) {
            (None, Some::<PathBuf>(_)) => {
                Err("-role goes with -f; without it the API server is asked what is allowed".to_owned())
            }
            (file, role) => Ok(CheckOptions { file, role, as_json }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::values::{CommandLine, read};

    fn options(line: &str) -> Result<String, String> {
        match read(line.split_whitespace().map(Into::into).collect(), |_| None)? {
            CommandLine::Run(command, values) => match command.name {
                "status" => StatusOptions::read(&values).map(|options| format!("{options:?}")),
                "convert" => ConvertOptions::read(&values).map(|options| format!("{options:?}")),
                "check" => CheckOptions::read(&values).map(|options| format!("{options:?}")),
                "http-route" => RouteOptions::read(&values).map(|o| match o.gateway {
                    Some((at, section)) => format!("{at} {section:?} {}", o.path_type),
                    None => format!("{:?} {}", o.ingress_class, o.path_type),
                }),
                "renew" | "revoke" | "account rollover" => {
                    SecretAction::read(command.name, &values).map(|action| format!("{action:?}"))
                }
                _ => Ok(format!("{:?}", values.text::<PathBuf>("f"))),
            },
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn each_command_has_its_flags() {
        for (line, expected) in [
            ("renew web", r#"Renew { secret: "web", force: false }"#),
            ("renew -force team/web -local /d", r#"Renew { secret: "team/web", force: true }"#),
            ("renew team/web --force", r#"Renew { secret: "team/web", force: true }"#),
            ("revoke web", r#"Revoke { secret: "web", reason: "unspecified" }"#),
            ("revoke -reason keyCompromise web", r#"Revoke { secret: "web", reason: "keyCompromise" }"#),
            ("account rollover notariat-acme-1", r#"Rollover { account: "notariat-acme-1" }"#),
            ("role -config a,b", "None"),
            ("role -f a.yaml -acme https://ca/dir", r#"Some("a.yaml")"#),
            ("role -f=a.yaml", r#"Some("a.yaml")"#),
            ("dns-policy --namespace team -f -", r#"Some("-")"#),
            ("explain a.test -f -", r#"Some("-")"#),
            ("check -f a.yaml", r#"CheckOptions { file: Some("a.yaml"), role: None, as_json: false }"#),
            (
                "check -f - -role=r.yaml -o json --namespace team",
                r#"CheckOptions { file: Some("-"), role: Some("r.yaml"), as_json: true }"#,
            ),
            ("status -config a", "StatusOptions { format: Table, follow: false }"),
            ("status -config a,b -o wide", "StatusOptions { format: Wide, follow: false }"),
            ("convert", r#"ConvertOptions { one: false, cluster_resource_namespace: "cert-manager" }"#),
            (
                "convert -one -cluster-resource-namespace=kube-system -namespace n",
                r#"ConvertOptions { one: true, cluster_resource_namespace: "kube-system" }"#,
            ),
            ("http-route -config a", "None Prefix"),
            ("http-route -f a -ingress-class nginx", r#"Some("nginx") Prefix"#),
            ("http-route -f a -ingress-class none -path-type ImplementationSpecific", "None ImplementationSpecific"),
            ("http-route -f a -gateway edge/public", "edge/public None PathPrefix"),
            (
                "http-route -f a -gateway edge/public/http -path-type PathPrefix",
                r#"edge/public Some("http") PathPrefix"#,
            ),
            ("status -w -o=json --config a", "StatusOptions { format: Json, follow: true }"),
        ] {
            assert_eq!(options(line).as_deref(), Ok(expected), "{line}");
        }
        for (line, part) in [
            ("renew", "the name of a Secret is missing"),
            ("renew a b", "\"b\" is not a flag"),
            ("revoke -reason whim web", "-reason \"whim\" is none of unspecified, keyCompromise"),
            ("account list", "account knows one command, rollover"),
            ("obtain web", "\"obtain\" is neither a command nor a flag"),
            ("role -f", "-f lacks its value"),
            ("role -config a b", "\"b\" is not a flag"),
            ("role -f b -role c", "-role is not a flag"),
            ("check -f b -o yaml", "-o \"yaml\" is not json"),
            ("check -f b -role", "-role lacks its value"),
            ("check -config b -role c", "-role goes with -f"),
            ("status -config a -o", "-o lacks its value"),
            ("status -config a -o yaml", "-o \"yaml\" is neither wide nor json"),
            ("status -config a web", "\"web\" is not a flag"),
            ("convert -f a", "-f is not a flag"),
            ("convert -cluster-resource-namespace A", "-cluster-resource-namespace \"A\" is not a namespace"),
            ("status -config a -one", "-one is not a flag"),
            ("explain a.test b.test -f -", "\"b.test\" is not a flag"),
            ("man -config a", "-config is not a flag"),
            ("http-route -f a -ingress-class a,b", "-ingress-class \"a,b\" is not the name of one object"),
            ("http-route -f a -ingress-class a/b", "-ingress-class \"a/b\" is not the name of one object"),
            ("http-route -f a -gateway public", "-gateway \"public\" is not of the form NS/NAME"),
            ("http-route -f a -gateway edge/Public", "-gateway \"edge/Public\" "),
            ("http-route -f a -gateway edge/public/a/b", "has a section that is not the name of a listener"),
            ("http-route -f a -gateway edge/public -ingress-class c", "-ingress-class and -gateway exclude each other"),
            ("http-route -f a -path-type Exact", "-path-type \"Exact\" is neither Prefix nor ImplementationSpecific"),
            ("http-route -f a -gateway edge/public -path-type Prefix", "-path-type \"Prefix\" is not PathPrefix"),
            ("role -f a -gateway edge/public", "-gateway is not a flag"),
        ] {
            let error = options(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
