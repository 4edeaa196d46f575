//! ACME directories: which are the same, and which issue certificates that nobody trusts. Pure.

/// An ACME directory and whether the operator named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    url: String,
    written: String,
    explicit: bool,
}

impl Directory {
    /// The directory at `url`. `explicit` says that the operator gave it.
    pub fn new(url: &str, explicit: bool) -> Directory {
        Directory { url: normalized(url), written: url.trim().to_owned(), explicit }
    }

    /// Its URL as the operator wrote it, which is what is asked for: to a server a slash at the end makes another URL.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Its URL, in the one form that is compared and stored.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the operator named it.
    pub fn is_explicit(&self) -> bool {
        self.explicit
    }

    /// Whether it issues certificates that nobody trusts.
    pub fn is_staging(&self) -> bool {
        is_staging(&self.url)
    }
}

/// Lower-case scheme and host, no default port, no slash at the end: what people write differently and means the same.
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

/// By its host name, as every public CA marks it. The top-level domain is not looked at: `.test` is where private names live.
pub fn is_staging(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', ':']).next().unwrap_or_default();
    let parts = host.rsplit_once('.').map_or("", |(head, _)| head).split(['.', '-']);
    parts.into_iter().any(|part| matches!(part, "staging" | "stg") || part.starts_with("test"))
}
