//! What the gateway writes to people.
//!
//! Invariant: a letter says nothing that somebody else has chosen but the login, and every address in it is built from
//! `public_url` by whoever hands it over.

use std::fmt;

use super::Language;

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
        let host = self.host();
        match (self.language, self.subject) {
            (Language::En, Subject::Restore) => format!("Choose a new password for {host}"),
            (Language::De, Subject::Restore) => format!("Neues Passwort für {host}"),
            (Language::En, Subject::Invitation) => format!("You are invited to {host}"),
            (Language::De, Subject::Invitation) => format!("Einladung zu {host}"),
            (Language::En, Subject::Address) => format!("Confirm your e-mail address for {host}"),
            (Language::De, Subject::Address) => format!("E-Mail-Adresse für {host} bestätigen"),
            (Language::En, Subject::PasswordChanged) => format!("Your password for {host} was changed"),
            (Language::De, Subject::PasswordChanged) => format!("Ihr Passwort für {host} wurde geändert"),
            (Language::En, Subject::AddressChanged) => format!("Your e-mail address at {host} was changed"),
            (Language::De, Subject::AddressChanged) => {
                format!("Ihre E-Mail-Adresse bei {host} wurde geändert")
            }
        }
    }

    /// Its text.
    pub(super) fn text(&self) -> String {
        let (host, login, link) = (self.host(), &self.login, &self.link);
        match (self.language, self.subject) {
            (Language::En, Subject::Restore) => format!(
                "Somebody asked for a new password for your account \"{login}\" at {host}.\n\n\
                 If it was you, choose one here. The link is good for one hour, and once:\n\n{link}\n\n\
                 If it was not you, there is nothing to do: your password stays as it is.\n"
            ),
            (Language::De, Subject::Restore) => format!(
                "Für Ihr Konto \"{login}\" bei {host} wurde ein neues Passwort angefordert.\n\n\
                 Wenn Sie das waren, wählen Sie es hier. Der Link gilt eine Stunde lang und ein Mal:\n\n{link}\n\n\
                 Wenn Sie das nicht waren, müssen Sie nichts tun: Ihr Passwort bleibt, wie es ist.\n"
            ),
            (Language::En, Subject::Invitation) => format!(
                "There is an account for you at {host}. Your login is \"{login}\".\n\n\
                 Choose your password here. The link is good for seven days, and once:\n\n{link}\n"
            ),
            (Language::De, Subject::Invitation) => format!(
                "Bei {host} gibt es ein Konto für Sie. Ihr Login ist \"{login}\".\n\n\
                 Wählen Sie hier Ihr Passwort. Der Link gilt sieben Tage lang und ein Mal:\n\n{link}\n"
            ),
            (Language::En, Subject::Address) => format!(
                "This address was given for the account \"{login}\" at {host}.\n\n\
                 If it is your account, confirm the address here. The link is good for one day:\n\n{link}\n\n\
                 If it is not, there is nothing to do.\n"
            ),
            (Language::De, Subject::Address) => format!(
                "Diese Adresse wurde für das Konto \"{login}\" bei {host} angegeben.\n\n\
                 Wenn es Ihr Konto ist, bestätigen Sie die Adresse hier. Der Link gilt einen Tag lang:\n\n{link}\n\n\
                 Wenn nicht, müssen Sie nichts tun.\n"
            ),
            (Language::En, Subject::PasswordChanged) => format!(
                "The password of your account \"{login}\" at {host} was changed, and all sessions were ended.\n\n\
                 If it was not you, tell your administrator at once, and choose another password here:\n\n{link}\n"
            ),
            (Language::De, Subject::PasswordChanged) => format!(
                "Das Passwort Ihres Kontos \"{login}\" bei {host} wurde geändert, und alle Sitzungen wurden beendet.\n\n\
                 Wenn Sie das nicht waren, sagen Sie es sofort Ihrem Administrator und wählen Sie hier ein anderes:\n\n{link}\n"
            ),
            (Language::En, Subject::AddressChanged) => format!(
                "The account \"{login}\" at {host} has another e-mail address now, or none. This one is used no more.\n\n\
                 If it was not you, choose another password here, and tell your administrator:\n\n{link}\n"
            ),
            (Language::De, Subject::AddressChanged) => format!(
                "Das Konto \"{login}\" bei {host} hat jetzt eine andere oder keine E-Mail-Adresse. Diese wird nicht mehr benutzt.\n\n\
                 Wenn Sie das nicht waren, wählen Sie ein anderes Passwort und sagen Sie es Ihrem Administrator:\n\n{link}\n"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_is_short_and_has_its_link() {
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
                assert_eq!(links, ["https://gate.example:8443/hub/auth/link?token=hgl_x"]);
                assert!(!format!("{letter:?}").contains("hgl_"));
                titles.push(title);
            }
            assert_ne!(titles[0], titles[1]);
        }
    }
}
