//! Decodes a message with hickory-proto, once its length is checked against its counts. Pure.

use trust_dns_proto::op::Message;

/// The octets of the header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;
/// The fewest octets of a question: the root, type and class.
const QUESTION_MIN: usize = 5;
/// The fewest octets of a record: the root, type, class, TTL and the length of its data.
const RECORD_MIN: usize = 11;

/// Decodes a message.
///
/// # Errors
/// The decoder's words, or that the header counts more than the message has room for. The decoder reserves memory for as many records as the
/// header counts: megabytes for a message of twenty octets.
pub(super) fn message(octets: &[u8]) -> Result<Message, String> {
    match has_room(octets) {
        true => Message::from_vec(octets).map_err(|e| e.to_string()),
        false => Err("its header counts more records than it has room for".to_owned()),
    }
}

/// Tells whether the octets have room for the questions and records that their header counts. A part of a header counts nothing.
fn has_room(octets: &[u8]) -> bool {
    let counts = octets.get(4..HEADER).unwrap_or_default().chunks_exact(2);
    let least = [QUESTION_MIN, RECORD_MIN, RECORD_MIN, RECORD_MIN];
    let needed = counts.zip(least).map(|(count, least)| {
        let count = count.first_chunk().map_or(0, |octets| u16::from_be_bytes(*octets));
        usize::from(count).saturating_mul(least)
    });
    needed.fold(HEADER, usize::saturating_add) <= octets.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by fuzzing: the decoder reserved 2.6 MB for the first of these.
    #[test]
    fn a_header_that_counts_more_than_fits_is_refused_before_memory_is_taken() {
        for octets in [&b"a.test x.a.test \x01\x01\x01\0\x03"[..], b"a.\x80\0\xff\xff\xff\xff\xff\xff\xff\xff"] {
            let refused = message(octets).unwrap_err();
            assert_eq!(refused, "its header counts more records than it has room for");
        }
        assert!(message(b"a.").is_err() && message(&[0; HEADER]).is_ok());
    }

    #[test]
    fn the_least_message_of_each_kind_has_room() {
        let of = |counts: [u8; 4], length: usize| {
            let header = counts.iter().flat_map(|count| [0, *count]);
            [0; 4].into_iter().chain(header).chain([0; 100]).take(length).collect::<Vec<u8>>()
        };
        for (counts, length) in
            [([0, 0, 0, 0], 12), ([1, 0, 0, 0], 17), ([0, 1, 0, 0], 23), ([0, 0, 1, 0], 23), ([1, 1, 1, 1], 50)]
        {
            assert!(has_room(&of(counts, length)) && !has_room(&of(counts, length - 1)), "{counts:?}");
        }
    }
}
