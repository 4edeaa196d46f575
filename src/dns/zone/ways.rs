//! The ways in which a server is asked: as anybody, then as the holder of a key.

use std::cell::OnceCell;
use std::iter::{once, once_with};

use super::ZoneFinder;
use crate::base::name::ObjectRef;
use crate::dns::client::QueryMode;
use crate::dns::tsig_key::TsigKey;

/// The ways for one key, which is read when a server answers only to its holder, and once: most answer to anybody.
pub(super) struct Ways<'a> {
    finder: &'a ZoneFinder<'a>,
    key: Option<&'a ObjectRef>,
    read: OnceCell<Option<TsigKey>>,
}

impl<'a> Ways<'a> {
    pub(super) fn new(finder: &'a ZoneFinder<'a>, key: Option<&'a ObjectRef>) -> Ways<'a> {
        Ways { finder, key, read: OnceCell::new() }
    }

    /// The ways, the better known one first.
    pub(super) fn all(&self) -> impl Iterator<Item = QueryMode<'_>> {
        once(QueryMode::Plain).chain(once_with(|| self.signed()).flatten())
    }

    /// As the holder of the key, where it can be read.
    pub(super) fn signed(&self) -> Option<QueryMode<'_>> {
        Some(QueryMode::Signed(self.read.get_or_init(|| (self.finder.first_key)(self.key?)).as_ref()?))
    }
}
