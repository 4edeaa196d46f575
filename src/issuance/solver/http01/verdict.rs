//! Judges the answers of a name's web server before the CA asks there: right, wrong, or not to be told from here. Pure.
//!
//! The rules are those of public CAs: status 200 and the key authorization; redirects by 301, 302, 307 and 308 to http at port 80 or https at
//! port 443; no URL twice, [`REACH_REDIRECTS_MAX`] redirects. Untrusted: every answer; of a body 40 octets are shown.

use super::remedy::RouteFault;
use crate::base::limits::{REACH_BODY_SHOWN_OCTETS, REACH_REDIRECTS_MAX, REACH_URL_OCTETS_MAX};
use crate::base::name::{DnsName, check_namespace};
use crate::base::sanitize::one_line;
use crate::http::web_check::WebAnswer;

/// The judgement about one address of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer is the key authorization.
    Right,
    /// A CA would not accept the answer, in words.
    Wrong(String),
    /// Nothing can be told from inside, in words: the CA may see more.
    Unknown(String),
}

/// A URL on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebUrl {
    /// True if the scheme is https.
    pub https: bool,
    /// The host.
    pub host: DnsName,
    /// The path with the query.
    pub path: String,
}

impl WebUrl {
    /// Where the CA begins for a name (RFC 8555 section 8.3).
    pub(super) fn challenge(name: &DnsName, token: &str) -> WebUrl {
        WebUrl { https: false, host: name.clone(), path: format!("{CHALLENGE_PATH}{token}") }
    }

    /// The port.
    pub(super) fn port(&self) -> u16 {
        if self.https { 443 } else { 80 }
    }

    /// The whole URL.
    pub(super) fn text(&self) -> String {
        format!("{}://{}{}", if self.https { "https" } else { "http" }, self.host, self.path)
    }

    /// Where `location` leads from here (RFC 9110 section 10.2.2).
    ///
    /// # Errors
    /// Why no public CA goes there.
    fn join(&self, location: &str) -> Result<WebUrl, String> {
        let location = location.split('#').next().unwrap_or(location);
        if location.len() > REACH_URL_OCTETS_MAX {
            return Err("which is too long".to_owned());
        }
        let lower = location.to_ascii_lowercase();
        let (https, rest) = match (lower.starts_with("http://"), lower.starts_with("https://")) {
            (true, _) => (false, &location[7..]),
            (_, true) => (true, &location[8..]),
            _ if location.starts_with("//") => (self.https, &location[2..]),
            _ if location.starts_with('/') => return Ok(WebUrl { path: location.to_owned(), ..self.clone() }),
            _ => return Err("which is no http or https URL".to_owned()),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        if port.is_some_and(|port| port != if https { "443" } else { "80" }) {
            return Err("which has another port than 80 for http or 443 for https".to_owned());
        }
        let host = DnsName::parse(host).ok().filter(|host| host.labels().count() > 1);
        let host = host.ok_or_else(|| "whose host is no domain name".to_owned())?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(WebUrl { https, host, path })
    }
}

/// The folder of the answers (RFC 8555 section 8.3).
pub const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";

/// The token for which a responder answers although nothing is pending: `check` asks for it.
pub const PROBE_TOKEN: &str = "notariat";

/// The answer to [`PROBE_TOKEN`], with the name of the instance.
pub fn probe_answer(instance: &str) -> String {
    format!("{PROBE_TOKEN} {instance}")
}

/// The name of the notariat instance that answers a probe this way.
fn instance_of(body: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(body).ok()?.strip_prefix(PROBE_TOKEN)?.strip_prefix(' ')?;
    check_namespace(name).is_ok().then_some(name)
}

/// The next step after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The end.
    End(Verdict),
    /// Ask there.
    Follow(WebUrl),
}

/// Why a server gave no answer, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// Nothing can be told from inside.
    NoConnection(String),
    /// The same machine answered before, and refuses at this port.
    DeadEnd(String),
}

/// Judges the answer at the last URL of `way`. `wanted` is the key authorization, or what a probe is answered with.
pub(super) fn judge(answer: Result<WebAnswer, Unanswered>, wanted: &str, way: &[WebUrl]) -> Step {
    let Some(url) = way.last() else { return Step::End(Verdict::Unknown("nothing was asked".to_owned())) };
    let shown = url.text();
    let wrong = |fault: RouteFault, sentence: String| Step::End(Verdict::Wrong(fault.explain(&sentence)));
    let answer = match answer {
        Ok(answer) => answer,
        Err(Unanswered::DeadEnd(error)) => {
            let sentence =
                format!("it is redirected to {shown}, where {error}: exempt {CHALLENGE_PATH} from the redirect");
            return wrong(RouteFault::Redirected, sentence);
        }
        Err(Unanswered::NoConnection(error)) => {
            return Step::End(Verdict::Unknown(format!(
                "there is no connection from inside ({error}): hairpin NAT, the PROXY protocol, a firewall? the CA is asked; `http.via` says where to test instead"
            )));
        }
    };
    let redirected = if way.len() > 1 { format!("redirected to {shown}, which answered ") } else { String::new() };
    match answer.status {
        200 if answer.body == wanted.as_bytes() || answer.body.trim_ascii_end() == wanted.as_bytes() => {
            Step::End(Verdict::Right)
        }
        200 if answer.body.is_empty() => wrong(
            RouteFault::AnotherServer,
            format!(
                "{redirected}200 with an empty body: another server answers; a rule of that host wins over the route to notariat"
            ),
        ),
        200 if instance_of(&answer.body).is_some() => wrong(
            RouteFault::AnotherServer,
            format!(
                "{redirected}200 by another notariat instance ({}): the route leads to the Service of that one",
                instance_of(&answer.body).unwrap_or_default()
            ),
        ),
        // Where a redirect leads is the choice of whoever has the name: nothing of that page is shown.
        200 if way.len() > 1 => wrong(
            RouteFault::Redirected,
            format!("{redirected}200 with another page: exempt {CHALLENGE_PATH} from the redirect"),
        ),
        200 => wrong(
            RouteFault::AnotherServer,
            format!(
                "another server answers ({:?}): a rule of that host wins over the route to notariat",
                beginning(&answer.body)
            ),
        ),
        301 | 302 | 307 | 308 => follow(&answer, way, url),
        400 => Step::End(Verdict::Unknown(format!(
            "{redirected}400: it can not be tested from inside (PROXY protocol?); the CA is asked"
        ))),
        401 | 403 => wrong(
            RouteFault::Login,
            format!(
                "{redirected}{}: it wants a login or another address; exempt {CHALLENGE_PATH} from that",
                answer.status
            ),
        ),
        404 if way.len() == 1 => wrong(
            RouteFault::NotLed,
            format!("404: {CHALLENGE_PATH} does not lead to notariat; `notariat http-route` prints a route"),
        ),
        502..=504 => wrong(
            RouteFault::NoPod,
            format!("{redirected}{}: the ingress finds no ready pod of the Service notariat-acme", answer.status),
        ),
        status => match redirected.as_str() {
            "" => wrong(RouteFault::AnotherServer, format!("it answers {status}; a CA wants 200")),
            _ => wrong(
                RouteFault::Redirected,
                format!("{redirected}{status}: exempt {CHALLENGE_PATH} from the redirect"),
            ),
        },
    }
}

fn follow(answer: &WebAnswer, way: &[WebUrl], url: &WebUrl) -> Step {
    let wrong = |sentence: String| Step::End(Verdict::Wrong(RouteFault::Redirected.explain(&sentence)));
    let Some(location) = &answer.location else {
        return wrong(format!("it answers {} without a usable Location", answer.status));
    };
    let shown = one_line(location);
    let next = match url.join(location) {
        Ok(next) => next,
        Err(why) => {
            return wrong(format!("it is redirected to {shown}, {why}: exempt {CHALLENGE_PATH} from the redirect"));
        }
    };
    if way.contains(&next) {
        return wrong(format!(
            "it is redirected in a circle, to {shown} again: exempt {CHALLENGE_PATH} from the redirect"
        ));
    }
    if way.len() > REACH_REDIRECTS_MAX {
        return wrong(format!(
            "it is redirected more than {REACH_REDIRECTS_MAX} times: exempt {CHALLENGE_PATH} from the redirect"
        ));
    }
    Step::Follow(next)
}

fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(REACH_BODY_SHOWN_OCTETS)]).into_owned();
    one_line(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "token.thumbprint";

    fn way(urls: &[&str]) -> Vec<WebUrl> {
        let start = WebUrl::challenge(&"www.a.test".parse().unwrap(), "token");
        let mut way = vec![start];
        for url in urls {
            let next = way.last().unwrap().join(url).unwrap();
            way.push(next);
        }
        way
    }

    fn judged(status: u16, location: Option<&str>, body: &str, way: &[WebUrl]) -> String {
        let location = location.map(str::to_owned);
        match judge(Ok(WebAnswer { status, location, body: body.as_bytes().to_vec() }), ANSWER, way) {
            Step::End(Verdict::Right) => "right".to_owned(),
            Step::End(Verdict::Wrong(why)) => format!("wrong: {why}"),
            Step::End(Verdict::Unknown(why)) => format!("unknown: {why}"),
            Step::Follow(url) => format!("follow {}", url.text()),
        }
    }

    #[test]
    fn each_answer_has_its_verdict_and_its_sentence() {
        let (first, second) = (way(&[]), way(&["https://www.a.test/x"]));
        for (status, location, body, way, expected) in [
            (200, None, ANSWER, &first, "right"),
            (200, None, "token.thumbprint\r\n", &first, "right"),
            (200, None, "<html>\u{1b}[1mShop", &first, "wrong: another server answers ("),
            (200, None, "", &first, "wrong: 200 with an empty body"),
            (
                200,
                None,
                "a secret of the inside",
                &second,
                "wrong: redirected to https://www.a.test/x, which answered 200 with another page: exempt /.well-known/acme-challenge/ from the redirect",
            ),
            (
                200,
                None,
                "notariat other-team",
                &first,
                "wrong: 200 by another notariat instance (other-team): the route leads",
            ),
            (200, None, "notariat <b>", &first, "wrong: another server answers ("),
            (
                200,
                None,
                "notariat x",
                &second,
                "wrong: redirected to https://www.a.test/x, which answered 200 by another notariat instance (x)",
            ),
            (206, None, ANSWER, &first, "wrong: it answers 206; a CA wants 200"),
            (
                404,
                None,
                "",
                &first,
                "wrong: 404: /.well-known/acme-challenge/ does not lead to notariat; `notariat http-route` prints a route",
            ),
            (403, None, "", &first, "wrong: 403: it wants a login"),
            (401, None, "", &second, "wrong: redirected to https://www.a.test/x, which answered 401: it wants a login"),
            (404, None, "", &second, "wrong: redirected to https://www.a.test/x, which answered 404: exempt"),
            (503, None, "", &first, "wrong: 503: the ingress finds no ready pod of the Service notariat-acme"),
            (502, None, "", &first, "wrong: 502: the ingress finds no ready pod"),
            (500, None, "", &first, "wrong: it answers 500"),
            (400, None, "", &first, "unknown: 400: it can not be tested from inside (PROXY protocol?)"),
            (
                301,
                Some("https://www.a.test/.well-known/acme-challenge/token"),
                "",
                &first,
                "follow https://www.a.test/.well-known/acme-challenge/token",
            ),
            (302, Some("/other?x=1#part"), "", &first, "follow http://www.a.test/other?x=1"),
            (307, Some("//b.test"), "", &second, "follow https://b.test/"),
            (308, Some("HTTP://b.test:80/x"), "", &first, "follow http://b.test/x"),
            (303, Some("/x"), "", &first, "wrong: it answers 303"),
            (301, None, "", &first, "wrong: it answers 301 without a usable Location"),
            (
                301,
                Some("https://www.a.test:8443/"),
                "",
                &first,
                "wrong: it is redirected to https://www.a.test:8443/, which has another port",
            ),
            (301, Some("https://10.0.0.1/x"), "", &first, "follow https://10.0.0.1/x"),
            (
                301,
                Some("https://localhost/x"),
                "",
                &first,
                "wrong: it is redirected to https://localhost/x, whose host is no domain name",
            ),
            (
                301,
                Some("https://www.a.test.well-known/acme-challenge/token"),
                "",
                &first,
                "follow https://www.a.test.well-known/acme-challenge/token",
            ),
            (301, Some("ftp://b.test/"), "", &first, "wrong: it is redirected to ftp://b.test/, which is no http"),
            (301, Some("https://[::1]/"), "", &first, "wrong: it is redirected to https://[::1]/, w"),
            (
                301,
                Some("http://www.a.test/.well-known/acme-challenge/token"),
                "",
                &first,
                "wrong: it is redirected in a circle",
            ),
        ] {
            let found = judged(status, location, body, way);
            assert!(found.starts_with(expected), "{status} {location:?} {body:?}: {found}");
            assert!(!found.contains('\u{1b}'), "{found:?}");
        }
        let refused = || "connection refused".to_owned();
        assert!(matches!(judge(Err(Unanswered::NoConnection(refused())), ANSWER, &first),
            Step::End(Verdict::Unknown(why)) if why.contains("connection refused") && why.contains("http.via")));
        assert!(matches!(judge(Err(Unanswered::DeadEnd(refused())), ANSWER, &second),
            Step::End(Verdict::Wrong(why)) if why.starts_with("it is redirected to https://www.a.test/x, where connection refused: exempt")));
    }

    #[test]
    fn redirects_have_an_end() {
        let mut urls = way(&[]);
        for n in 0..REACH_REDIRECTS_MAX {
            let Step::Follow(next) =
                judge(Ok(WebAnswer { status: 301, location: Some(format!("/{n}")), body: Vec::new() }), ANSWER, &urls)
            else {
                panic!("redirect {n} is followed")
            };
            urls.push(next);
        }
        assert!(judged(301, Some("/more"), "", &urls).starts_with("wrong: it is redirected more than 9 times"));
    }

    #[test]
    fn what_a_server_says_is_cut_and_made_harmless() {
        let found = judged(200, None, &"x".repeat(5000), &way(&[]));
        assert!(!found.contains(&"x".repeat(REACH_BODY_SHOWN_OCTETS + 1)), "{found}");
        let found = judged(301, Some(&format!("/{}", "y".repeat(1 << 20))), "", &way(&[]));
        assert!(!found.contains("follow"), "{}", found.len());
    }
}
