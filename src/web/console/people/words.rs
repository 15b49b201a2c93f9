//! Why a verb was not carried out, in the words of a page: at a field where it is one's fault, else above the page.

use crate::{
    model::naming::Refusal,
    registry::users::PeopleError,
    store::{Rule, StoreError},
    texts::Language,
    web::console::form::Mistakes,
};

/// What is wrong: at fields, or as a whole.
#[derive(Debug, Default)]
pub(super) struct Wrong {
    pub(super) mistakes: Mistakes,
    pub(super) alarm: Option<String>,
}

impl Wrong {
    /// Something is wrong with a field.
    pub(super) fn field(name: &'static str, text: impl Into<String>) -> Self {
        let mut wrong = Self::default();
        wrong.mistakes.add(name, text);
        wrong
    }

    /// Something is wrong as a whole.
    pub(super) fn whole(text: impl Into<String>) -> Self {
        Self { alarm: Some(text.into()), ..Self::default() }
    }

    /// Whether nothing is.
    pub(super) fn is_nothing(&self) -> bool {
        self.mistakes.is_empty() && self.alarm.is_none()
    }
}

/// What a person can do about it; the store's error where that is nothing.
pub(super) fn wrong(t: Language, error: PeopleError) -> Result<Wrong, StoreError> {
    Ok(match error {
        PeopleError::Refused { what, why } => Wrong::field(field(what), refusal(t, why)),
        PeopleError::Reserved(_) => Wrong::field("login", t.is_taken()),
        PeopleError::Declared(login) => Wrong::whole(t.declared_elsewhere(login)),
        PeopleError::DeclaredMember { login, group } => Wrong::whole(t.declared_member(login, group)),
        PeopleError::LastAdministrator(login) => Wrong::whole(t.last_administrator(login)),
        PeopleError::Guest => Wrong::whole(t.not_the_guest()),
        PeopleError::Erased(_) => Wrong::whole(t.is_erased()),
        PeopleError::Declaration { error, .. } => return wrong(t, *error),
        PeopleError::Hash(_) => Wrong::whole(t.too_busy()),
        PeopleError::Store(StoreError::Conflict { what: "group", .. }) => {
            Wrong::field("name", t.group_name_taken())
        }
        PeopleError::Store(StoreError::Conflict { field, .. }) => {
            Wrong::field(if field == "email" { "email" } else { "login" }, t.is_taken())
        }
        PeopleError::Store(StoreError::NotFound { what: "group" }) => {
            Wrong::field("group", t.group_unknown())
        }
        PeopleError::Store(StoreError::Against(rule)) => against(t, rule),
        PeopleError::Store(error) => return Err(error),
    })
}

fn against(t: Language, rule: Rule) -> Wrong {
    match rule {
        Rule::LastAdministrator => Wrong::whole(t.last_administrator("-")),
        Rule::Cycle => Wrong::field("parent", t.group_cycle()),
        Rule::Nesting => Wrong::field("parent", t.group_too_deep()),
        Rule::AllUsers => Wrong::whole(t.not_everybody()),
        Rule::Itself => Wrong::whole(t.with_itself()),
        Rule::Guest => Wrong::whole(t.not_the_guest()),
        Rule::Filter(error) => Wrong::whole(t.search_wrong(error)),
    }
}

/// The field of a form that the registry means.
fn field(what: &str) -> &'static str {
    match what {
        "login" => "login",
        "address" => "email",
        "language" => "locale",
        "reason" => "reason",
        "badge" => "badge",
        "description" => "description",
        _ => "name",
    }
}

/// Why a text cannot be used.
fn refusal(t: Language, why: Refusal) -> String {
    let known = match why {
        "is empty" => t.is_empty(),
        "is the guest's" => t.is_guests(),
        "begins or ends with white space" => t.has_blanks(),
        "has more than 100 characters" => t.longer_than_100(),
        "has more than 1000 characters" => t.longer_than_1000(),
        "has a control character" => t.has_control(),
        "has an invisible character" => t.has_invisible(),
        "has a character that turns the direction of text" => t.has_turning(),
        "has a character that is written in a plainer way too" => t.has_fancy(),
        "has a comma, which separates groups" => t.has_comma(),
        "is no e-mail address" => t.no_address(),
        "is too long for an e-mail address" => t.address_too_long(),
        "is no language, as en_US is" => t.no_language(),
        other => return t.refused_as(other),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::naming;

    /// A refusal that is not known here would stand on a German page in English.
    #[test]
    fn every_refusal_of_a_name_has_its_words() {
        let long = "x".repeat(2000);
        let refused = [
            naming::login("guest"),
            naming::login(""),
            naming::name(" x"),
            naming::name(&long),
            naming::name("a\u{7}b"),
            naming::login("a\u{200b}b"),
            naming::login("\u{fb01}"),
            naming::name("a\u{202e}b"),
            naming::group("a,b"),
            naming::email("a"),
            naming::email(&long),
            naming::email(&format!("{long}@a")),
            naming::description(&long),
            naming::description("\u{7}"),
            naming::badge(&long),
            naming::badge("\u{7}"),
            naming::locale("x"),
        ];
        for refused in refused {
            let why = refused.unwrap_err();
            assert_ne!(refusal(Language::De, why), Language::De.refused_as(why), "{why}");
        }
    }
}
