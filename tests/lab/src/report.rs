//! The news about running servers: variables for scripts (`DIR/env`), lines and commands for people.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::process;
use std::time::Duration;

use notariat_lab::{Kube, Pebble, Resolver, Scratch};

use crate::up::Served;

/// The news of a start, gathered while it is known: variables for scripts, lines and commands for people.
#[derive(Default)]
pub(crate) struct Report {
    variables: String,
    running: String,
    commands: String,
}

impl Report {
    pub(crate) fn name_server(&mut self, directory: &Scratch, one: &Served) {
        let (name, zone, address) = (one.part.name(), &one.zone, one.server.addr());
        let upper = name.to_uppercase();
        self.variable(&format!("{upper}_ADDR"), &address.to_string());
        self.variable(&format!("TSIG_{upper}"), &one.key.secret_text());
        self.line(one.server.software().name(), &format!("{address}, zone {zone}"), one.server.pid());
        let key = directory.write(&format!("{name}.key"), &one.key.bind_clause());
        let (ip, port) = (address.ip(), address.port());
        self.command(&format!(
            "printf 'server {ip} {port}\\nzone {zone}\\nadd x.{zone} 60 TXT hello\\nsend\\n' | nsupdate -k {}",
            key.display()
        ));
        self.command(&dig(address, &format!("x.{zone} TXT")));
    }

    pub(crate) fn resolver(&mut self, resolver: &Resolver, first: Option<&Served>) {
        self.variable("RESOLVER_ADDR", &resolver.addr().to_string());
        self.line("resolver", &resolver.addr().to_string(), resolver.pid());
        if let Some(first) = first {
            self.command(&dig(resolver.addr(), &format!("www.{}", first.zone)));
        }
    }

    pub(crate) fn pebble(&mut self, directory: &Scratch, pebble: &Pebble) {
        let trusted = fs::read_to_string(pebble.ca_file()).expect("Pebble's authority was made by us just now");
        let ca = directory.write("acme-ca.pem", &trusted);
        let root = directory.write("issuer-root.pem", &pebble.root_pem());
        self.variable("ACME_DIRECTORY", &pebble.directory());
        self.variable("ACME_CA_FILE", &ca.display().to_string());
        self.variable("ISSUER_ROOT_FILE", &root.display().to_string());
        self.line("Pebble", &pebble.directory(), pebble.pid());
        self.command("curl --cacert \"$ACME_CA_FILE\" \"$ACME_DIRECTORY\"");
    }

    /// A directory store with one certificate for each name server, ready for notariat, and the command that obtains them.
    pub(crate) fn store(&mut self, directory: &Scratch, served: &[Served]) {
        let mut entries = String::new();
        for one in served {
            let (name, zone, server) = (one.part.name(), &one.zone, one.server.addr());
            entries += &format!(
                "- secret: cert-{name}\n  domains: [\"{zone}\", \"*.{zone}\"]\n  email: admin@{zone}\n  tsigSecretName: tsig-{name}\n  dns: {{server: \"{server}\", propagation: primary}}\n"
            );
            directory.write(&format!("store/default/secrets/tsig-{name}/key"), &one.key.secret_text());
        }
        let file = directory.write("store/default/configmaps/notariat/certificates", &entries);
        let store = directory.join("store");
        let flags =
            "-config notariat -acme \"$ACME_DIRECTORY\" -acme-ca \"$ACME_CA_FILE\" -resolver \"$RESOLVER_ADDR\" -once";
        self.command(&format!("notariat -local {} {flags}", store.display()));
        self.variable("CERTIFICATES_FILE", &file.display().to_string());
        if self.variables.contains("KUBECONFIG=") {
            self.command("kubectl apply -k deploy/");
            self.command("kubectl create configmap notariat --from-file=certificates=\"$CERTIFICATES_FILE\"");
            for one in served {
                let name = one.part.name();
                let value = format!("\"$TSIG_{}\"", name.to_uppercase());
                self.command(&format!("kubectl create secret generic tsig-{name} --from-literal=key={value}"));
            }
            self.command(&format!("notariat -kubeconfig \"$KUBECONFIG\" {flags}"));
        }
    }

    pub(crate) fn kube(&mut self, directory: &Scratch, kube: &Kube) {
        let text = fs::read_to_string(kube.admin_kubeconfig()).expect("the kubeconfig was written by us just now");
        let kubeconfig = directory.write("kubeconfig", &text);
        self.variable("KUBECONFIG", &kubeconfig.display().to_string());
        let [etcd, api] = kube.pids();
        self.line("kube-apiserver", &format!("{}, kubeconfig {}", kube.api_url(), kubeconfig.display()), api);
        self.line("etcd", "for kube-apiserver", etcd);
        self.command("kubectl get namespaces");
    }

    /// `env` comes last and by a rename: a script that waits for it finds everything else ready, and the file whole.
    pub(crate) fn publish(mut self, directory: &Scratch, end: Duration) -> Result<(), String> {
        self.variable("NOTARIAT_LAB_PID", &process::id().to_string());
        let (new, env) = (directory.write("env.new", &self.variables), directory.join("env"));
        fs::rename(new, &env).map_err(|error| format!("{}: {error}", env.display()))?;
        print!("{}\nTo try:\n  . {}\n{}", self.running, env.display(), self.commands);
        println!("\nEnds with Ctrl-C or `kill {}`, at the latest in {} h.", process::id(), end.as_secs() / 3600);
        Ok(())
    }

    fn variable(&mut self, name: &str, value: &str) {
        self.variables += &format!("export {name}='{}'\n", value.replace('\'', r"'\''"));
    }

    fn line(&mut self, name: &str, what: &str, pid: u32) {
        writeln!(self.running, "{name:<15} pid {pid:<7} {what}").expect("a String takes everything");
    }

    fn command(&mut self, command: &str) {
        self.commands += &format!("  {command}\n");
    }
}

fn dig(server: SocketAddr, question: &str) -> String {
    let ip = server.ip();
    format!("dig +short -p {} @{ip} {question}", server.port())
}
