//! Where redirects lead, and pages that are none: judged before the CA is asked, as the CA would.

use super::Web;
use super::fronts::{ROUTE, is_issued, is_not_reached};

const PATH: &str = "/.well-known/acme-challenge/";

/// An address of the internet, which the namespace of the test has for itself.
const ELSEWHERE: &str = "8.8.4.4";

fn web() -> Web {
    let web = Web::new(&[&format!("elsewhere A {ELSEWHERE}")]);
    let added =
        web.place.command("ip").args(["address", "add", &format!("{ELSEWHERE}/32"), "dev", "lo"]).status().unwrap();
    assert!(added.success());
    web
}

#[test]
fn a_redirect_to_another_host_is_followed_and_its_answer_named() {
    let mut web = web();
    let from = "server { listen 80; server_name www.site.test; return 301 http://elsewhere.site.test$request_uri; }";
    let to = |rule: &str| format!("{from} server {{ listen 80; server_name elsewhere.site.test; {rule} }}");
    web.nginx(&to("return 404;"));
    is_not_reached(&mut web, "redirected to http://elsewhere.site.test/.well-known/acme-challenge/");
    is_not_reached(&mut web, "which answered 404: exempt /.well-known/acme-challenge/ from the redirect");
    web.nginx(&to("return 200 'INSIDE';"));
    is_not_reached(&mut web, "which answered 200 with another page: exempt");
    assert!(!web.site.record("web").unwrap().contains("INSIDE"), "nothing of that page is shown");
    // The other host asks notariat for the name whose challenge it is.
    web.nginx(&to(&ROUTE.replace("$host", "www.site.test")));
    is_issued(&mut web);
}

#[test]
fn circles_and_more_than_nine_redirects_end_before_the_ca_is_asked() {
    let mut web = web();
    web.nginx(
        "server { listen 80; server_name www.site.test; return 301 http://elsewhere.site.test$request_uri; } \
         server { listen 80; server_name elsewhere.site.test; return 301 http://www.site.test$request_uri; }",
    );
    is_not_reached(&mut web, "it is redirected in a circle, to http://www.site.test/.well-known/acme-challenge/");

    // One hop to /1/, and from each to the next; the last one answers.
    let hops = |count: usize| {
        let first = format!("location {PATH} {{ rewrite ^{PATH}(.*)$ /1/$1 permanent; }}");
        let next = |n: usize| format!("location /{n}/ {{ rewrite ^/{n}/(.*)$ /{}/$1 permanent; }}", n + 1);
        let last = format!(
            "location /{count}/ {{ rewrite ^/{count}/(.*)$ {PATH}$1 break; proxy_pass http://127.0.0.1:8089; proxy_set_header Host $host; }}"
        );
        format!("server {{ listen 80; {first} {} {last} }}", (1..count).map(next).collect::<Vec<_>>().join(" "))
    };
    web.nginx(&hops(10));
    is_not_reached(&mut web, "it is redirected more than 9 times");
    web.nginx(&hops(9));
    is_issued(&mut web);
}

#[test]
fn a_host_that_swallowed_the_path_is_named() {
    let mut web = web();
    // The slash between them is missing, as in `return 301 https://example.com$uri` with a host that ends too early.
    web.nginx("server { listen 80; location ~ ^/(?<rest>.*)$ { return 301 https://$host$rest; } }");
    is_not_reached(&mut web, "www.site.test.well-known has no address");
}

#[test]
fn another_page_and_an_empty_one_are_told_apart() {
    let mut web = web();
    web.nginx(
        "server { listen 80; default_type text/html; location / { return 200 '<!doctype html><title>shop</title>'; } }",
    );
    is_not_reached(&mut web, "<!doctype html><title>shop</title>");
    web.nginx("server { listen 80; location / { return 200; } }");
    is_not_reached(&mut web, "200 with an empty body: another server answers");
}
