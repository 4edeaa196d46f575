//! Keys as sections `key:` of knot.conf, of nsd.conf, and of the output of Knot's `keymgr -t`. Pure.
//!
//! Knot has one section with an item `- id:` for each key. NSD has a section for each key, with `name:`. Other sections
//! are skipped. A line `[hmac:]name:base64` is a key here too, so that keys of both forms can be appended to one text.

use super::key::TsigKey;
use super::line;
use crate::dns::tsig_key_error::TsigKeyError;

/// Tells whether a line begins such a section.
pub(super) fn is_one(text: &str) -> bool {
    text.lines().any(|line| begins(&words(line)))
}

/// Tells whether the words of a line begin a section. In sections of other kinds `key:` has a value.
fn begins(words: &[&str]) -> bool {
    words.first().is_some_and(|word| word.eq_ignore_ascii_case("key:"))
        && words.get(1).is_none_or(|word| *word == "-" || word.ends_with(':'))
}

/// The keys in the order of the text.
pub(super) fn keys(text: &str) -> Result<Vec<TsigKey>, TsigKeyError> {
    let mut reader = Reader::default();
    for text in text.lines() {
        let words = words(text);
        match words.first() {
            None => {}
            // No attribute of either server has this form.
            Some(word) if !word.starts_with(['"', '\'']) && !word.ends_with(':') && word.contains(':') => {
                reader.end_section()?;
                reader.keys.push(line::key(text)?);
            }
            Some(_) => reader.read(&words)?,
        }
    }
    reader.end_section()?;
    Ok(reader.keys)
}

/// A key under construction.
#[derive(Default)]
struct Partial<'t> {
    name: Option<&'t str>,
    algorithm: Option<&'t str>,
    secret: Option<&'t str>,
}

#[derive(Default)]
struct Reader<'t> {
    keys: Vec<TsigKey>,
    is_in_section: bool,
    open: Option<Partial<'t>>,
}

impl<'t> Reader<'t> {
    /// Reads the words of a line. NSD allows several attributes on one.
    fn read(&mut self, words: &[&'t str]) -> Result<(), TsigKeyError> {
        if begins(words) {
            self.end_section()?;
            self.is_in_section = true;
            return self.attributes(words.get(1..).unwrap_or_default());
        }
        // An attribute without a value begins another section.
        let is_header = matches!(words, [word] if word.ends_with(':') && !is_of_key(word));
        if is_header {
            return self.end_section();
        }
        if self.is_in_section { self.attributes(words) } else { Ok(()) }
    }

    fn attributes(&mut self, mut words: &[&'t str]) -> Result<(), TsigKeyError> {
        while let [word, rest @ ..] = words {
            words = rest;
            if *word == "-" {
                self.end_key()?;
                self.open = Some(Partial::default());
                continue;
            }
            let value = rest.first().map(|value| unquoted(value));
            words = rest.get(1..).unwrap_or_default();
            let open = self.open.get_or_insert_default();
            match word.to_ascii_lowercase().as_str() {
                "id:" | "name:" => open.name = value,
                "algorithm:" => open.algorithm = value,
                "secret:" => open.secret = value,
                other if other.ends_with(':') => {}
                _ => return Err(TsigKeyError::Section),
            }
        }
        Ok(())
    }

    fn end_key(&mut self) -> Result<(), TsigKeyError> {
        let Some(Partial { name, algorithm, secret }) = self.open.take() else { return Ok(()) };
        let name = name.ok_or(TsigKeyError::NoName)?;
        let algorithm = algorithm.ok_or(TsigKeyError::Section)?;
        self.keys.push(TsigKey::from_parts(algorithm, name, secret.ok_or(TsigKeyError::Section)?)?);
        Ok(())
    }

    fn end_section(&mut self) -> Result<(), TsigKeyError> {
        self.is_in_section = false;
        self.end_key()
    }
}

/// Tells whether a word is an attribute of a key.
fn is_of_key(word: &str) -> bool {
    ["id:", "name:", "algorithm:", "secret:"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// The words of a line up to a comment. A quoted value is one word, with its quotes.
fn words(line: &str) -> Vec<&str> {
    let (mut words, mut rest) = (Vec::new(), line.trim_start());
    while let Some(c) = rest.chars().next().filter(|c| *c != '#') {
        let end = match c {
            '"' | '\'' => rest.match_indices(c).nth(1).map(|(at, quote)| at.saturating_add(quote.len())),
            _ => rest.find(char::is_whitespace),
        };
        let (word, more) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(word);
        rest = more.trim_start();
    }
    words
}

fn unquoted(word: &str) -> &str {
    let inner = |quote| word.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(word)
}
