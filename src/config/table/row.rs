//! One field of a mapping, and the values that it may have. Pure data.

use std::ops::RangeInclusive;

use super::forms::TextForm;

/// One field.
#[derive(Debug)]
pub struct FieldRow {
    /// The name.
    pub name: &'static str,
    /// The values that it may have.
    pub form: FieldForm,
    /// The need for the field. A field that each entry needs can not be a default.
    pub required: bool,
    /// The required field in whose place this one may stand.
    pub instead_of: Option<&'static str>,
    /// The meaning, for people.
    pub help: &'static str,
}

impl FieldRow {
    /// Tells whether each entry has its own value, so that there can be no default.
    pub fn is_own(&self) -> bool {
        self.required || self.instead_of.is_some()
    }
}

/// The fields of a mapping.
pub type FieldTable = &'static [FieldRow];

/// The values of a field.
#[derive(Debug)]
pub enum FieldForm {
    /// Text.
    Text(&'static TextForm),
    /// One of some words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A whole number of a unit.
    Number(RangeInclusive<u32>, &'static str),
    /// A list of texts.
    List(&'static TextForm, ItemCount),
    /// One text, or a list of texts.
    OneOrList(&'static TextForm, ItemCount),
    /// A mapping from names that the user chooses to texts.
    Texts {
        /// The names.
        key: &'static TextForm,
        /// The texts.
        value: &'static TextForm,
        /// The largest number of names.
        most: usize,
    },
    /// A mapping with fields of its own.
    Map(FieldTable),
    /// A list of such mappings.
    Maps(FieldTable, ItemCount),
    /// A mapping from names that the user chooses to mappings with fields.
    Named {
        /// The names.
        key: &'static TextForm,
        /// The fields.
        rows: FieldTable,
        /// The bounds of the mapping.
        count: ItemCount,
        /// Names that have what is required without being written.
        built_in: &'static [&'static str],
    },
    /// The fields of a mapping that are not required in it, as values for many such mappings.
    Defaults(FieldTable),
    /// A value that is read elsewhere.
    Any,
}

/// The bounds of a list.
#[derive(Debug)]
pub struct ItemCount {
    /// The smallest number of items.
    pub least: usize,
    /// The largest number of items.
    pub most: usize,
    /// The items, in the plural.
    pub what: &'static str,
    /// The end of the sentence about too many of them.
    pub cure: &'static str,
}

pub(super) const fn row(name: &'static str, form: FieldForm, help: &'static str) -> FieldRow {
    FieldRow { name, form, required: false, instead_of: None, help }
}

/// A field whose value is read elsewhere.
pub const fn unread(name: &'static str) -> FieldRow {
    row(name, FieldForm::Any, "")
}

pub(super) const fn required(name: &'static str, form: FieldForm, help: &'static str) -> FieldRow {
    FieldRow { name, form, required: true, instead_of: None, help }
}

pub(super) const fn count(least: usize, most: usize, what: &'static str, cure: &'static str) -> ItemCount {
    ItemCount { least, most, what, cure }
}
