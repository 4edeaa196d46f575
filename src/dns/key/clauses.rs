//! The `key` clauses of named.conf's grammar (BIND 9 ARM, "key block"). Comments of all three kinds and what stands between clauses are
//! skipped; keywords are read in any case.

use super::{Algorithm, KeyError, TsigKey};

/// Reads all clauses.
pub(super) fn read(text: &str) -> Result<Vec<TsigKey>, KeyError> {
    let code = without_comments(text);
    // It would be skipped, like all between clauses, and missed by whoever wrote it.
    if code.lines().any(|line| TsigKey::parse(line).is_ok()) {
        return Err(KeyError::Mixed);
    }
    let mut words = Words(&code);
    let mut keys = Vec::new();
    while let Some(word) = words.next() {
        if !word.eq_ignore_ascii_case("key") {
            continue;
        }
        let (name, mut algorithm, mut secret) = (words.next().ok_or(KeyError::Clause)?, None, None);
        if words.next() != Some("{") {
            return Err(KeyError::Clause);
        }
        loop {
            match words.next().ok_or(KeyError::Clause)? {
                word if word.eq_ignore_ascii_case("algorithm") => algorithm = words.next(),
                word if word.eq_ignore_ascii_case("secret") => secret = words.next(),
                "}" => break,
                ";" => {}
                _ => return Err(KeyError::Clause),
            }
        }
        let algorithm = Algorithm::parse(algorithm.ok_or(KeyError::Clause)?)?;
        keys.push(TsigKey::new(algorithm, name, secret.ok_or(KeyError::Clause)?)?);
    }
    Ok(keys)
}

/// The text without `/* … */`, `// …` and `# …`. None of them counts inside quotes: base64 may hold `//`. A comment that does not end
/// goes to the end of the text, as named says.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let (mut rest, mut quoted) = (text, false);
    while let Some(c) = rest.chars().next() {
        let skipped = match () {
            () if quoted => None,
            () if rest.starts_with("/*") => Some(rest[2..].find("*/").map_or(rest.len(), |end| end + 4)),
            () if c == '#' || rest.starts_with("//") => Some(rest.find('\n').unwrap_or(rest.len())),
            () => None,
        };
        if let Some(skipped) = skipped {
            // A comment separates words.
            code.push(' ');
            rest = &rest[skipped..];
            continue;
        }
        quoted ^= c == '"';
        code.push(c);
        rest = &rest[c.len_utf8()..];
    }
    code
}

/// Words, quoted texts, and `{`, `}`, `;` of their own.
struct Words<'t>(&'t str);

impl<'t> Iterator for Words<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let text = self.0.trim_start();
        let (word, rest) = match text.chars().next()? {
            '{' | '}' | ';' => text.split_at(1),
            '"' => {
                let (word, rest) = text[1..].split_once('"')?;
                self.0 = rest;
                return Some(word);
            }
            _ => text.split_at(
                text.find(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"')).unwrap_or(text.len()),
            ),
        };
        self.0 = rest;
        Some(word)
    }
}
