//! `notariat check` asks the path of each name that is proved by HTTP-01, as the self-test asks, and shows a verdict for each.

use super::{RESPONDER, Web, page};
use crate::support::Run;
use crate::support::run::{Daemon, notariat};

const LISTENS: [&str; 2] = ["-http-listen", RESPONDER];

/// Asserts the exit code, and one line that begins with the first text and has the others in it.
#[track_caller]
fn assert_says(run: &Run, code: i32, start: &str, parts: &[&str]) {
    let is = |line: &&str| line.starts_with(start) && parts.iter().all(|part| line.contains(part));
    assert!(run.stdout.lines().any(|line| is(&line)), "{start} … {parts:?} is not in:\n{}{}", run.stdout, run.log);
    assert_eq!(run.code, code, "{}{}", run.stdout, run.log);
}

#[test]
fn the_instance_behind_each_name_is_told() {
    let mut web = Web::new(&[]);
    web.nginx(&format!("server {{ listen 80; {} }}", page::nginx(&web)));
    web.site.config(&web.entry("web", "www.site.test, api.site.test", ""));
    let daemon = Daemon::start(&mut web.command(&[&LISTENS[..], &["-workers", "1"]].concat()));
    daemon.until_it_says("issued secret=default/web");
    daemon.until_it_says("valid secret=default/web");
    let requests = web.site.pebble.requests();
    let run = web.check(&LISTENS);
    let right = "right: http://www.site.test/.well-known/acme-challenge/ leads to this instance (default)";
    assert_says(&run, 0, &format!("ok       HTTP www.site.test: {right}"), &[]);
    assert_says(&run, 0, "ok       HTTP api.site.test: right: ", &[]);
    // The controller listens, so that this command need not have the flag.
    assert_says(&web.check(&[]), 0, "ok       HTTP www.site.test: right: ", &[]);
    assert_eq!(web.site.pebble.requests(), requests + 2, "each time the directory");
    // The route leads to the Service of another instance, which need not know the name.
    web.site.config(&web.entry("web", "plain.site.test", ""));
    let other = web.check(&["-http-listen", RESPONDER, "-instance", "other"]);
    let sentence = "fault    HTTP plain.site.test: wrong: 200 by another notariat instance (default): the route leads to the Service of that one";
    assert_says(&other, 1, sentence, &["nginx: `^~` before the path, and the host in the route"]);
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn a_wrong_path_is_a_fault_with_the_line_to_change_and_an_unknown_one_a_warning() {
    let mut web = Web::new(&[]);
    web.site.config(&web.entry("web", "www.site.test", ""));
    let before = web.site.files();
    // Nobody is there.
    let unknown = "warning  HTTP www.site.test: unknown: there is no connection from inside (connection refused";
    assert_says(&web.check(&LISTENS), 0, unknown, &["`http.via`", "; the CA may get there all the same"]);
    let silent =
        "fault    HTTP www.site.test: wrong: http-01 is wanted and -http-listen is not set: nobody would answer the CA";
    assert_says(&web.check(&[]), 1, silent, &[]);
    assert!(web.site.files() == before, "a check writes nothing");
    web.nginx("server { listen 80; return 404; }");
    let wrong =
        "wrong: 404: /.well-known/acme-challenge/ does not lead to notariat; `notariat http-route` prints a route";
    let lines = [
        "nginx: `location ^~",
        "HAProxy: `use_backend acme if acme`",
        "Traefik: an IngressRoute",
        "Gateway API: `sectionName`",
    ];
    assert_says(&web.check(&LISTENS), 1, &format!("fault    HTTP www.site.test: {wrong}"), &lines);
    assert_says(&web.check(&[]), 1, silent, &["; 404: ", "HAProxy: "]);
    // A redirect to a port where nobody is.
    web.nginx("server { listen 80; return 301 https://$host$request_uri; }");
    let dead = "fault    HTTP www.site.test: wrong: it is redirected to https://www.site.test/.well-known/acme-challenge/notariat, where connection refused";
    assert_says(&web.check(&LISTENS), 1, dead, &["HAProxy: `unless acme` behind the redirect"]);
    web.site.config(&web.entry("web", "www.site.test", "check: off"));
    assert_says(&web.check(&LISTENS), 0, "ok       HTTP www.site.test: not asked: `http.check` is off", &[]);
    web.site.config(&web.entry("web", "www.site.test", "webroot: /srv/www"));
    assert_says(
        &web.check(&[]),
        0,
        "ok       HTTP www.site.test: not asked: a web server serves the folder /srv/www",
        &[],
    );
    assert_eq!(web.validations(), 0);
}

#[test]
fn the_place_of_via_is_asked_and_the_addresses_that_no_public_ca_asks_are_not() {
    let mut web = Web::new(&[]);
    web.haproxy("frontend f\n bind 127.0.0.1:80\n http-request return status 503\nfrontend inside\n bind 127.0.0.1:8081\n default_backend acme\nbackend acme\n server n 127.0.0.1:8089\n");
    web.site.config(&web.entry("web", "www.site.test", "via: '127.0.0.1:8081'"));
    let daemon = Daemon::start(&mut web.command(&LISTENS));
    daemon.until_it_says("listening-for-challenges");
    assert_says(&web.check(&LISTENS), 0, "ok       HTTP www.site.test: right: ", &[]);
    let configured =
        [web.entry("web", "www.site.test", ""), web.entry("b", "www.site.test, api.site.test", "")].concat();
    web.site.config(&configured);
    let run = web.check(&LISTENS);
    assert_says(
        &run,
        1,
        "fault    HTTP www.site.test: wrong: 503: the ingress finds no ready pod of the Service notariat-acme",
        &["`backendRefs`"],
    );
    assert_eq!(run.stdout.matches("HTTP www.site.test").count(), 1, "asked once: {}", run.stdout);
    // A CA of the internet: nothing at an address of the inside is asked.
    let mut command = web.place.command(notariat().get_program());
    command.arg("check").arg("-local").arg(web.site.store.path()).args([
        "-config",
        "certs",
        "-acme",
        "https://127.0.0.1:1/dir",
    ]);
    command.arg(format!("-resolver={}", web.site.resolver.addr())).args(LISTENS);
    let says = "fault    HTTP api.site.test: wrong: api.site.test has the address 127.0.0.1, which no public CA asks";
    assert_says(&Run::of(&mut command), 1, says, &[]);
    // Without network nothing is asked.
    let manifest = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: notariat}}\ndata:\n  certificates: |\n    {configured}",
        configured = web.entry("web", "www.site.test", "")
    );
    let file = web.files.write("manifest.yaml", &manifest);
    let run = Run::of(notariat().args(["check", "-f"]).arg(file)).ends(0);
    assert!(!run.stdout.contains("HTTP "), "{}", run.stdout);
    assert_eq!(daemon.terminate(), 0);
}
