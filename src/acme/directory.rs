//! ACME directories: equality, and whether one issues certificates that nobody trusts. Pure.

/// An ACME directory and whether the operator named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    url: String,
    written: String,
    explicit: bool,
}

impl Directory {
    /// The directory at `url`. `explicit`: the operator configured it.
    pub fn new(url: &str, explicit: bool) -> Directory {
        Directory { url: normalized(url), written: url.trim().to_owned(), explicit }
    }

    /// The URL as the operator wrote it, which is the one requested: to a server, a slash at the end makes another URL.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The URL in the one form that is compared and stored.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Tells whether the operator named it.
    pub fn is_explicit(&self) -> bool {
        self.explicit
    }

    /// Tells whether the directory issues certificates that nobody trusts.
    pub fn is_staging(&self) -> bool {
        is_staging(&self.url)
    }
}

/// A URL with lower-case scheme and host, without default port and final slash: spellings with the same meaning become
/// equal.
pub fn normalized(url: &str) -> String {
    let trimmed = url.trim().trim_end_matches('/');
    let Some((scheme, rest)) = trimmed.split_once("://") else {
        return trimmed.to_owned();
    };
    let (host, path) = rest.split_once('/').map_or((rest, None), |(h, p)| (h, Some(p)));
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(":443").unwrap_or(&host);
    let path = path.map(|p| format!("/{p}")).unwrap_or_default();
    format!("{}://{host}{path}", scheme.to_ascii_lowercase())
}

/// Tells whether the host name marks a staging directory, as every public CA does. The top-level domain is not looked at:
/// private names live below `.test`.
pub fn is_staging(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', ':']).next().unwrap_or_default();
    let parts = host.rsplit_once('.').map_or("", |(head, _)| head).split(['.', '-']);
    parts.into_iter().any(|part| matches!(part, "staging" | "stg") || part.starts_with("test"))
}
