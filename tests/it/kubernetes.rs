//! The main job on a real API server, with kubectl as judge.

use crate::support::cluster::Cluster;
use crate::support::{Run, x509};

#[test]
fn with_the_role_of_deploy_a_secret_ends_up_with_a_certificate() {
    let cluster = Cluster::new();
    cluster.config(
        &[cluster.site.entry("web", "www.site.test", ""), cluster.site.entry("wild", "site.test, '*.site.test'", "")]
            .concat(),
    );
    cluster.once().ends(0).says(&["issued secret=", "names=www.site.test"]);
    cluster.assert_valid("web", &["www.site.test"]);
    cluster.assert_valid("wild", &["site.test", "*.site.test"]);
    let annotations = cluster.get("web", "{.metadata.annotations}");
    assert!(annotations.contains(&format!("\"notariat/owner\":\"{0} {0}/web\"", cluster.namespace)), "{annotations}");
    assert_eq!(cluster.get("web", "{.metadata.managedFields[*].manager}"), "notariat");
    let listed = cluster.kubectl(&[
        "get",
        "secrets",
        "-l",
        "app.kubernetes.io/managed-by=notariat",
        "-L",
        "app.kubernetes.io/component",
    ]);
    for component in ["certificate", "record", "account"] {
        assert!(listed.contains(component), "{listed}");
    }

    let (before, requests) = (cluster.version("web"), cluster.site.pebble.requests());
    cluster.once().ends(0).never_says("issu");
    assert_eq!(
        (cluster.version("web"), cluster.site.pebble.requests()),
        (before, requests),
        "nothing is written when nothing differs"
    );

    // The audit log is the API server's own word on what was asked of it.
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    let asked: Vec<_> = cluster.kube.audit().into_iter().filter(|a| a.user == user).collect();
    assert!(asked.len() > 10 && asked.iter().all(|a| a.code != 403), "{asked:#?}");
}

#[test]
fn every_way_to_say_who_we_are_works() {
    let cluster = Cluster::new();
    cluster.config("[]");
    let bind = |kind: &str, name: &str| {
        cluster.kubectl(&["create", "rolebinding", name, "--role=notariat", &format!("--{kind}={name}")]);
    };
    bind("user", "alice");
    bind("user", "cert-user");
    let kube = cluster.kube;
    for kubeconfig in [
        kube.kubeconfig_with_token("alice"),
        kube.kubeconfig_with_client_cert("cert-user", "lab:certusers"),
        kube.kubeconfig_with_client_cert_files("cert-user", "lab:certusers"),
        cluster.service_account(),
    ] {
        Run::of(&mut cluster.command(&kubeconfig, &["-once"])).ends(0).says(&["configuration-read"]);
    }
    let stranger = kube.kubeconfig_with_token("bob");
    Run::of(&mut cluster.command(&stranger, &["-once"]))
        .ends(75)
        .says(&["the Role lacks the verb `get` on `configmaps`"]);
    let expired = kube.kubeconfig_with_bearer("no-such-token");
    Run::of(&mut cluster.command(&expired, &["-once"])).ends(75).says(&["401", "has it expired?"]);
}

#[test]
fn a_valid_secret_keeps_its_version_and_broken_ones_are_mended() {
    let cluster = Cluster::new();
    cluster.tls("good", &x509::make(&["good.site.test"], "somebody", -10, 80));
    cluster.tls("old", &x509::make(&["old.site.test"], "somebody", -90, -1));
    cluster.tls("wrong", &x509::make(&["else.site.test"], "somebody", -10, 80));
    cluster.kubectl(&["label", "secret", "old", "theirs=stays"]);
    let entries = ["good", "old", "wrong"].map(|n| cluster.site.entry(n, &format!("{n}.site.test"), "")).concat();
    cluster.config(&entries);
    let (good, uid) = (cluster.version("good"), cluster.get("old", "{.metadata.uid}"));
    cluster.once().ends(0).says(&["reason=Expired", "reason=NameMissing"]);
    assert_eq!(cluster.version("good"), good);
    cluster.assert_valid("old", &["old.site.test"]);
    cluster.assert_valid("wrong", &["wrong.site.test"]);
    assert_eq!(
        (cluster.get("old", "{.metadata.labels.theirs}"), cluster.get("old", "{.metadata.uid}")),
        ("stays".to_owned(), uid)
    );
}

#[test]
fn wrong_type_and_foreign_owner_are_refused_and_untouched() {
    let cluster = Cluster::new();
    cluster.kubectl(&["create", "secret", "generic", "opaque", "--from-literal=a=b"]);
    cluster.tls("foreign", &x509::make(&["www.site.test"], "somebody", -62, 28));
    cluster.kubectl(&["annotate", "secret", "foreign", "cert-manager.io/certificate-name=web"]);
    cluster.config(&["opaque", "foreign"].map(|n| cluster.site.entry(n, "www.site.test", "")).concat());
    let before = ["opaque", "foreign"].map(|n| cluster.version(n));
    cluster.once().ends(1).says(&["reason=WrongType", "reason=OwnedByAnother"]);
    assert_eq!(["opaque", "foreign"].map(|n| cluster.version(n)), before);
    assert_eq!(cluster.site.pebble.requests(), 0);
}

#[test]
fn a_deleted_secret_is_restored_from_the_record() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster.once().ends(0);
    let (chain, requests) = (cluster.get("web", "{.data}"), cluster.site.pebble.requests());
    cluster.kubectl(&["delete", "secret", "web"]);
    cluster.once().ends(0).says(&["restored secret="]);
    assert_eq!((cluster.get("web", "{.data}"), cluster.site.pebble.requests()), (chain, requests));
}

#[test]
fn what_can_not_be_written_is_found_before_anything_is_ordered() {
    let cluster = Cluster::new();
    cluster.tls("fixed", &x509::make(&["fixed.site.test"], "somebody", -90, -1));
    cluster.kubectl(&["patch", "secret", "fixed", "-p", r#"{"immutable": true}"#]);
    cluster.config(&cluster.site.entry("fixed", "fixed.site.test", ""));
    cluster.once().ends(1).says(&["can not be written, so nothing was ordered", "make it without `immutable: true`"]);

    cluster.secret_verbs(&["get", "list", "watch", "update"]);
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster.once().ends(1).says(&["the Role lacks the verb `create` on `secrets`"]);
    let orders = cluster.site.pebble.request_lines().into_iter().filter(|l| l.contains("order")).count();
    assert_eq!(orders, 0);
}

#[test]
fn a_label_added_while_the_certificate_is_obtained_costs_nothing() {
    let cluster = Cluster::new();
    cluster.tls("web", &x509::make(&["www.site.test"], "somebody", -90, -1));
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let (kubeconfig, namespace) = (cluster.service_account(), cluster.namespace.clone());
    let run = std::thread::scope(|scope| {
        let run = scope.spawn(|| Run::of(&mut cluster.command(&kubeconfig, &["-once"])));
        let mut count = 0;
        while !run.is_finished() {
            count += 1;
            cluster.kube.kubectl(&["-n", &namespace, "label", "--overwrite", "secret", "web", &format!("n=v{count}")]);
        }
        run.join().unwrap()
    });
    run.ends(0);
    cluster.assert_valid("web", &["www.site.test"]);
    assert!(cluster.get("web", "{.metadata.labels.n}").starts_with('v'));
    let finalized = cluster.site.pebble.request_lines().into_iter().filter(|l| l.contains("finalize")).count();
    assert_eq!(finalized, 1, "one certificate");
}

/// Most servers say to anybody which zone a name is in.
#[test]
fn keys_are_read_when_they_are_needed() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "a.site.test, b.site.test, c.site.test", ""));
    cluster.once().ends(0);
    let asked = cluster.kube.audit().into_iter().filter(|a| a.namespace == cluster.namespace);
    let reads = asked.filter(|a| a.verb == "get" && a.name == "tsigkey").count();
    // To decide, to publish, to withdraw: not for each name.
    assert_eq!(reads, 3);
}
