//! The place that decides how a name is proved, end to end: the entry with what `defaults` give it, the longest zone, the issuer.

use std::fs;

use super::Web;

#[test]
fn the_entry_decides_before_the_longest_zone_before_the_issuer() {
    let mut web = Web::new(&[]);
    let (server, roots) = (web.site.dns.addr(), fs::read_to_string(web.site.pebble.ca_file()).unwrap());
    let directory = web.site.pebble.directory();
    let (http, dns) = (", challenge: http-01", ", challenge: dns-01");
    for (entry, defaults, zone, longer, issuer, way) in [
        ("", "", "", "", "", "dns-01"),
        ("", "", "", "", http, "http-01"),
        ("", "", dns, "", http, "dns-01"),
        ("", "", http, "", dns, "http-01"),
        ("", "", dns, http, "", "http-01"),
        ("", "", http, dns, http, "dns-01"),
        ("", http, dns, dns, dns, "http-01"),
        ("", dns, http, http, http, "dns-01"),
        (http, dns, dns, dns, dns, "http-01"),
        (dns, http, http, http, http, "dns-01"),
    ] {
        web.site.start_over();
        web.site.secret("roots", &[("ca.crt", &roots)]);
        let shorter = if zone.is_empty() { String::new() } else { format!("{{zone: test{zone}}}, ") };
        let zones = format!("[{shorter}{{zone: site.test, tsigSecretName: tsigkey, server: '{server}'{longer}}}]");
        web.site.config_key("zones", &zones);
        web.site.config_key("issuers", &format!("lab: {{directory: '{directory}', caSecretName: roots{issuer}}}"));
        web.site.config_key(
            "defaults",
            &format!("{{email: admin@site.test, issuer: lab, dns: {{propagation: primary}}{defaults}}}"),
        );
        web.site.config(&format!("- {{secret: web, domains: [www.site.test]{entry}}}\n"));
        let before = web.site.dns.updates();
        let case = format!("entry{entry} defaults{defaults} zone{zone} longer{longer} issuer{issuer}");
        let run = web.once_at("127.0.0.1:80");
        assert_eq!(run.code, 0, "{case}:\n{}", run.log);
        web.site.assert_valid("web", &["www.site.test"]);
        let updates = web.site.dns.updates() - before;
        assert_eq!(updates, if way == "dns-01" { 2 } else { 0 }, "{case}");
    }
}
