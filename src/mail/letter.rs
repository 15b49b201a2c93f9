//! What the gateway writes to people.
//!
//! Invariant: a letter says nothing that somebody else has chosen but the login, and every address in it is built from
//! `public_url` by whoever hands it over.

use std::fmt;

use crate::texts::Language;

/// What a letter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A link to choose another password.
    Restore,
    /// A link to choose the first password.
    Invitation,
    /// A link to confirm an address.
    Address,
    /// That the password was changed.
    PasswordChanged,
    /// That another address stands in place of this one.
    AddressChanged,
}

impl Subject {
    /// The label of `hubgate_mails_total`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Invitation => "invitation",
            Self::Address => "address",
            Self::PasswordChanged => "password_changed",
            Self::AddressChanged => "address_changed",
        }
    }
}

/// A letter.
#[derive(Clone)]
pub struct Letter {
    /// What about.
    pub subject: Subject,
    /// To which address.
    pub to: String,
    /// In which language.
    pub language: Language,
    /// The login of who gets it.
    pub login: String,
    /// The address of a page of ours, absolute.
    pub link: String,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl Letter {
    /// The host of the gateway, as people see it.
    fn host(&self) -> &str {
        let rest = self.link.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }

    /// The line above it.
    pub(super) fn title(&self) -> String {
        let (t, host) = (self.language, self.host());
        match self.subject {
            Subject::Restore => t.letter_restore_title(host),
            Subject::Invitation => t.letter_invitation_title(host),
            Subject::Address => t.letter_address_title(host),
            Subject::PasswordChanged => t.letter_password_changed_title(host),
            Subject::AddressChanged => t.letter_address_changed_title(host),
        }
    }

    /// Its text.
    pub(super) fn text(&self) -> String {
        let (t, host, login, link) = (self.language, self.host(), &self.login, &self.link);
        match self.subject {
            Subject::Restore => t.letter_restore(login, host, link),
            Subject::Invitation => t.letter_invitation(login, host, link),
            Subject::Address => t.letter_address(login, host, link),
            Subject::PasswordChanged => t.letter_password_changed(login, host, link),
            Subject::AddressChanged => t.letter_address_changed(login, host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_is_short_and_has_its_link_or_none() {
        for subject in [
            Subject::Restore,
            Subject::Invitation,
            Subject::Address,
            Subject::PasswordChanged,
            Subject::AddressChanged,
        ] {
            let mut titles = Vec::new();
            for language in [Language::En, Language::De] {
                let letter = Letter {
                    subject,
                    to: "a@b.example".into(),
                    language,
                    login: "jane".into(),
                    link: "https://gate.example:8443/hub/auth/link?token=hgl_x".into(),
                };
                let (title, text) = (letter.title(), letter.text());
                assert!(title.contains("gate.example:8443") && title.len() < 78, "{title}");
                assert!(text.contains("\"jane\"") && text.len() < 600, "{text}");
                let links: Vec<&str> = text.lines().filter(|line| line.contains("://")).collect();
                // Who was robbed of an address has no use for a link: it would be sent to the new one.
                let link = "https://gate.example:8443/hub/auth/link?token=hgl_x";
                let expected = if subject == Subject::AddressChanged { vec![] } else { vec![link] };
                assert_eq!(links, expected);
                assert!(!format!("{letter:?}").contains("hgl_"));
                titles.push(title);
            }
            assert_ne!(titles[0], titles[1]);
        }
    }
}
