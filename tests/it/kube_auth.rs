//! How notariat gets to a real API server and says who it is there. The server's own word is taken for it: who has no right is told by
//! name that he has none.

mod plugins;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use notariat::base::name::ObjectRef;
use notariat::base::shutdown::Shutdown;
use notariat::kube::client::{KubeClient, KubeError};
use notariat::kube::discovery;
use notariat::kube::object::ConfigMapObject;
use notariat_lab::{Kube, Scratch};

use crate::support::Run;
use crate::support::proxy::Proxy;
use crate::support::run::notariat;

/// A folder with kubeconfig files for the API server, its CA and whatever they name.
struct Place {
    kube: &'static Kube,
    folder: Scratch,
}

impl Place {
    fn new() -> Place {
        let place = Place { kube: Kube::shared(), folder: Scratch::new("kube-auth") };
        fs::copy(place.kube.ca_file(), place.folder.join("ca.crt")).unwrap();
        place
    }

    /// The text of a kubeconfig; `cluster` and `user` are fields in YAML's flow style.
    fn text(&self, cluster: &str, user: &str) -> String {
        format!(
            "{{current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}],\n\
             clusters: [{{name: c, cluster: {{server: '{}', {cluster}}}}}],\n users: [{{name: u, user: {{{user}}}}}]}}\n",
            self.kube.api_url()
        )
    }

    fn kubeconfig(&self, cluster: &str, user: &str) -> PathBuf {
        self.folder.write("config", &self.text(cluster, user))
    }

    fn client(&self, cluster: &str, user: &str) -> KubeClient {
        KubeClient::new(discovery::find(Some(&self.kubeconfig(cluster, user))).unwrap(), Shutdown::new()).unwrap()
    }

    /// The token of one of the lab's users.
    fn token(&self, user: &str) -> String {
        token_in(&self.kube.kubeconfig_with_token(user))
    }
}

fn token_in(kubeconfig: &Path) -> String {
    let text = fs::read_to_string(kubeconfig).unwrap();
    text.split_once("token: ").unwrap().1.trim().to_owned()
}

const CA: &str = "certificate-authority: ca.crt";

fn ask(client: &KubeClient) -> Result<(), KubeError> {
    client.get::<ConfigMapObject>(&ObjectRef::parse("default/nothing", "").unwrap()).map(|_| ())
}

/// Who the API server says we are.
#[track_caller]
fn who(client: &KubeClient) -> String {
    match ask(client) {
        Err(KubeError::Api(e)) if e.code == 403 => e.message.split('"').nth(3).unwrap_or_default().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// A pass of the program, which has no right and so ends by saying who has none.
fn command(kubeconfig: &Path) -> Command {
    let mut command = notariat();
    command.args(["-config", "nothing", "-once", "-namespace", "default", "-kubeconfig"]).arg(kubeconfig);
    command
}

#[test]
fn a_token_file_is_read_again_after_a_401() {
    let place = Place::new();
    place.folder.write("token", "no-such-token");
    let client = place.client(CA, "tokenFile: token");
    assert!(matches!(ask(&client), Err(KubeError::Api(e)) if e.code == 401));
    place.folder.write("token", &place.token("erin"));
    assert_eq!(who(&client), "erin", "in the same request");
    place.folder.write("token", &place.token("frank"));
    assert_eq!(who(&client), "erin", "one that works is kept for a minute");
}

#[test]
fn another_ca_is_trusted_as_soon_as_the_old_one_does_not_do() {
    let place = Place::new();
    let right = fs::read_to_string(place.folder.join("ca.crt")).unwrap();
    let wrong = rcgen::generate_simple_self_signed(vec!["ca.test".to_owned()]).unwrap().cert.pem();
    place.folder.write("ca.crt", &wrong);
    let client = place.client(CA, &format!("token: {}", place.token("erin")));
    let error = ask(&client).unwrap_err().to_string();
    assert!(error.contains("the server's certificate is from a CA that is not trusted here"), "{error}");
    for broken in ["", "-----BEGIN CERTIFICATE-----\n"] {
        place.folder.write("ca.crt", broken);
        assert!(matches!(ask(&client), Err(KubeError::Network(_))), "and no panic");
    }
    place.folder.write("ca.crt", &right);
    assert_eq!(who(&client), "erin", "in the same request");
}

#[test]
fn the_name_that_the_server_must_prove_can_be_another_than_its_address() {
    let place = Place::new();
    let token = format!("token: {}", place.token("erin"));
    assert_eq!(who(&place.client(&format!("{CA}, tls-server-name: kubernetes.default.svc"), &token)), "erin");
    let error = ask(&place.client(&format!("{CA}, tls-server-name: other.test"), &token)).unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate") && error.contains("other.test"), "{error}");
}

#[test]
fn the_proxy_of_the_kubeconfig_is_used_and_none_of_the_environment() {
    let place = Place::new();
    let server = place.kube.api_url().trim_start_matches("https://").to_owned();
    let [wanted, unwanted] = [(); 2].map(|()| Proxy::start(server.parse().unwrap()));
    let run = |cluster: &str, environment: &[(&str, &str)]| {
        let kubeconfig = place.kubeconfig(cluster, &format!("token: {}", place.token("erin")));
        Run::of(command(&kubeconfig).envs(environment.iter().copied())).ends(75).says(&["erin"]);
    };
    let url = unwanted.url();
    let everywhere = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"].map(|n| (n, url.as_str()));
    run(CA, &everywhere);
    assert!(wanted.asked().is_empty() && unwanted.asked().is_empty());
    run(&format!("{CA}, proxy-url: '{}'", wanted.url()), &everywhere);
    run(&format!("{CA}, proxy-url: '{}', tls-server-name: localhost", wanted.url()), &[("NO_PROXY", "*")]);
    assert_eq!((wanted.asked(), unwanted.asked()), (vec![server], vec![]));
    assert_eq!(wanted.tunnels(), 2, "NO_PROXY is of the environment, too");
}

#[test]
fn certificates_are_checked_unless_that_is_switched_off_which_is_warned_of_once() {
    let place = Place::new();
    let token = format!("token: {}", place.token("erin"));
    let run = |cluster: &str| Run::of(&mut command(&place.kubeconfig(cluster, &token)));
    let off = "tls-server-name: other.test, insecure-skip-tls-verify: true";
    let unchecked = run(off).ends(75).says(&["erin", "WARN", "insecure-skip-tls-verify: whoever is on the way"]);
    assert_eq!(unchecked.log.matches("api-server-not-checked").count(), 1, "{}", unchecked.log);
    for cluster in ["tls-server-name: localhost", "insecure-skip-tls-verify: false"] {
        run(cluster).ends(75).says(&["a CA that is not trusted here"]).never_says("api-server-not-checked");
    }
}

#[test]
fn who_acts_as_another_has_that_ones_rights() {
    let place = Place::new();
    let admin = format!("token: {}", token_in(place.kube.admin_kubeconfig()));
    assert_eq!(who(&place.client(CA, &format!("{admin}, as: anna, as-uid: '7', as-groups: [a, b]"))), "anna");
    // Groups: a Role that is bound to one of them.
    place.kube.kubectl(&["create", "clusterrole", "acting-reader", "--verb=get", "--resource=configmaps"]);
    let bind = ["create", "clusterrolebinding", "acting-reader", "--clusterrole=acting-reader", "--group=lab:acting"];
    place.kube.kubectl(&bind);
    let groups = format!("{admin}, as: anna, as-groups: [other, 'lab:acting']");
    let client = place.client(CA, &groups);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while ask(&client).is_err() && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    ask(&client).unwrap();
    // Extra: whoever may not set it is told its name.
    let impersonate = ["create", "clusterrole", "acting-as", "--verb=impersonate", "--resource=users"];
    place.kube.kubectl(&impersonate);
    place.kube.kubectl(&["create", "clusterrolebinding", "acting-as", "--clusterrole=acting-as", "--user=heidi"]);
    let heidi = format!("token: {}, as: anna", place.token("heidi"));
    let plain = place.client(CA, &heidi);
    while who(&plain) != "anna" && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let extra = ask(&place.client(CA, &format!("{heidi}, as-user-extra: {{a/b: [x]}}"))).unwrap_err().to_string();
    assert!(extra.contains("cannot impersonate resource") && extra.contains("userextras/a/b"), "{extra}");
}

#[test]
fn several_files_in_kubeconfig_are_one() {
    let place = Place::new();
    let other = place.folder.directory("other");
    let first = place.folder.write("first", "users: [{name: u, user: {tokenFile: token}}]\n");
    place.folder.write("token", &place.token("erin"));
    place.folder.write("other/config", &place.text("certificate-authority: ../ca.crt", "token: no-such-token"));
    let list = format!("{}::{}:{}/config", first.display(), place.folder.join("none").display(), other.display());
    let mut command = notariat();
    command.args(["-config", "nothing", "-once", "-namespace", "default"]).env("KUBECONFIG", list);
    Run::of(&mut command).ends(75).says(&["erin"]);
    let none = place.folder.join("none").display().to_string();
    Run::of(command.env("KUBECONFIG", &none))
        .ends(78)
        .says(&[&format!("KUBECONFIG: none of its files exists: {none}")]);
}
