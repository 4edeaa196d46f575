//! The commands that start etcd and kube-apiserver.

use std::path::Path;
use std::process::Command;

use crate::Scratch;
use crate::pki::{self, Authority};
use crate::process::Server;
use crate::tools::{output, tool, try_output};

/// The rules of the audit log: who asked for what, with which answer. Our own administration and the server's are left out.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, userGroups: [\"system:masters\"]}
- {level: None, users: [\"system:apiserver\"]}
- {level: Metadata}
";

/// Starts etcd and waits until it can store something.
pub(super) fn start_etcd(directory: &Scratch, url: &str, peer_port: u16) -> Result<Server, String> {
    let peer = format!("http://127.0.0.1:{peer_port}");
    let mut command = Command::new(tool("etcd"));
    command.args(["--name", "lab", "--logger", "zap", "--log-level", "warn"]);
    command.arg("--data-dir").arg(directory.directory("etcd"));
    command.args(["--listen-client-urls", url, "--advertise-client-urls", url]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("lab={peer}")]);
    let etcd = Server::start("etcd", &command, &directory.join("etcd.log"));
    let health = format!("{url}/health");
    etcd.wait_until("was healthy", || {
        let mut curl = Command::new(tool("curl"));
        try_output(curl.args(["--silent", "--max-time", "2", &health]), "")
            .is_ok_and(|answer| answer.contains("\"true\""))
    })?;
    Ok(etcd)
}

/// The command of kube-apiserver, whose files it writes.
pub(super) fn api_command(directory: &Scratch, authority: &Authority, etcd_url: &str, port: u16) -> Command {
    let names = "IP:127.0.0.1,IP:::1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,\
                 DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local";
    let serving = authority.server("kube-apiserver", names);
    let (sign_key, sign_public) = pki::signing_key(&directory.join("pki"));
    let policy = directory.write("audit-policy.yaml", AUDIT_POLICY);
    let program = tool("kube-apiserver");
    let mut command = Command::new(&program);
    command.args([&format!("--etcd-servers={etcd_url}"), &format!("--secure-port={port}")]);
    command.args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"]);
    command.args(["--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16"]);
    command.arg("--service-account-issuer=https://kubernetes.default.svc");
    // The reconciler of endpoints refuses a loopback address, with an error each ten seconds.
    command.arg("--endpoint-reconciler-type=none");
    let mut file = |flag: &str, path: &Path| {
        command.arg(format!("--{flag}={}", path.display()));
    };
    file("tls-cert-file", &serving.certificate);
    file("tls-private-key-file", &serving.key);
    file("client-ca-file", &authority.certificate());
    file("token-auth-file", &directory.join("tokens.csv"));
    file("service-account-key-file", &sign_public);
    file("service-account-signing-key-file", &sign_key);
    file("audit-policy-file", &policy);
    file("audit-log-path", &directory.join("audit.log"));
    if minor_version(&output(Command::new(program).arg("--version"))) <= 23 {
        // Older servers listen without TLS, too, unless told not to; newer ones do not know the flag.
        command.arg("--insecure-port=0");
    }
    command
}

/// The 20 of `Kubernetes v1.20.2`.
fn minor_version(version: &str) -> u32 {
    let minor = version.split("v1.").nth(1).and_then(|rest| rest.split('.').next()?.parse().ok());
    minor.unwrap_or_else(|| panic!("kube-apiserver has an unknown version: {version}"))
}

#[cfg(test)]
mod tests {
    use super::minor_version;

    #[test]
    fn the_minor_version_is_read_from_what_the_server_prints() {
        assert_eq!(minor_version("Kubernetes v1.20.2\n"), 20);
        assert_eq!(minor_version("Kubernetes v1.31.0-rc.1\n"), 31);
    }
}
