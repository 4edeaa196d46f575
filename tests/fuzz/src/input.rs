//! Cuts the octets that libFuzzer gives into numbers, choices and the rest.

/// The octets not used yet. Numbers come from the end, so that the text in front stays in place when one is added.
#[derive(Clone, Copy, Debug)]
pub struct Input<'d>(&'d [u8]);

impl<'d> Input<'d> {
    /// All octets.
    pub fn new(data: &'d [u8]) -> Input<'d> {
        Input(data)
    }

    /// The last octet; 0 when there is none.
    pub fn octet(&mut self) -> u8 {
        let Some((last, rest)) = self.0.split_last() else { return 0 };
        self.0 = rest;
        *last
    }

    /// A number of two octets.
    pub fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.octet(), self.octet()])
    }

    /// One of several values.
    pub fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.octet()) % from.len()]
    }

    /// A number of octets from the end, as many as there are.
    pub fn take(&mut self, most: usize) -> &'d [u8] {
        let (rest, taken) = self.0.split_at(self.0.len() - most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// The octets in front.
    pub fn rest(self) -> &'d [u8] {
        self.0
    }

    /// Tells whether nothing is left.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// The text that the octets are, without what is no UTF-8.
pub fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// The text again and again, 1 to 128 times by `choice` and 32 KiB at most: what is slow for long texts of one kind shows.
pub fn repeated(text: &str, choice: u8) -> String {
    let most = 32 * 1024 / text.len().max(1);
    text.repeat((1 << (choice % 8)).min(most.max(1)))
}
