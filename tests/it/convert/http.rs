//! HTTP-01 solvers carried over: how each name of tests/vectors/cert-manager/http.json is proved by what is printed.

use notariat::config::challenge::challenge_of;

use super::{convert, read, text, vectors};

/// Namespace, Secret and name; the challenge, for dns-01 with the server and the Secret of the key.
const NAMES: [(&str, &str, &str, &str); 15] = [
    ("team", "plain", "www.a.test", "http-01"),
    ("team", "plain", "a.test", "http-01"),
    // Beside wildcards an entry says it for all other names.
    ("team", "wild", "www.b.test", "http-01"),
    ("team", "wild", "*.dns.test", "dns-01 192.0.2.53 tsig-secret"),
    ("team", "wild", "dns.test.b.test", "http-01"),
    // Beside other names each name has its rule.
    ("team", "mixed", "www.c.test", "http-01"),
    ("team", "mixed", "api.dns.test", "dns-01 192.0.2.53 tsig-secret"),
    ("team", "several", "www.d.test", "http-01"),
    ("team", "several", "web.dns.test", "dns-01 192.0.2.53 tsig-secret"),
    ("team", "several", "api.other.test", "dns-01 192.0.2.54 tsig-other"),
    ("team", "covered", "*.other.test", "dns-01 192.0.2.54 tsig-other"),
    ("team", "late", "h.test", "http-01"),
    ("team", "new", "i.test", "http-01"),
    ("gate", "gated", "www.gate.test", "http-01"),
    ("gate", "old", "www.old.test", "http-01"),
];

#[test]
fn each_name_is_proved_as_its_solver_proves_it() {
    let done = convert(vectors().join("http.json"), &[]);
    let all = read(text(&done.stdout));
    for (namespace, secret, name, expected) in NAMES {
        let config = &all[namespace];
        let mut entries = config.entries.iter().map(|entry| entry.as_ref().unwrap());
        let entry = entries.find(|entry| &*entry.main_secret().name == secret).unwrap();
        let name = entry.domains.iter().find(|domain| domain.to_string() == name).unwrap();
        let issuer = config.issuers.get(entry.issuer.as_ref().unwrap().as_str());
        let challenge = challenge_of(entry, &config.zones, issuer.map(|issuer| &**issuer), name);
        let mut found = challenge.name().to_owned();
        if found == "dns-01" {
            let (policy, owner) = (entry.zone_policy(&config.zones), name.challenge_name());
            let zone = name.base().parent().filter(|_| !name.is_wildcard()).unwrap_or_else(|| name.base().clone());
            let key = policy.key(&zone, std::slice::from_ref(&owner)).unwrap();
            found += &format!(" {} {}", policy.configured(&owner).server.unwrap(), key.at.name);
        }
        assert_eq!(found, expected, "{namespace}/{secret} {name}");
    }
}
