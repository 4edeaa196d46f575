//! Users of the API server and kubeconfig files for them, one for each way notariat can authenticate.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::Kube;
use crate::{Scratch, bytes};

/// The users that have a static token: the server reads their list once, when it starts. Several, so that each test can
/// find its own requests in the audit log.
pub const TOKEN_USERS: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];

/// The group all of them are in.
pub const TOKEN_GROUP: &str = "lab:users";

/// The list of static tokens: token, user, uid, groups.
pub(super) fn write_token_file(directory: &Scratch, admin_token: &str, tokens: &[String]) {
    let mut lines = format!("{admin_token},lab-admin,uid-lab-admin,\"system:masters\"\n");
    for (user, token) in TOKEN_USERS.iter().zip(tokens) {
        lines += &format!("{token},{user},uid-{user},\"{TOKEN_GROUP}\"\n");
    }
    directory.write("tokens.csv", &lines);
}

impl Kube {
    /// A kubeconfig with the static token of one of [`TOKEN_USERS`]. Nobody has any right until a Role says so.
    pub fn kubeconfig_with_token(&self, user: &str) -> PathBuf {
        let number = TOKEN_USERS.iter().position(|known| *known == user);
        let number = number.unwrap_or_else(|| panic!("{user} has no static token: use one of {TOKEN_USERS:?}"));
        self.kubeconfig_with_bearer(&self.tokens[number])
    }

    /// A kubeconfig with any token, such as a ServiceAccount's.
    pub fn kubeconfig_with_bearer(&self, token: &str) -> PathBuf {
        let authority = self.authority.certificate();
        self.write_kubeconfig(&inline("certificate-authority", &authority), &format!("token: {token}"))
    }

    /// A kubeconfig with a new client certificate for the user and group; everything is inline.
    pub fn kubeconfig_with_client_cert(&self, user: &str, group: &str) -> PathBuf {
        let pair = self.authority.client(&self.unique("client"), &format!("/O={group}/CN={user}"));
        let user =
            format!("{}\n    {}", inline("client-certificate", &pair.certificate), inline("client-key", &pair.key));
        self.write_kubeconfig(&inline("certificate-authority", &self.authority.certificate()), &user)
    }

    /// The same with files beside the kubeconfig, named by relative paths.
    pub fn kubeconfig_with_client_cert_files(&self, user: &str, group: &str) -> PathBuf {
        let pair = self.authority.client(&self.unique("client"), &format!("/O={group}/CN={user}"));
        let user = "client-certificate: user/tls.crt\n    client-key: user/tls.key";
        let file = self.write_kubeconfig("certificate-authority: ca.crt", user);
        let directory = file.parent().expect("a kubeconfig lies in a directory of its own");
        let copy = |from: &Path, to: &str| {
            fs::copy(from, directory.join(to)).expect("our own directory can be written");
        };
        fs::create_dir(directory.join("user")).expect("our own directory can be written");
        copy(&self.authority.certificate(), "ca.crt");
        copy(&pair.certificate, "user/tls.crt");
        copy(&pair.key, "user/tls.key");
        file
    }

    /// Writes a kubeconfig into a new directory. The arguments are lines of its cluster and of its user.
    fn write_kubeconfig(&self, cluster: &str, user: &str) -> PathBuf {
        let directory = self.unique("kubeconfig");
        self.directory.directory(&directory);
        let text = format!(
            "apiVersion: v1
kind: Config
current-context: lab
clusters:
- name: lab
  cluster:
    server: {}
    {cluster}
contexts:
- name: lab
  context:
    cluster: lab
    namespace: default
    user: lab
users:
- name: lab
  user:
    {user}
",
            self.api_url()
        );
        self.directory.write(&format!("{directory}/config"), &text)
    }

    fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.files.fetch_add(1, Ordering::Relaxed))
    }
}

/// A file as a field of a kubeconfig that holds its contents.
fn inline(field: &str, file: &Path) -> String {
    let contents = fs::read(file).expect("the file was made by openssl just now");
    format!("{field}-data: {}", bytes::base64(&contents))
}
