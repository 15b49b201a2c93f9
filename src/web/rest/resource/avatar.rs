//! `avatar/{id}`: a picture for everybody.
//!
//! Invariant: a picture is drawn from a digest, so that nothing in it runs, and it does not tell whether there is such a user.

use std::fmt::Write as _;

use http::Method;

use crate::{
    crypto::digest::TokenDigest,
    web::rest::operation::{Answer, Answering, Ask, Gives, Need, Operation, Takes},
};

pub(in crate::web::rest) static OPERATIONS: &[Operation] = &[Operation {
    method: Method::GET,
    path: "avatar/{id}",
    summary: "The picture of a user, as SVG",
    // Pages show it by its address, without a token.
    need: Need::Nothing,
    takes: Takes::Nothing,
    gives: Gives::Picture,
    parameters: &[],
    handler: answer,
}];

fn answer<'a>(ask: &'a Ask<'a>) -> Answering<'a> {
    Box::pin(async move { Ok(Answer::Picture(draw(ask.id(0)))) })
}

/// Squares, the right half a mirror of the left, in a colour; all of it decided by the id.
fn draw(id: &str) -> String {
    let digest = TokenDigest::of(id.as_bytes());
    let (mut squares, mut bytes) = (String::new(), digest.as_bytes().iter());
    let hue = bytes.next().map_or(0, |byte| u32::from(*byte) * 360 / 256);
    let places = (0..3_u8).flat_map(|column| (0..5_u8).map(move |row| (column, row)));
    for ((column, row), _) in places.zip(bytes).filter(|(_, byte)| **byte >= 128) {
        for x in [column, 4 - column].into_iter().take(if column == 2 { 1 } else { 2 }) {
            let _ = write!(squares, "<path d=\"M{} {}h10v10h-10z\"/>", 7 + 10 * x, 7 + 10 * row);
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"64\" height=\"64\" viewBox=\"0 0 64 64\">\
         <path fill=\"hsl({hue},35%,90%)\" d=\"M0 0h64v64H0z\"/><g fill=\"hsl({hue},45%,42%)\">{squares}</g></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_made_of_numbers() {
        assert_eq!(draw("jane"), draw("jane"));
        assert_ne!(draw("jane"), draw("joe"));
        let hostile = draw("<script>\"'&");
        assert!(
            !hostile.contains("script") && hostile.starts_with("<svg ") && hostile.ends_with("</g></svg>")
        );
    }
}
