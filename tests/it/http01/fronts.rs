//! What stands in front of the responder: nginx and HAProxy, as operators configure them, right and wrong.

use super::Web;

const ROUTE: &str = "location ^~ /.well-known/acme-challenge/ { allow all; auth_basic off; proxy_pass http://127.0.0.1:8089; proxy_set_header Host $host; }";

/// A failed self-test: no validation is spent, and the sentence leads to the cure.
#[track_caller]
fn is_not_reached(web: &mut Web, says: &str) {
    web.site.start_over();
    web.site.config(&web.entry("web", "www.site.test", "wait: 1s"));
    web.once().ends(1).says(&["stage=reach", says]);
    assert_eq!(web.validations(), 0, "the CA was asked");
    assert!(!web.site.record("web").unwrap().contains("token"), "the token is gone");
}

#[track_caller]
fn is_issued(web: &mut Web) {
    web.site.start_over();
    web.site.config(&web.entry("web", "www.site.test", ""));
    web.once().ends(0).never_says("not-tested");
    web.site.assert_valid("web", &["www.site.test"]);
}

#[test]
fn an_nginx_without_a_route_or_with_a_rule_that_wins_is_told_apart() {
    let mut web = Web::new(&[]);
    web.nginx("server { listen 80; return 404; }");
    is_not_reached(
        &mut web,
        "404: /.well-known/acme-challenge/ does not lead to notariat; `notariat http-route` prints a route",
    );
    // A regular expression wins over a prefix without ^~.
    let regex = "location ~ ^/\\. { return 403; }";
    web.nginx(&format!("server {{ listen 80; {} {regex} }}", ROUTE.replace("^~ ", "")));
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
    web.nginx(&format!("server {{ listen 80; deny all; auth_basic x; {ROUTE} {regex} }}"));
    is_issued(&mut web);
}

#[test]
fn a_redirect_to_https_is_followed_as_a_ca_follows_it() {
    let mut web = Web::new(&[]);
    // To a port where nobody is: from inside nothing can be told, and the CA says the same.
    let haproxy = |rule: &str| {
        format!(
            "frontend f\n bind 127.0.0.1:80\n acl acme path_beg /.well-known/acme-challenge/\n {rule}\n use_backend acme if acme\nbackend acme\n server n 127.0.0.1:8089\n"
        )
    };
    web.haproxy(&haproxy("http-request redirect scheme https code 301 unless { ssl_fc }"));
    web.site.config(&web.entry("web", "www.site.test", "wait: 1s"));
    web.once().ends(1).says(&["not-tested", "there is no connection from inside (connection refused"]);
    web.haproxy(&haproxy("http-request redirect scheme https code 301 unless acme or { ssl_fc }"));
    is_issued(&mut web);

    // A certificate that nobody trusts is good enough.
    let mut web = Web::new(&[]);
    web.nginx(&format!(
        "server {{ listen 80; return 301 https://$host$request_uri; }} server {{ listen 443 ssl; CERTIFICATE {ROUTE} }}"
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
