//! Until when a certificate is valid, read out of its DER: that one field, so that somebody can be told in time.
//!
//! Invariant: nothing is decided by it; what is not understood is not known.
//!
//! RFC 5280 sections 4.1 and 4.1.2.5.

use crate::base::time::Timestamp;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `notAfter` of a certificate.
#[must_use]
pub(super) fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (signed, _) = inside(certificate, SEQUENCE)?;
    let (fields, _) = inside(signed, SEQUENCE)?;
    let fields = inside(fields, VERSION).map_or(fields, |(_, rest)| rest);
    let (_, fields) = inside(fields, INTEGER)?;
    let (_, fields) = inside(fields, SEQUENCE)?;
    let (_, fields) = inside(fields, SEQUENCE)?;
    let (validity, _) = inside(fields, SEQUENCE)?;
    let (_, _, after) = element(validity)?;
    match element(after)? {
        (UTC_TIME, text, _) => {
            let text = std::str::from_utf8(text).ok()?;
            let year: u8 = text.get(..2)?.parse().ok()?;
            // Section 4.1.2.5.1: 50 and more is of the twentieth century.
            let century = if year >= 50 { "19" } else { "20" };
            moment(&format!("{century}{text}"))
        }
        (GENERALIZED_TIME, text, _) => moment(std::str::from_utf8(text).ok()?),
        _ => None,
    }
}

/// `YYYYMMDDHHMMSSZ`
fn moment(text: &str) -> Option<Timestamp> {
    let part = |from: usize, to: usize| text.get(from..to);
    let (date, time) =
        ((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(8, 10)?, part(10, 12)?, part(12, 14)?));
    if text.get(14..) != Some("Z") {
        return None;
    }
    let text = format!("{}-{}-{}T{}:{}:{}Z", date.0, date.1, date.2, time.0, time.1, time.2);
    Timestamp::parse_rfc3339(&text)
}

/// The content of the element in front, if it is of this kind, and what comes after it.
fn inside(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == kind).then_some((content, rest))
}

/// The element in front: kind, content, and what comes after it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, bytes) = bytes.split_first()?;
    let (first, mut bytes) = bytes.split_first()?;
    let mut length = usize::from(*first);
    if length >= 0x80 {
        let (digits, rest) = bytes.split_at_checked(length - 0x80).filter(|(digits, _)| digits.len() <= 4)?;
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        bytes = rest;
    }
    let (content, rest) = bytes.split_at_checked(length)?;
    Some((*kind, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(year: i32) -> Vec<u8> {
        let mut parameters = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(year, 12, 24);
        let key = rcgen::KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_is_read_in_both_of_its_forms() {
        for year in [2030, 2049, 2050, 2999] {
            let end = not_after(&certificate(year)).unwrap();
            assert_eq!(end, Timestamp::parse_rfc3339(&format!("{year}-12-24T00:00:00Z")).unwrap());
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let whole = certificate(2030);
        for end in 0..whole.len().min(120) {
            assert_eq!(not_after(&whole[..end]), None);
        }
        for bad in [
            &b""[..],
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x89\x01\x01\x01\x01\x01\x01\x01\x01\x01",
            &[0x30; 64],
        ] {
            assert_eq!(not_after(bad), None);
        }
    }
}
