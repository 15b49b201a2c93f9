//! A form body as parameters that cannot be ambiguous.
//!
//! Invariant: each name stands once, names and values are UTF-8 without NUL, and a parameter without a value is as
//! good as absent (RFC 6749 sections 3.1 and 3.2, appendix B).

use percent_encoding::percent_decode;

use super::error::{OAuthError, invalid_request};

/// The largest form that is read, in bytes.
pub const MAX_FORM_LENGTH: usize = 64 * 1024;

/// The most parameters that a form may have.
pub const MAX_PARAMETERS: usize = 64;

/// The parameters of a request.
#[derive(Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded` bytes.
    ///
    /// # Errors
    /// `invalid_request` when a name is repeated, something is not UTF-8, or there are more than
    /// [`MAX_PARAMETERS`].
    pub fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(invalid_request(format!("parameter {name} is repeated")));
            }
            if parameters.len() == MAX_PARAMETERS {
                return Err(invalid_request("there are too many parameters"));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter, if it was sent with one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|v| !v.is_empty())
    }

    /// Every parameter in its order, those without a value too.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether the parameter stands in the form, with a value or without.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

/// Only the names: values may be secrets.
impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

fn decode(part: &[u8]) -> Result<String, OAuthError> {
    form_decode(part).ok_or_else(|| invalid_request("a parameter is not in UTF-8"))
}

/// Decodes one name or value: `+` is a blank, `%XX` a byte. `None` when the bytes are not UTF-8 or hold a NUL.
#[must_use]
pub fn form_decode(part: &[u8]) -> Option<String> {
    // Most parts are what they say.
    if !part.iter().fold(false, |any, byte| any | matches!(byte, b'+' | b'%' | 0)) {
        return std::str::from_utf8(part).ok().map(str::to_owned);
    }
    let blanks: Vec<u8> = part.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let bytes: Vec<u8> = percent_decode(&blanks).collect();
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_once() {
        let form = Form::parse(b"scope=a+b%20c&empty=&flag&x=%252f&n%61me=v&a=b=c").unwrap();
        assert_eq!(form.get("scope"), Some("a b c"));
        assert_eq!((form.get("empty"), form.get("flag"), form.has("flag")), (None, None, true));
        assert_eq!(form.get("x"), Some("%2f"));
        assert_eq!((form.get("name"), form.get("a")), (Some("v"), Some("b=c")));
        assert!(Form::parse(b"").unwrap().get("scope").is_none());
    }

    #[test]
    fn ambiguous_forms_are_refused() {
        for bad in ["a=1&a=2", "a=1&a=1", "a&a=1", "a=1&%61=2", "a=%ff", "a=%00", "%80=1"] {
            assert!(Form::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let many = (0..65).map(|i| format!("p{i}=1")).collect::<Vec<_>>().join("&");
        assert!(Form::parse(many.as_bytes()).is_err());
    }

    #[test]
    fn debug_shows_no_values() {
        let form = Form::parse(b"client_secret=hunter2").unwrap();
        assert_eq!(format!("{form:?}"), r#"{"client_secret"}"#);
    }
}
