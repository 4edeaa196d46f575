//! Proxies in front of the responder: nginx and HAProxy, as operators configure them, right and wrong.

use super::{Web, page};

pub(super) const ROUTE: &str = "location ^~ /.well-known/acme-challenge/ { allow all; auth_basic off; proxy_pass http://127.0.0.1:8089; proxy_set_header Host $host; }";

/// A failed self-test: no validation is spent, and the sentence leads to the cure.
#[track_caller]
pub(super) fn is_not_reached(web: &mut Web, says: &str) {
    web.site.start_over();
    web.site.config(&web.entry("web", "www.site.test", "wait: 1s"));
    web.once().ends(1).says(&["stage=reach", says]);
    assert_eq!(web.validations(), 0, "the CA was asked");
    assert!(!web.site.record("web").unwrap().contains("token"), "the token is gone");
}

#[track_caller]
pub(super) fn is_issued(web: &mut Web) {
    web.site.start_over();
    web.site.config(&web.entry("web", "www.site.test", ""));
    web.once().ends(0).never_says("not-tested");
    web.site.assert_valid("web", &["www.site.test"]);
}

#[test]
fn an_nginx_without_a_route_or_with_a_rule_that_wins_is_told_apart() {
    let mut web = Web::new(&[]);
    let route = page::nginx(&web);
    web.nginx("server { listen 80; return 404; }");
    is_not_reached(
        &mut web,
        "404: /.well-known/acme-challenge/ does not lead to notariat; `notariat http-route` prints a route",
    );
    // A regular expression wins over a prefix without ^~.
    let regex = "location ~ ^/\\. { return 403; }";
    web.nginx(&format!("server {{ listen 80; {} {regex} }}", route.replace("^~ ", "")));
    is_not_reached(&mut web, "403: it wants a login or another address; exempt /.well-known/acme-challenge/ from that");
    web.nginx("server { listen 80; location / { return 200 '<html>shop</html>'; } }");
    is_not_reached(&mut web, "another server answers (");
    web.nginx("server { listen 80; location / { proxy_pass http://127.0.0.1:9; } }");
    is_not_reached(&mut web, "502: the ingress finds no ready pod of the Service notariat-acme");
    web.nginx("server { listen 80; return 301 https://elsewhere$request_uri; }");
    is_not_reached(&mut web, "whose host is no domain name");
    web.nginx(
        "server { listen 80; location / { return 302 /login?next=$request_uri; } location /login { return 401; } }",
    );
    is_not_reached(&mut web, "which answered 401: it wants a login");
    web.nginx("server { listen 80; location / { return 301 http://$host$request_uri; } }");
    is_not_reached(&mut web, "it is redirected in a circle");
    web.nginx(&format!("server {{ listen 80; deny all; auth_basic x; {route} {regex} }}"));
    is_issued(&mut web);
}

#[test]
fn a_redirect_to_https_is_followed_as_a_ca_follows_it() {
    let mut web = Web::new(&[]);
    let right = page::haproxy();
    let wrong = right.replace("unless acme or { ssl_fc }", "unless { ssl_fc }");
    // To a port where nobody is. The host was reached, so that this is the CA's answer as well.
    web.haproxy(&wrong);
    is_not_reached(&mut web, "where connection refused (nothing listens there): exempt /.well-known/acme-challenge/");
    // At the place of `via` another machine answers: a refusal at the name's own address proves nothing.
    web.haproxy(&format!(
        "{right}\nfrontend inside\n bind 127.0.0.7:8081\n http-request redirect scheme https code 301\n"
    ));
    web.site.start_over();
    web.site.config(&web.entry("web", "www.site.test", "via: '127.0.0.7:8081'"));
    web.once().ends(0).says(&["not-tested", "there is no connection from inside (connection refused"]);
    web.haproxy(&right);
    is_issued(&mut web);

    // A certificate that nobody trusts is good enough.
    let mut web = Web::new(&[]);
    let route = page::nginx(&web);
    web.nginx(&format!(
        "server {{ listen 80; return 301 https://$host$request_uri; }} server {{ listen 443 ssl; CERTIFICATE {route} }}"
    ));
    is_issued(&mut web);
}

#[test]
fn what_can_not_be_tested_from_inside_is_left_to_the_ca_and_said_once() {
    let mut web = Web::new(&[]);
    // The load balancer speaks the PROXY protocol; inside nobody does. The CA comes by another way.
    web.haproxy("frontend f\n bind 127.0.0.1:80\n default_backend acme\nfrontend inside\n bind 127.0.0.1:8081 accept-proxy\n default_backend acme\nbackend acme\n server n 127.0.0.1:8089\n");
    web.site.config(&web.entry("web", "www.site.test", "via: '127.0.0.1:8081'"));
    web.once().ends(0).says(&["not-tested", "the PROXY protocol"]);
    web.site.assert_valid("web", &["www.site.test"]);
    web.site.config(&web.entry("web", "api.site.test", "check: off"));
    web.once().ends(0).never_says("not-tested");
}

#[test]
fn an_answer_that_takes_longer_than_the_self_test_is_left_to_the_ca() {
    let mut web = Web::new(&[]);
    let script =
        web.files.write("wait.lua", "core.register_action('wait', {'http-req'}, function(txn) core.sleep(12) end)\n");
    web.haproxy(&format!(
        "global\n lua-load {}\nfrontend f\n bind 127.0.0.1:80\n http-request lua.wait if {{ path_beg /.well-known/ }}\n default_backend acme\nbackend acme\n server n 127.0.0.1:8089\n",
        script.display()
    ));
    web.site.config(&web.entry("web", "www.site.test", ""));
    web.once().ends(0).says(&["not-tested", "there is no connection from inside (no answer in time"]);
    web.site.assert_valid("web", &["www.site.test"]);
}

#[test]
fn what_a_ca_saw_instead_of_the_answer_has_a_hint() {
    let mut web = Web::new(&[]);
    web.nginx("server { listen 80; location / { return 200 'another client'; } }");
    web.site.config(&web.entry("web", "www.site.test", "check: off"));
    web.once().ends(1).says(&[
        "stage=validation",
        "did not match this challenge",
        "; another instance or another ACME client answers for that host",
    ]);
}

#[test]
fn a_flood_of_connections_that_never_ask_keeps_no_ca_waiting() {
    let web = Web::new(&[]);
    web.site.config(&web.entry("web", "www.site.test", ""));
    let flood = "import socket,time\ns=[]\nfor _ in range(500):\n c=socket.create_connection(('127.0.0.1',80)); c.send(b'GET /.well'); s.append(c)\nprint('there',flush=True)\ntime.sleep(60)\n";
    let daemon =
        crate::support::run::Daemon::start(&mut web.command(&["-http-listen", "127.0.0.1:80", "-workers", "1"]));
    daemon.until_it_says("listening-for-challenges");
    let mut child =
        web.place.command("python3").args(["-c", flood]).stdout(std::process::Stdio::null()).spawn().unwrap();
    daemon.until_it_says("issued secret=default/web");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn a_caddy_leads_the_path_by_one_handle() {
    let mut web = Web::new(&[]);
    let caddy = |site: &str| format!("{{\n admin off\n}}\n{site}\n");
    web.caddy(&caddy("http://www.site.test {\n respond 404\n}"));
    is_not_reached(&mut web, "404: /.well-known/acme-challenge/ does not lead to notariat");
    web.caddy(&caddy(&page::caddy("www.site.test")));
    is_issued(&mut web);
}

#[test]
fn each_address_of_a_name_is_asked_and_the_one_that_is_wrong_is_named() {
    let mut web = Web::new(&["v6 A 127.0.0.1", "v6 AAAA ::1"]);
    let config = |rule: &str| {
        format!(
            "frontend four\n bind 127.0.0.1:80\n default_backend acme\nfrontend six\n bind [::1]:80\n {rule}\n default_backend acme\nbackend acme\n server n 127.0.0.1:8089\n"
        )
    };
    web.site.config(&web.entry("web", "v6.site.test", "wait: 1s"));
    web.haproxy(&config("http-request return status 404"));
    web.once().ends(1).says(&["stage=reach", "at [::1]:80: 404", "CAs ask IPv6 first"]);
    assert_eq!(web.validations(), 0);
    web.haproxy(&config(""));
    web.site.start_over();
    web.site.config(&web.entry("web", "v6.site.test", ""));
    web.once().ends(0).never_says("not-tested");
    web.site.assert_valid("web", &["v6.site.test"]);
}

#[test]
fn a_redirect_leads_this_program_to_no_other_machine_of_the_inside() {
    let mut web = Web::new(&["inside A 127.0.0.9", "clouds A 169.254.169.254"]);
    // The CA follows it: the other host leads to the responder only for the CA's own request.
    web.haproxy("frontend f\n bind 127.0.0.1:80\n http-request redirect location http://inside.site.test/latest if { path_beg /.well-known/ }\n default_backend n\nfrontend other\n bind 127.0.0.9:80\n http-request return status 200 content-type text/plain string INSIDE-SECRET\nbackend n\n server n 127.0.0.1:8089\n");
    web.site.config(&web.entry("web", "www.site.test", "wait: 1s"));
    web.once().ends(1).says(&["not-tested", "redirected to inside.site.test at 127.0.0.9, an address of the inside"]);
    web.site.start_over();
    web.site.config(&web.entry("web", "clouds.site.test", "wait: 1s"));
    web.once().ends(1).says(&["stage=reach", "clouds.site.test has the address 169.254.169.254, which is never asked"]);
}
