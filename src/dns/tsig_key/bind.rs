//! Keys as clauses of named.conf's grammar, `key "name" { algorithm hmac-sha256; secret "base64"; };`. Pure.
//!
//! BIND reads key words in any case, and `/* */`, `//` and `#` as comments outside of quotes.

use super::key::TsigKey;
use super::line;
use crate::base::secret::Secret;
use crate::dns::tsig_key_error::TsigKeyError;

/// Tells whether the text, without its comments, has a brace.
///
/// # Errors
/// When a comment does not end.
pub(super) fn is_one(text: &str) -> Result<bool, TsigKeyError> {
    // Base64 cannot contain `/*`.
    Ok((text.contains('{') || text.contains("/*")) && without_comments(text)?.expose().contains('{'))
}

/// The keys of all clauses. Text between clauses and comments are skipped.
pub(super) fn keys(text: &str) -> Result<Vec<TsigKey>, TsigKeyError> {
    let code = without_comments(text)?;
    // A key line between clauses would be skipped silently, and its author would miss it.
    if code.expose().lines().any(|text| line::key(text).is_ok()) {
        return Err(TsigKeyError::Mixed);
    }
    let (mut tokens, mut keys, mut depth) = (Tokens(code.expose()), Vec::new(), 0usize);
    while let Some(token) = tokens.next() {
        match token {
            Token::Sign('{') => depth = depth.saturating_add(1),
            Token::Sign('}') => depth = depth.saturating_sub(1),
            Token::Word(word) if word.eq_ignore_ascii_case("key") => {
                let name = text_of(tokens.next())?;
                match tokens.next() {
                    Some(Token::Sign('{')) => keys.push(clause(name, &mut tokens)?),
                    // A reference to a key, as in `allow-transfer { key name; };`.
                    Some(_) if depth > 0 => {}
                    Some(_) | None => return Err(TsigKeyError::Clause),
                }
            }
            Token::Sign(_) | Token::Word(_) | Token::Quoted(_) => {}
        }
    }
    Ok(keys)
}

/// The rest of a clause, after its `{`.
fn clause(name: &str, tokens: &mut Tokens<'_>) -> Result<TsigKey, TsigKeyError> {
    let (mut algorithm, mut secret) = (None, None);
    loop {
        match tokens.next().ok_or(TsigKeyError::Clause)? {
            Token::Word(word) if word.eq_ignore_ascii_case("algorithm") => algorithm = Some(text_of(tokens.next())?),
            Token::Word(word) if word.eq_ignore_ascii_case("secret") => secret = Some(text_of(tokens.next())?),
            Token::Sign('}') => break,
            Token::Sign(';') => {}
            Token::Sign(_) | Token::Word(_) | Token::Quoted(_) => return Err(TsigKeyError::Clause),
        }
    }
    TsigKey::from_parts(algorithm.ok_or(TsigKeyError::Clause)?, name, secret.ok_or(TsigKeyError::Clause)?)
}

fn text_of(token: Option<Token<'_>>) -> Result<&str, TsigKeyError> {
    match token {
        Some(Token::Word(text) | Token::Quoted(text)) => Ok(text),
        Some(Token::Sign(_)) | None => Err(TsigKeyError::Clause),
    }
}

/// The text with a space for each comment. Quoted text has no comments: base64 may contain `//`.
fn without_comments(text: &str) -> Result<Secret<String>, TsigKeyError> {
    let (mut code, mut rest, mut is_quoted) = (String::with_capacity(text.len()), text, false);
    while let Some(c) = rest.chars().next() {
        let comment = rest.strip_prefix("/*").filter(|_| !is_quoted);
        rest = if let Some(comment) = comment {
            code.push(' ');
            comment.split_once("*/").ok_or(TsigKeyError::Comment)?.1
        } else if !is_quoted && (c == '#' || rest.starts_with("//")) {
            rest.find('\n').and_then(|end| rest.get(end..)).unwrap_or_default()
        } else {
            is_quoted ^= c == '"';
            code.push(c);
            rest.strip_prefix(c).unwrap_or_default()
        };
    }
    Ok(Secret::new(code))
}

/// A token of the grammar.
enum Token<'t> {
    Word(&'t str),
    Quoted(&'t str),
    /// `{`, `}` or `;`.
    Sign(char),
}

struct Tokens<'t>(&'t str);

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        let text = self.0.trim_start();
        let (token, rest) = match text.chars().next()? {
            sign @ ('{' | '}' | ';') => (Token::Sign(sign), text.strip_prefix(sign)?),
            '"' => {
                let (quoted, rest) = text.strip_prefix('"')?.split_once('"')?;
                (Token::Quoted(quoted), rest)
            }
            _ => {
                let end = text.find(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"'));
                let (word, rest) = text.split_at(end.unwrap_or(text.len()));
                (Token::Word(word), rest)
            }
        };
        self.0 = rest;
        Some(token)
    }
}
