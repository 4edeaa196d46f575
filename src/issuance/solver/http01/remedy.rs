//! What to change where a name's web server does not lead to notariat, and hints about the words of CAs. Pure.
//!
//! docs/http-01.md explains each line; a test compares them.

use crate::base::sanitize::ITEM;

/// The fault of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteFault {
    /// Nothing leads the path to notariat.
    NotLed,
    /// Another rule of the host wins.
    AnotherServer,
    /// The path is redirected to where it is not answered.
    Redirected,
    /// The path wants a login or a certain address.
    Login,
    /// The route finds no pod.
    NoPod,
}

impl RouteFault {
    /// All faults.
    pub const ALL: [RouteFault; 5] =
        [RouteFault::NotLed, RouteFault::AnotherServer, RouteFault::Redirected, RouteFault::Login, RouteFault::NoPod];

    /// The servers that can stand in front, each with the line to change there.
    pub const fn lines(self) -> [(&'static str, &'static str); 4] {
        let [nginx, haproxy, traefik, gateway] = match self {
            RouteFault::NotLed => [
                "`location ^~ /.well-known/acme-challenge/` with `proxy_pass`, or the printed Ingress",
                "`use_backend acme if acme`",
                "an IngressRoute on `web` and `websecure`",
                "`sectionName` of the listener at port 80, whose `allowedRoutes` admits the route",
            ],
            RouteFault::AnotherServer => [
                "`^~` before the path, and the host in the route",
                "`use_backend acme if acme` before the other `use_backend` lines",
                "`priority: 100000`; `allowACMEByPass: true` where its own ACME takes the path",
                "the host in `hostnames`",
            ],
            RouteFault::Redirected => [
                "`return 301` into `location /`",
                "`unless acme` behind the redirect",
                "`redirections.entryPoint.priority: 1`",
                "the redirect as a route of its own, on `/`",
            ],
            RouteFault::Login => [
                "`allow all; auth_basic off;` in the location, and `^~` before the path",
                "`unless acme` behind `http-request auth` and `http-request deny`",
                "no `middlewares` in the IngressRoute",
                "no policy on the printed route",
            ],
            RouteFault::NoPod => [
                "a variable and `resolver` for `proxy_pass`",
                "the line `server` of the backend",
                "`namespace` and `port` of the service",
                "`backendRefs` in the namespace of the Service",
            ],
        };
        [("nginx", nginx), ("HAProxy", haproxy), ("Traefik", traefik), ("Gateway API", gateway)]
    }

    /// The sentence with the lines to change.
    pub(super) fn explain(self, sentence: &str) -> String {
        let lines = self.lines().map(|(front, line)| format!(" {ITEM}{front}: {line}"));
        format!("{sentence}{}", lines.concat())
    }
}

/// The advice for the words of a CA about a challenge, where they alone do not tell an operator. The phrases are those of Boulder and Pebble.
pub fn hint_of_ca(words: &str) -> Option<&'static str> {
    let hints = [
        (
            "secondary validation",
            "it is reachable from here and from a part of the world: a geo block or a firewall? CAs ask from several places",
        ),
        (
            "did not match this challenge",
            "another instance or another ACME client answers for that host, at one of its addresses",
        ),
    ];
    let words = words.to_ascii_lowercase();
    hints.into_iter().find(|(phrase, _)| words.contains(phrase)).map(|(_, hint)| hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_the_line_of_each_front() {
        let text = RouteFault::Redirected.explain("it is redirected");
        assert_eq!(
            text,
            "it is redirected \u{2022} nginx: `return 301` into `location /` \u{2022} HAProxy: `unless acme` behind the redirect \
             \u{2022} Traefik: `redirections.entryPoint.priority: 1` \u{2022} Gateway API: the redirect as a route of its own, on `/`"
        );
        // An Event takes 1,024 octets.
        assert!(RouteFault::ALL.iter().all(|fault| fault.explain("").len() < 400));
    }

    #[test]
    fn the_words_of_cas_have_their_hints() {
        for (words, hint) in [
            ("During secondary validation: 192.0.2.1: Fetching http://a.test: Timeout", Some("geo block")),
            ("secondary validation failed", Some("geo block")),
            (
                "The key authorization file from the server did not match this challenge. Expected \"a\" (got \"b\")",
                Some("another instance"),
            ),
            ("No TXT record found at _acme-challenge.a.test", None),
        ] {
            let found = hint_of_ca(words);
            assert_eq!(found.is_some(), hint.is_some(), "{words}");
            assert!(found.unwrap_or_default().contains(hint.unwrap_or_default()), "{words}: {found:?}");
        }
    }
}
