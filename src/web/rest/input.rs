//! Bodies: JSON objects, read field by field.
//!
//! A key that is missing or null leaves things as they are; an empty text or list clears (hub-contract section 9.1). Keys that
//! a kind does not have, or that are read only, are passed over, as clients send back what they have read.
//!
//! Invariant: a body is read only where it says that it is JSON, so that a form of another page is none.

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde_json::{Map, Value};

use super::error::RestError;

/// Entries of a list in a body.
const MOST: usize = 1000;

/// An object of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'b> {
    map: &'b Map<String, Value>,
}

/// Reads a body. Nothing at all stands for an object without keys.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, RestError> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let mut kinds = headers.get_all(CONTENT_TYPE).iter().map(HeaderValue::as_bytes);
    let (kind, None) = (kinds.next().unwrap_or_default(), kinds.next()) else {
        return Err(RestError::no_json());
    };
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let json = essence.eq_ignore_ascii_case(b"application/json")
        || essence.len() > 5 && essence.to_ascii_lowercase().ends_with(b"+json");
    if !json {
        return Err(RestError::no_json());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(RestError::bad_request("the body is no JSON object")),
        // serde_json says where, and quotes nothing.
        Err(error) => Err(RestError::bad_request(format!("the body is not JSON: {error}"))),
    }
}

impl<'b> Input<'b> {
    pub(super) const fn of(map: &'b Map<String, Value>) -> Self {
        Self { map }
    }

    /// The value, unless it is missing or null.
    pub(super) fn get(self, name: &str) -> Option<&'b Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A text.
    pub(super) fn text(self, name: &'static str) -> Result<Option<&'b str>, RestError> {
        let text =
            |value: &'b Value| value.as_str().ok_or_else(|| RestError::bad_field(name, "is no string"));
        let text = self.get(name).map(text).transpose()?;
        if text.is_some_and(|text| text.contains('\0')) {
            return Err(RestError::bad_field(name, "has a character that no text has"));
        }
        Ok(text)
    }

    /// A text that may be cleared: `Some(None)` when it is empty.
    #[expect(clippy::option_option, reason = "to leave alone, to clear and to set are three things")]
    pub(super) fn clearable(self, name: &'static str) -> Result<Option<Option<String>>, RestError> {
        Ok(self.text(name)?.map(|text| Some(text.to_owned()).filter(|text| !text.is_empty())))
    }

    /// A text that has to be there.
    pub(super) fn required(self, name: &'static str) -> Result<&'b str, RestError> {
        self.text(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| RestError::bad_field(name, "is missing"))
    }

    /// `true` or `false`.
    pub(super) fn flag(self, name: &'static str) -> Result<Option<bool>, RestError> {
        let flag = |value: &Value| value.as_bool().ok_or_else(|| RestError::bad_field(name, "is no boolean"));
        self.get(name).map(flag).transpose()
    }

    /// A whole number.
    pub(super) fn number(self, name: &'static str) -> Result<Option<i64>, RestError> {
        let number =
            |value: &Value| value.as_i64().ok_or_else(|| RestError::bad_field(name, "is no whole number"));
        self.get(name).map(number).transpose()
    }

    /// Texts.
    pub(super) fn texts(self, name: &'static str) -> Result<Option<Vec<String>>, RestError> {
        let text = |value: &Value| {
            value
                .as_str()
                .map(ToOwned::to_owned)
                .ok_or_else(|| RestError::bad_field(name, "has something that is no string"))
        };
        self.list(name)?.map(|list| list.iter().map(text).collect()).transpose()
    }

    /// Objects.
    pub(super) fn objects(self, name: &'static str) -> Result<Option<Vec<Self>>, RestError> {
        let object = |value: &'b Value| {
            value
                .as_object()
                .map(Self::of)
                .ok_or_else(|| RestError::bad_field(name, "has something that is no object"))
        };
        self.list(name)?.map(|list| list.iter().map(object).collect()).transpose()
    }

    /// An object.
    #[expect(dead_code, reason = "for bodies with objects in them")]
    pub(super) fn object(self, name: &'static str) -> Result<Option<Self>, RestError> {
        let object = |value: &'b Value| {
            value.as_object().map(Self::of).ok_or_else(|| RestError::bad_field(name, "is no object"))
        };
        self.get(name).map(object).transpose()
    }

    fn list(self, name: &'static str) -> Result<Option<&'b Vec<Value>>, RestError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let list = value.as_array().ok_or_else(|| RestError::bad_field(name, "is no list"))?;
        if list.len() > MOST {
            return Err(RestError::bad_field(name, format!("has more than {MOST} entries")));
        }
        Ok(Some(list))
    }
}
