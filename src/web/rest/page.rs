//! Paging and order: `$skip`, `$top`, `orderBy` (hub-contract sections 9.3, 9.4).
//!
//! Invariant: no answer holds more objects than [`MOST`], whatever is asked for.

use serde_json::{Value, json};

use super::{error::RestError, fields::Fields};
use crate::oauth::form::Form;

/// Objects on a page that names no number.
const USUAL: u64 = 100;

/// The most objects on a page. `$top=-1`, all, is refused where there are more.
pub(super) const MOST: u64 = 10_000;

/// The furthest that anything is skipped.
const FURTHEST: u64 = 100_000_000;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// How many are passed over.
    pub(super) skip: u64,
    /// How many are wanted at most; `None`: all.
    top: Option<u64>,
}

impl Page {
    /// Reads the parameters.
    pub(super) fn read(query: &Form) -> Result<Self, RestError> {
        let skip = number(query, "$skip", 0, FURTHEST)?.unwrap_or(0);
        let top = match query.get("$top") {
            Some("-1") => None,
            _ => Some(number(query, "$top", 0, MOST)?.unwrap_or(USUAL)),
        };
        Ok(Self { skip, top })
    }

    /// How many are to be read.
    pub(super) fn limit(self) -> u64 {
        self.top.unwrap_or(MOST)
    }

    /// The page of a list that is in memory.
    pub(super) fn cut<T>(self, list: Vec<T>) -> Vec<T> {
        let (skip, limit) = (usize::try_from(self.skip), usize::try_from(self.limit()));
        list.into_iter().skip(skip.unwrap_or(usize::MAX)).take(limit.unwrap_or(usize::MAX)).collect()
    }

    /// The envelope. `key` is the collection's name.
    pub(super) fn envelope(self, key: &str, total: u64, objects: Value) -> Result<Value, RestError> {
        if self.top.is_none() && total > self.skip.saturating_add(MOST) {
            return Err(RestError::bad_parameter(
                "$top",
                format!(
                    "is -1 for {total} objects, of which a page holds {MOST} at most: read them in parts"
                ),
            ));
        }
        let top = self.top.map_or_else(|| json!(-1), Value::from);
        let mut envelope = json!({"type": page_type(key), "skip": self.skip, "top": top, "total": total});
        if let Some(members) = envelope.as_object_mut() {
            members.insert(key.to_owned(), objects);
        }
        Ok(envelope)
    }
}

/// `type` of an envelope: `ServicesPage`.
pub(super) fn page_type(key: &str) -> String {
    let mut letters = key.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    format!("{}{}Page", first.map(String::from).unwrap_or_default(), letters.as_str())
}

fn number(query: &Form, name: &'static str, least: u64, most: u64) -> Result<Option<u64>, RestError> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let digits = text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u64>() {
        Ok(number) if digits && (least..=most).contains(&number) => Ok(Some(number)),
        _ => Err(RestError::bad_parameter(name, format!("is no number from {least} to {most}"))),
    }
}

/// What of a list's objects is wanted: by themselves, or below the list's own name.
pub(super) fn of_items<'f>(fields: &'f Fields, key: &str) -> &'f Fields {
    fields.of(key).unwrap_or(fields)
}

/// One criterion of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order<'q> {
    /// By which field, as it was written.
    pub(super) field: &'q str,
    /// The other way round.
    pub(super) descending: bool,
}

/// Criteria that are read at most.
const CRITERIA: usize = 8;

/// Reads `orderBy=name:asc,login:desc`.
pub(super) fn order(query: &Form) -> Result<Vec<Order<'_>>, RestError> {
    let Some(text) = query.get("orderBy") else { return Ok(Vec::new()) };
    let criteria = text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| {
        let (field, way) = part.split_once(':').unwrap_or((part, "asc"));
        let descending = match way.trim() {
            way if way.eq_ignore_ascii_case("asc") => false,
            way if way.eq_ignore_ascii_case("desc") => true,
            _ => return Err(RestError::bad_parameter("orderBy", "is of the form field:asc or field:desc")),
        };
        Ok(Order { field: field.trim(), descending })
    });
    let criteria = criteria.collect::<Result<Vec<_>, _>>()?;
    if criteria.len() > CRITERIA {
        return Err(RestError::bad_parameter("orderBy", format!("has more than {CRITERIA} criteria")));
    }
    Ok(criteria)
}

/// The refusal for a field by which a list is not ordered.
pub(super) fn cannot_sort(field: &str) -> RestError {
    RestError::bad_parameter_plainly("orderBy", format!("Can't sort by [{field}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn pages_are_read_within_bounds() {
        for (text, skip, limit) in [
            ("", 0, 100),
            ("$skip=5&$top=7", 5, 7),
            ("%24skip=5&%24top=-1", 5, MOST),
            ("$top=0", 0, 0),
            ("$top=10000", 0, 10_000),
        ] {
            let page = Page::read(&form(text)).unwrap();
            assert_eq!((page.skip, page.limit()), (skip, limit), "{text}");
        }
        for bad in [
            "$top=-2",
            "$top=10001",
            "$top=1000000000",
            "$skip=-1",
            "$skip=1000000000",
            "$top=1.0",
            "$top=0x10",
            "$top=%2B1",
            "$top=1;drop table users",
            "$skip=99999999999999999999999",
        ] {
            assert!(Page::read(&form(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_envelope_says_what_it_holds() {
        let page = Page::read(&form("$skip=1&$top=2")).unwrap();
        let cut = page.cut(vec![1, 2, 3, 4]);
        assert_eq!(cut, [2, 3]);
        let envelope = page.envelope("services", 4, json!([2, 3])).unwrap();
        assert_eq!(
            envelope,
            json!({"type": "ServicesPage", "skip": 1, "top": 2, "total": 4, "services": [2, 3]})
        );
        let all = Page::read(&form("$top=-1")).unwrap();
        assert_eq!(all.envelope("users", 1, json!([1])).unwrap()["top"], json!(-1));
        assert!(all.envelope("users", MOST + 1, json!([])).is_err(), "all is all or nothing");
        assert!(page.envelope("users", MOST + 9, json!([])).is_ok());
    }

    #[test]
    fn orders_are_read() {
        let text = form("orderBy=name%3AASC%2C login:desc,,id");
        let read: Vec<_> = order(&text).unwrap().into_iter().map(|o| (o.field, o.descending)).collect();
        assert_eq!(read, [("name", false), ("login", true), ("id", false)]);
        assert!(order(&form("orderBy=name:up")).is_err());
        assert!(order(&form("orderBy=a,a,a,a,a,a,a,a,a")).is_err());
        assert!(order(&form("")).unwrap().is_empty());
        assert_eq!(
            of_items(&Fields::parse("total,users(id)").unwrap(), "users"),
            &Fields::parse("id").unwrap()
        );
        assert_eq!(of_items(&Fields::parse("id").unwrap(), "users"), &Fields::parse("id").unwrap());
    }
}
