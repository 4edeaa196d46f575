//! The scalars of a document: quoted, in a block, plain.

use super::Scanner;

impl Scanner<'_> {
    pub(super) fn quoted(&mut self, quote: u8) {
        self.skip(1);
        while let Some(octet) = self.peek(0) {
            match octet {
                // The parser reports a text that is not closed.
                _ if self.is_document_mark() => return,
                b'\'' if quote == b'\'' && self.peek(1) == Some(b'\'') => self.skip(2),
                b'\\' if quote == b'"' && self.line_end(1) == 0 => self.skip(2),
                _ if octet == quote => return self.skip(1),
                _ if self.line_end(0) > 0 => self.skip_line_end(),
                _ => self.skip(1),
            }
        }
    }

    pub(super) fn block_scalar(&mut self) {
        self.skip(1);
        let mut indent = 0;
        while let Some(octet @ (b'+' | b'-' | b'1'..=b'9')) = self.peek(0) {
            if octet.is_ascii_digit() {
                indent = self.indents.last().copied().unwrap_or(0) + usize::from(octet - b'0');
            }
            self.skip(1);
        }
        self.skip_to_line_end();
        self.skip_line_end();
        self.empty_lines(&mut indent);
        while self.column == indent && self.at < self.octets.len() {
            self.skip_to_line_end();
            self.skip_line_end();
            self.empty_lines(&mut indent);
        }
    }

    /// Skips empty lines of a block scalar and the indentation of the line after them; finds the indentation where it
    /// is unknown.
    fn empty_lines(&mut self, indent: &mut usize) {
        let mut most = 0;
        loop {
            while (*indent == 0 || self.column < *indent) && self.peek(0) == Some(b' ') {
                self.skip(1);
            }
            most = most.max(self.column);
            if self.line_end(0) == 0 {
                break;
            }
            self.skip_line_end();
        }
        if *indent == 0 {
            *indent = most.max(self.inner()).max(1);
        }
    }

    pub(super) fn plain(&mut self) {
        let (began, inner, mut broken) = (self.at, self.inner(), false);
        while !self.is_document_mark() && self.peek(0) != Some(b'#') {
            while !self.is_blank_or_end(0) && !self.ends_plain() {
                self.skip(1);
                broken = false;
            }
            if !self.is_blank(0) && self.line_end(0) == 0 {
                break;
            }
            while self.is_blank(0) || self.line_end(0) > 0 {
                if self.is_blank(0) {
                    self.skip(1);
                } else {
                    self.skip_line_end();
                    broken = true;
                }
            }
            if self.flow_level == 0 && self.column < inner {
                break;
            }
        }
        // Only a character that begins no token leaves the loop at once.
        if self.at == began {
            self.skip(1);
        }
        self.simple_key_allowed |= broken;
    }

    fn ends_plain(&self) -> bool {
        match self.peek(0) {
            Some(b':') => self.is_blank_or_end(1),
            Some(b',' | b'[' | b']' | b'{' | b'}') => self.flow_level > 0,
            _ => false,
        }
    }
}
