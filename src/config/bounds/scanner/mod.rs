//! A scanner that counts the tokens of a YAML text and keeps none.

mod scalars;

/// Tokens of a text, one step each. The names are those of libyaml.
pub(super) struct Scanner<'t> {
    octets: &'t [u8],
    at: usize,
    /// Characters so far.
    index: usize,
    line: usize,
    column: usize,
    /// Open `[` and `{`.
    flow_level: usize,
    /// True if each of the innermost 64 of them is a `[`; the innermost is the lowest bit.
    sequences: u64,
    /// Columns of open block collections.
    indents: Vec<usize>,
    /// True if a key may begin here: that decides what a `-`, `?` or `:` opens.
    simple_key_allowed: bool,
    /// The place of the last token of the block context that may turn out to be a key.
    simple_key: Option<Mark>,
    /// A `-`, `?` or `:` without a value so far: the parser makes an empty one.
    lacks_value: bool,
    /// The last `:` of a block mapping, until its value begins: a list in the same column has an end of its own.
    lacks_field: bool,
    /// A field of a `{` without a `:` so far.
    lacks_colon: bool,
    nodes: usize,
    directives: usize,
}

#[derive(Clone, Copy)]
struct Mark {
    index: usize,
    line: usize,
    column: usize,
    /// The node before has no value, should this be a key.
    lacks_value: bool,
}

/// The characters after which the scanner of libyaml no longer takes a token for a key.
const SIMPLE_KEY_MAX: usize = 1024;

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Scanner<'t> {
        Scanner {
            octets: text.strip_prefix('\u{feff}').unwrap_or(text).as_bytes(),
            at: 0,
            index: 0,
            line: 1,
            column: 0,
            flow_level: 0,
            sequences: 0,
            indents: Vec::new(),
            simple_key_allowed: true,
            simple_key: None,
            lacks_value: false,
            lacks_field: false,
            lacks_colon: false,
            nodes: 0,
            directives: 0,
        }
    }

    /// The number of open collections.
    pub(super) fn depth(&self) -> usize {
        self.flow_level + self.indents.len()
    }

    /// Beginnings and ends of collections, scalars and aliases so far: every event that the parser keeps, and some more.
    pub(super) fn nodes(&self) -> usize {
        self.nodes
    }

    pub(super) fn directives(&self) -> usize {
        self.directives
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Takes the next token. Returns whether there was one.
    pub(super) fn step(&mut self) -> bool {
        self.skip_to_token();
        self.unroll(self.column);
        let Some(octet) = self.peek(0) else { return false };
        let spaced = self.is_blank_or_end(1);
        if self.column == 0 && octet == b'%' {
            self.directives += 1;
            self.document();
            self.skip_to_line_end();
            return true;
        }
        if self.is_document_mark() {
            self.document();
            self.skip(3);
            return true;
        }
        match octet {
            b'[' | b'{' => {
                self.save_simple_key();
                self.add(2);
                self.flow_level += 1;
                self.sequences = self.sequences << 1 | u64::from(octet == b'[');
                self.lacks_colon = true;
                self.simple_key_allowed = true;
                self.skip(1);
            }
            b']' | b'}' => {
                self.end_field();
                self.flow_level = self.flow_level.saturating_sub(1);
                self.sequences >>= 1;
                self.simple_key_allowed = false;
                self.skip(1);
            }
            b',' => {
                self.end_field();
                self.forget_simple_key();
                self.simple_key_allowed = true;
                self.skip(1);
            }
            b'-' if spaced => {
                if self.lacks_field && self.indents.last() == Some(&self.column) {
                    self.add(2);
                }
                self.roll(self.column);
                self.expect_value();
                self.forget_simple_key();
                self.simple_key_allowed = true;
                self.skip(1);
            }
            b'?' if spaced || self.flow_level > 0 => {
                self.roll(self.column);
                self.pair();
                // A key and a value, both empty.
                self.nodes += 2;
                self.forget_simple_key();
                self.simple_key_allowed = self.flow_level == 0;
                self.skip(1);
            }
            b':' if spaced || self.flow_level > 0 => {
                self.value();
                self.pair();
                self.skip(1);
            }
            b'*' | b'&' => {
                self.save_simple_key();
                // A node with an anchor may be empty.
                self.nodes += usize::from(octet == b'&');
                self.add(usize::from(octet == b'*'));
                self.simple_key_allowed = false;
                self.skip(1);
                while self.peek(0).is_some_and(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-')) {
                    self.skip(1);
                }
            }
            b'!' => {
                // A node with a tag may be empty.
                self.nodes += 1;
                self.save_simple_key();
                self.simple_key_allowed = false;
                self.tag();
            }
            b'|' | b'>' if self.flow_level == 0 => {
                self.add(1);
                self.forget_simple_key();
                self.simple_key_allowed = true;
                self.block_scalar();
            }
            b'\'' | b'"' => {
                self.save_simple_key();
                self.add(1);
                self.simple_key_allowed = false;
                self.quoted(octet);
            }
            _ => {
                self.save_simple_key();
                self.add(1);
                self.simple_key_allowed = false;
                self.plain();
            }
        }
        true
    }

    /// Adds a value of so many events.
    fn add(&mut self, events: usize) {
        self.nodes += events;
        self.lacks_value &= events == 0;
        self.lacks_field &= events == 0;
    }

    fn expect_value(&mut self) {
        self.nodes += usize::from(std::mem::replace(&mut self.lacks_value, true));
        self.lacks_field = false;
    }

    /// A `?` or `:`. Within a `[` the parser makes a mapping of one field around it.
    fn pair(&mut self) {
        self.expect_value();
        self.lacks_colon = false;
        self.lacks_field = self.flow_level == 0;
        if self.flow_level > 0 && self.sequences & 1 == 1 {
            self.nodes += 3;
        }
    }

    /// A `,`, `]` or `}`: a missing node before it is empty.
    fn end_field(&mut self) {
        self.nodes += usize::from(std::mem::take(&mut self.lacks_value)) + usize::from(self.lacks_colon);
        self.lacks_colon = self.sequences & 1 == 0;
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.octets.get(self.at + ahead).copied()
    }

    /// The length of the line end `ahead`: LF, CR, CR LF, NEL, LS or PS.
    fn line_end(&self, ahead: usize) -> usize {
        match self.octets.get(self.at + ahead..).unwrap_or_default() {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            [0xc2, 0x85, ..] => 2,
            [0xe2, 0x80, 0xa8 | 0xa9, ..] => 3,
            _ => 0,
        }
    }

    fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.peek(ahead), Some(b' ' | b'\t'))
    }

    fn is_blank_or_end(&self, ahead: usize) -> bool {
        self.peek(ahead).is_none_or(|octet| matches!(octet, b' ' | b'\t')) || self.line_end(ahead) > 0
    }

    /// `---` or `...` at the beginning of a line.
    fn is_document_mark(&self) -> bool {
        let rest = self.octets.get(self.at..).unwrap_or_default();
        self.column == 0 && (rest.starts_with(b"---") || rest.starts_with(b"...")) && self.is_blank_or_end(3)
    }

    /// Advances within a line. Columns are counted in characters.
    fn skip(&mut self, octets: usize) {
        let end = self.octets.len().min(self.at + octets);
        let characters =
            self.octets.get(self.at..end).unwrap_or_default().iter().filter(|octet| **octet & 0xc0 != 0x80).count();
        (self.column, self.index, self.at) = (self.column + characters, self.index + characters, end);
    }

    fn skip_line_end(&mut self) {
        let octets = self.line_end(0);
        self.skip(octets);
        (self.line, self.column) = (self.line + 1, 0);
    }

    fn skip_to_line_end(&mut self) {
        while self.at < self.octets.len() && self.line_end(0) == 0 {
            self.skip(1);
        }
    }

    fn skip_to_token(&mut self) {
        loop {
            if self.column == 0 && self.octets.get(self.at..).is_some_and(|rest| rest.starts_with(b"\xef\xbb\xbf")) {
                self.skip(3);
            }
            while self.is_blank(0) {
                self.skip(1);
            }
            if self.peek(0) == Some(b'#') {
                self.skip_to_line_end();
            }
            if self.line_end(0) == 0 {
                return;
            }
            self.skip_line_end();
            if self.flow_level == 0 {
                self.simple_key_allowed = true;
            }
        }
    }

    /// A document begins or ends.
    fn document(&mut self) {
        self.indents.clear();
        self.simple_key = None;
        self.simple_key_allowed = false;
    }

    fn save_simple_key(&mut self) {
        if self.flow_level == 0 && self.simple_key_allowed {
            self.simple_key =
                Some(Mark { index: self.index, line: self.line, column: self.column, lacks_value: self.lacks_value });
        }
    }

    fn forget_simple_key(&mut self) {
        if self.flow_level == 0 {
            self.simple_key = None;
        }
    }

    /// Closes the block collections that are indented more than `column`.
    fn unroll(&mut self, column: usize) {
        if self.flow_level == 0 {
            while self.indents.last().is_some_and(|indent| *indent > column) {
                self.indents.pop();
            }
        }
    }

    /// Opens a block collection, unless one is open at `column`.
    fn roll(&mut self, column: usize) {
        if self.flow_level == 0 && self.indents.last().is_none_or(|indent| *indent < column) {
            self.nodes += 2;
            self.indents.push(column);
        }
    }

    /// The column from which on a line belongs to the open collection.
    fn inner(&self) -> usize {
        self.indents.last().map_or(0, |indent| indent + 1)
    }

    fn value(&mut self) {
        if self.flow_level > 0 {
            self.simple_key_allowed = false;
            return;
        }
        let fresh = |key: &Mark| key.line == self.line && key.index + SIMPLE_KEY_MAX >= self.index;
        match self.simple_key.take().filter(fresh) {
            Some(key) => {
                if self.indents.last() == Some(&key.column) {
                    self.nodes += usize::from(key.lacks_value);
                }
                self.roll(key.column);
                self.simple_key_allowed = false;
            }
            None => {
                self.roll(self.column);
                self.simple_key_allowed = true;
            }
        }
    }

    fn tag(&mut self) {
        self.skip(1);
        if self.peek(0) == Some(b'<') {
            while !self.is_blank_or_end(0) && self.peek(0) != Some(b'>') {
                self.skip(1);
            }
            return self.skip(usize::from(self.peek(0) == Some(b'>')));
        }
        while !self.is_blank_or_end(0) && !matches!(self.peek(0), Some(b',' | b'[' | b']' | b'{' | b'}')) {
            self.skip(1);
        }
    }
}
