//! The last filter: replaces known secret values in a text by their names. The rules that keep secrets out of sentences
//! come first; this filter catches mistakes, and a metric counts them.
//!
//! The table holds no value and no encoded form of one. A value is cut into blocks of `BLOCK` octets, one at every
//! `STRIDE` octets, and the table holds a hash of each. The text is decoded instead: one pass reads it as plain octets,
//! base64 (both alphabets, with or without line breaks), hex and decimal octets at the same time, and looks up each
//! block. Five encoded forms therefore cost no memory: a value takes about three octets for each of its own, and a
//! P-256 key in PEM about 2 KiB while in use. Any part of at least `BLOCK` + `STRIDE` - 1 = 16 octets holds a whole
//! block and is found.

mod pem;

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use pem::{decoded, encoded_part, is_escape, keys, secret_part, sextet};

use crate::base::limits::{KNOWN_BLOCKS_MAX, KNOWN_OCTETS_MAX};
use crate::base::metrics;

/// Octets of a block.
const BLOCK: usize = 12;

/// The distance between the beginnings of blocks.
const STRIDE: usize = 5;

/// The shortest value that is filtered. A shorter one would also match ordinary words.
const LEAST: usize = 8;

/// Values of at most this many octets are also known in base64, because a Secret's `data` encodes text that is base64
/// already.
const TWICE_MAX: usize = 128;

/// A value in the table; removed on drop.
#[derive(Debug)]
pub struct RegisteredSecret(Box<[u64]>);

impl Drop for RegisteredSecret {
    fn drop(&mut self) {
        let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
        table.forget(&self.0);
        FILLED.store(table.blocks.len(), Ordering::Relaxed);
    }
}

static TABLE: LazyLock<RwLock<Table>> = LazyLock::new(RwLock::default);

/// The number of blocks, so that a program without secrets takes no lock.
static FILLED: AtomicUsize = AtomicUsize::new(0);

/// Puts a value into the table under a printable name. Of a text with private keys in PEM only the keys are taken.
/// `None` where the value is too short or the table is full.
pub fn know(name: &'static str, value: &[u8]) -> Option<Arc<RegisteredSecret>> {
    match keys(value) {
        keys if keys.is_empty() && (LEAST..=TWICE_MAX).contains(&value.len()) => {
            let once = Zeroizing::new(STANDARD.encode(value));
            put(name, &[value, once.as_bytes()])
        }
        keys if keys.is_empty() => put(name, &[value]),
        _ => know_keys(name, value),
    }
}

/// Puts the private keys of a PEM text into the table. `None` where there are none: certificates are not secret.
pub fn know_keys(name: &'static str, value: &[u8]) -> Option<Arc<RegisteredSecret>> {
    let texts = keys(value);
    if texts.is_empty() {
        return None;
    }
    let ders: Vec<Zeroizing<Vec<u8>>> = texts.iter().map(|text| decoded(text)).collect();
    let parts = texts.iter().zip(&ders).flat_map(|(text, der)| {
        // The rest is the public key, which certificates and requests hold as well.
        let secret = secret_part(der);
        [encoded_part(text, &secret), &der[secret]]
    });
    put(name, &parts.collect::<Vec<_>>())
}

fn put(name: &'static str, parts: &[&[u8]]) -> Option<Arc<RegisteredSecret>> {
    // Hashing needs the table's keys only, which do not change.
    let keys = TABLE.read().unwrap_or_else(PoisonError::into_inner).keys;
    let blocks: Vec<Block> = parts.iter().flat_map(|part| blocks(part)).collect();
    let hashes: Vec<u64> = blocks.iter().map(|block| keys.hash(block)).collect();
    if hashes.is_empty() {
        return None;
    }
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    if !table.has_room_for(hashes.len()) {
        return None;
    }
    blocks.iter().for_each(|block| table.sizes[block.size] = true);
    table.add(name, &hashes);
    FILLED.store(table.blocks.len(), Ordering::Relaxed);
    Some(Arc::new(RegisteredSecret(hashes.into())))
}

/// The text with all known values replaced.
pub fn clean(text: &str) -> Cow<'_, str> {
    if FILLED.load(Ordering::Relaxed) == 0 {
        return Cow::Borrowed(text);
    }
    let found = TABLE.read().unwrap_or_else(PoisonError::into_inner).find(text);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    metrics::redacted(found.len() as u64);
    Cow::Owned(replaced(text, found))
}

/// Like [`clean`], for a peer's text that is kept and not printed: no metric counts it.
pub fn unsaid(text: &str) -> Cow<'_, str> {
    match TABLE.read().unwrap_or_else(PoisonError::into_inner).find(text) {
        found if found.is_empty() => Cow::Borrowed(text),
        found => Cow::Owned(replaced(text, found)),
    }
}

fn replaced(text: &str, found: Vec<(Range<usize>, &'static str)>) -> String {
    let (mut clean, mut end) = (String::with_capacity(text.len()), 0);
    for (part, name) in found {
        clean.push_str(&text[end..part.start]);
        clean.push_str(&format!("(secret: {name})"));
        end = part.end;
    }
    clean.push_str(&text[end..]);
    clean
}

/// Like [`clean`], for an owned text that most often needs no change.
pub fn cleaned(text: String) -> String {
    match clean(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(clean) => clean,
    }
}

/// Cleans every text and every name of a field in a JSON value, so that JSON escapes neither hide a value nor break.
pub fn clean_json(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(clean) = clean(text) {
                *text = clean;
            }
        }
        Value::Array(all) => all.iter_mut().for_each(clean_json),
        Value::Object(all) => {
            let renamed = |key: &String| if let Cow::Owned(new) = clean(key) { Some((key.clone(), new)) } else { None };
            for (key, new) in all.keys().filter_map(renamed).collect::<Vec<_>>() {
                let value = all.remove(&key).unwrap_or_default();
                all.insert(new, value);
            }
            all.values_mut().for_each(clean_json);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A block as a number: its octets, the first one highest, and how many they are.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Block {
    octets: u128,
    size: usize,
}

/// Random for each process, so that nobody can choose a value whose hash equals that of a common word.
#[derive(Clone, Copy)]
struct Keys([u64; 2]);

impl Keys {
    fn hash(self, block: &Block) -> u64 {
        let [high, low] = [block.octets >> 64, block.octets].map(|half| u64::try_from(half & u128::from(u64::MAX)));
        let (high, low) = (high.unwrap_or_default() ^ self.0[0], low.unwrap_or_default() ^ self.0[1]);
        let product = u128::from(high.rotate_left(7) ^ block.size as u64) * u128::from(low);
        let folded = (product >> 64) ^ product;
        u64::try_from(folded & u128::from(u64::MAX)).unwrap_or_default()
    }
}

/// The hashes of blocks, with the number of their users and the name of the value.
struct Table {
    keys: Keys,
    /// True if a block of this size was ever added. All but the largest size are rare, and a look-up costs the same for
    /// each.
    sizes: [bool; BLOCK + 1],
    blocks: HashMap<u64, (u32, &'static str), BuildHasherDefault<IdentityHasher>>,
}

impl Default for Table {
    fn default() -> Table {
        let random = RandomState::new();
        Table {
            keys: Keys([random.hash_one(0), random.hash_one(1)]),
            sizes: [false; BLOCK + 1],
            blocks: HashMap::default(),
        }
    }
}

/// The keys of the table are hashes already.
#[derive(Default)]
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Table {
    /// Tells whether so many hashes more stay within the bound, even if none of them is there yet.
    fn has_room_for(&self, hashes: usize) -> bool {
        self.blocks.len() + hashes <= KNOWN_BLOCKS_MAX
    }

    fn add(&mut self, name: &'static str, hashes: &[u64]) {
        for hash in hashes {
            self.blocks.entry(*hash).or_insert((0, name)).0 += 1;
        }
    }

    fn forget(&mut self, hashes: &[u64]) {
        for hash in hashes {
            if let Some((count, _)) = self.blocks.get_mut(hash) {
                *count -= 1;
                if *count == 0 {
                    self.blocks.remove(hash);
                }
            }
        }
        // A burst, such as a list of all Secrets, is no reason to keep its capacity.
        if self.blocks.capacity() > 4_096 && self.blocks.len() < self.blocks.capacity() / 8 {
            self.blocks.shrink_to(self.blocks.len() * 2);
        }
    }

    /// The places of known values in the text, in order and without overlap.
    fn find(&self, text: &str) -> Vec<(Range<usize>, &'static str)> {
        let mut found = Vec::new();
        let mut look = |block: Block, place: Range<usize>| {
            if let Some((_, name)) = self.blocks.get(&self.keys.hash(&block)) {
                found.push((place, *name));
            }
        };
        let octets = text.as_bytes();
        let (mut plain, mut base64) = (HashWindow::new(8), HashWindow::new(6));
        let (mut hex, mut decimal) = (HashWindow::new(4), HashWindow::new(8));
        let mut number: Option<(usize, u32)> = None;
        for (at, octet) in octets.iter().copied().enumerate() {
            plain.push(octet, at..at + 1);
            plain.look(&self.sizes, &[0], &mut look);
            match sextet(octet) {
                _ if is_escape(octets, at) => {}
                Some(sextet) => {
                    base64.push(sextet, at..at + 1);
                    base64.look(&self.sizes, &[0, 2, 4], &mut look);
                }
                None if octet.is_ascii_whitespace() || octet == b'\\' => {}
                None => base64.clear(),
            }
            match (octet, char::from(octet).to_digit(16).and_then(|nibble| u8::try_from(nibble).ok())) {
                (_, Some(nibble)) => {
                    hex.push(nibble, at..at + 1);
                    hex.look(&self.sizes, &[0], &mut look);
                }
                // `0x2d`
                (b'x', None) if at > 0 && octets[at - 1] == b'0' => hex.pop(),
                (b' ' | b':' | b',' | b'\\' | b'x' | b'\n', None) => {}
                (_, None) => hex.clear(),
            }
            match (octet, number) {
                (b'0'..=b'9', before) => {
                    let (start, value) = before.unwrap_or((at, 0));
                    let value = value.saturating_mul(10).saturating_add(u32::from(octet - b'0'));
                    number = Some((start, value));
                    if let (Ok(value), false) =
                        (u8::try_from(value), octets.get(at + 1).is_some_and(u8::is_ascii_digit))
                    {
                        decimal.push(value, start..at + 1);
                        decimal.look(&self.sizes, &[0], &mut look);
                    }
                }
                (b' ' | b',' | b'\n', Some((_, value))) if value > 255 => {
                    decimal.clear();
                    number = None;
                }
                (b' ' | b',' | b'\n', _) => number = None,
                (_, _) => {
                    decimal.clear();
                    number = None;
                }
            }
        }
        joined(text, found)
    }
}

/// The symbols read last, and their places.
struct HashWindow {
    /// Bits of a symbol.
    bits: usize,
    read: u128,
    count: usize,
    places: [(usize, usize); 32],
}

impl HashWindow {
    fn new(bits: usize) -> HashWindow {
        HashWindow { bits, read: 0, count: 0, places: [(0, 0); 32] }
    }

    fn push(&mut self, symbol: u8, place: Range<usize>) {
        self.read = (self.read << self.bits) | u128::from(symbol);
        self.places[self.count % 32] = (place.start, place.end);
        self.count += 1;
    }

    fn pop(&mut self) {
        self.read >>= self.bits;
        self.count = self.count.saturating_sub(1);
    }

    fn clear(&mut self) {
        self.count = 0;
    }

    /// Looks up the blocks that end at the last symbol, or up to some bits before its end.
    fn look(&self, sizes: &[bool], shifts: &[usize], look: &mut impl FnMut(Block, Range<usize>)) {
        for size in (LEAST..=BLOCK).filter(|size| sizes[*size]) {
            for shift in shifts {
                let symbols = (8 * size + shift).div_ceil(self.bits);
                if symbols > self.count {
                    return;
                }
                let octets = (self.read >> shift) & ((1 << (8 * size)) - 1);
                let (first, last) = (self.count - symbols, self.count - 1);
                look(Block { octets, size }, self.places[first % 32].0..self.places[last % 32].1);
            }
        }
    }
}

/// The blocks of a value; a value shorter than a block is one block.
fn blocks(value: &[u8]) -> Vec<Block> {
    let value = &value[..value.len().min(KNOWN_OCTETS_MAX)];
    let block = |octets: &[u8]| Block {
        octets: octets.iter().fold(0, |all, octet| (all << 8) | u128::from(*octet)),
        size: octets.len(),
    };
    match value.len() {
        0..LEAST => Vec::new(),
        LEAST..BLOCK => vec![block(value)],
        all => {
            let starts = (0..all - BLOCK).step_by(STRIDE).chain([all - BLOCK]);
            let parts = starts.map(|start| &value[start..start + BLOCK]);
            // A line of the same character is in many texts.
            parts.filter(|part| part.iter().any(|octet| octet != &part[0])).map(block).collect()
        }
    }
}

/// Merges ranges that touch. No range ends inside a character.
fn joined(text: &str, mut found: Vec<(Range<usize>, &'static str)>) -> Vec<(Range<usize>, &'static str)> {
    found.sort_by_key(|(range, _)| (range.start, range.end));
    let mut joined: Vec<(Range<usize>, &'static str)> = Vec::new();
    for (range, name) in found {
        let start = (0..=range.start).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let end = (range.end..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        match joined.last_mut() {
            Some((last, _)) if start <= last.end => last.end = last.end.max(end),
            _ => joined.push((start..end, name)),
        }
    }
    joined
}

#[cfg(test)]
mod tests;
