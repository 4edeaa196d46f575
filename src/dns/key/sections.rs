//! The `key:` sections of knot.conf (a list of `- id:`) and nsd.conf (a `name:` each), and what `keymgr -t` prints. Other sections of the
//! files are skipped.

use super::{Algorithm, KeyError, TsigKey};

/// A key whose lines are being read.
#[derive(Default)]
struct Section<'t> {
    name: Option<&'t str>,
    algorithm: Option<&'t str>,
    secret: Option<&'t str>,
}

impl Section<'_> {
    fn key(&self) -> Result<TsigKey, KeyError> {
        let Section { name: Some(name), algorithm: Some(algorithm), secret: Some(secret) } = self else {
            return Err(KeyError::Section);
        };
        TsigKey::new(Algorithm::parse(algorithm)?, name, secret)
    }
}

/// Reads all sections, and lines `[hmac:]name:base64` beside them.
pub(super) fn read(text: &str) -> Result<Vec<TsigKey>, KeyError> {
    let (mut keys, mut section, mut is_keys) = (Vec::new(), None::<Section<'_>>, false);
    for line in text.lines() {
        let code = without_comment(line).trim_end();
        if code.is_empty() {
            continue;
        }
        let is_indented = code.starts_with([' ', '\t', '-']);
        if !is_indented {
            keys.extend(section.take().map(|section| section.key()).transpose()?);
            is_keys = code == "key:";
            if !code.ends_with(':') {
                keys.push(TsigKey::parse(code)?);
            }
            continue;
        }
        if !is_keys {
            continue;
        }
        let code = code.trim_start();
        let (code, is_next) = code.strip_prefix('-').map_or((code, false), |code| (code.trim_start(), true));
        if is_next {
            keys.extend(section.take().map(|section| section.key()).transpose()?);
        }
        let (field, value) = code.split_once(':').ok_or(KeyError::Section)?;
        let (section, value) = (section.get_or_insert_default(), Some(unquoted(value.trim())));
        match field.trim_end() {
            "id" | "name" => section.name = value,
            "algorithm" => section.algorithm = value,
            "secret" => section.secret = value,
            _ => {}
        }
    }
    keys.extend(section.map(|section| section.key()).transpose()?);
    Ok(keys)
}

/// A line up to `#`, which does not count inside quotes.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => return &line[..at],
            _ => {}
        }
    }
    line
}

fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}
