//! What the page says of a cause that is finer than a code. The English words are those of the cause itself (`oauth::cause`), which the
//! command line shows too.

use super::Language;
use crate::oauth::cause::Cause;

impl Language {
    /// A short title, for legends and lists.
    #[must_use]
    pub const fn cause_title(self, cause: Cause) -> &'static str {
        match (self, cause) {
            (_, Cause::Code(code)) => self.error_title(code),
            (Self::En, _) => english(cause),
            (Self::De, _) => german(cause).0,
        }
    }

    /// What happened.
    #[must_use]
    pub const fn cause_happened(self, cause: Cause) -> &'static str {
        match (self, cause) {
            (_, Cause::Code(code)) => self.error_happened(code),
            (Self::En, _) => cause.what_happened(),
            (Self::De, _) => german(cause).1,
        }
    }

    /// How to mend it. Between backticks stands what is typed.
    #[must_use]
    pub const fn cause_mend(self, cause: Cause) -> &'static str {
        match (self, cause) {
            (_, Cause::Code(code)) => self.error_mend(code),
            (Self::En, _) => cause.how_to_mend(),
            (Self::De, _) => german(cause).2,
        }
    }
}

const fn english(cause: Cause) -> &'static str {
    match cause {
        Cause::Code(code) => code.title(),
        Cause::TokenForm => "Not a token",
        Cause::TokenKey => "Unknown signing key",
        Cause::TokenSignature => "False signature",
        Cause::TokenIssuer => "Token of another issuer",
        Cause::TokenAudience => "Token for no service",
        Cause::TokenExpired => "Token expired",
        Cause::TokenEarly => "Token from the future",
        Cause::TokenUnknown => "Unknown token or password",
        Cause::TokenRevoked => "Token revoked",
        Cause::ClientGone => "Client no longer registered",
        Cause::UserGone => "User no longer exists",
        Cause::UserBanned => "User banned",
        Cause::Scope => "Service not in scope",
        Cause::RuleClient => "Rule: not for this client",
        Cause::RuleUser => "Rule: not for this user",
        Cause::RuleGroup => "Rule: not in the group",
        Cause::NoPerson => "No person behind the token",
        Cause::ServiceUnknown => "Service not registered",
        Cause::RateSource => "Too many from this source",
        Cause::RateService => "Too many from this client",
        Cause::RateUser => "Too many for this user",
        Cause::BodySilent => "Body stopped arriving",
        Cause::BodySlow => "Body too slow",
        Cause::Overloaded => "Gateway overloaded",
    }
}

const fn german(cause: Cause) -> (&'static str, &'static str, &'static str) {
    match cause {
        Cause::Code(_) => ("", "", ""),
        Cause::TokenForm => (
            "Kein Token",
            "Was als Token gesendet wurde, ist keines: Form, Typ oder Angaben sind nicht die eines Zugriffstokens dieses Gateways.",
            "Der Client sendet das access_token aus der Antwort des Token-Endpunkts, ganz und ohne weiteres, als `Authorization: Bearer ...`. Ein ID-Token oder Refresh-Token öffnet nichts.",
        ),
        Cause::TokenKey => (
            "Unbekannter Signaturschlüssel",
            "Das Token wurde mit einem Schlüssel signiert, den dieses Gateway nicht oder nicht mehr kennt: Es stammt von einem anderen Server, oder sein Schlüssel ist entfallen.",
            "Der Client besorgt ein neues Token vom Token-Endpunkt dieses Gateways und verwirft, was er aufbewahrt.",
        ),
        Cause::TokenSignature => (
            "Falsche Signatur",
            "Die Signatur des Tokens passt nicht: Es wurde verändert, abgeschnitten oder gefälscht.",
            "Der Client sendet das Token genau so, wie er es bekam, oder besorgt ein neues.",
        ),
        Cause::TokenIssuer => (
            "Token eines anderen Ausstellers",
            "Das Token wurde unter einer anderen Adresse ausgestellt, als dieses Gateway jetzt hat.",
            "Der Client besorgt ein neues Token. Trifft es viele Clients, sehen Sie nach, ob public_url oder hub.path geändert wurde.",
        ),
        Cause::TokenAudience => (
            "Token für keinen Dienst",
            "Das Token gilt für keinen Dienst.",
            "Der Client verlangt ein Token mit einem Geltungsbereich, der den Dienst nennt.",
        ),
        Cause::TokenExpired => (
            "Token abgelaufen",
            "Die Zeit des Tokens ist vorbei.",
            "Der Client besorgt ein neues Token, mit seinem Refresh-Token, wenn er eines hat. Er kann das tun, bevor expires_in vorbei ist.",
        ),
        Cause::TokenEarly => (
            "Token aus der Zukunft",
            "Das Token kommt aus der Zukunft: Die Uhr des Knotens, der es ausgestellt hat, geht vor.",
            "Wer die Knoten des Gateways betreibt, stellt ihre Uhren.",
        ),
        Cause::TokenUnknown => (
            "Unbekanntes Token oder Passwort",
            "Ein solches dauerhaftes Token oder Anwendungspasswort ist nicht bekannt: Es wurde widerrufen, ist verschrieben, oder der Anmeldename daneben gehört jemand anderem.",
            "Die Person macht auf ihrer Kontoseite ein neues und trägt es dort ein, wo das Programm es liest.",
        ),
        Cause::TokenRevoked => (
            "Token widerrufen",
            "Das Token wurde vor seiner Zeit widerrufen.",
            "Der Client besorgt ein neues Token; wo eine Person es bewilligt hat, meldet sie sich neu an.",
        ),
        Cause::ClientGone => (
            "Client nicht mehr eingetragen",
            "Der Dienst, der das Token besorgt hat, ist nicht mehr eingetragen.",
            "Tragen Sie den Dienst wieder ein; der Client besorgt mit dem neuen Geheimnis ein neues Token.",
        ),
        Cause::UserGone => (
            "Benutzer nicht mehr vorhanden",
            "Den Benutzer, für den das Token handelt, gibt es nicht mehr.",
            "Legen Sie den Benutzer wieder an, oder das Programm handelt für jemand anderen.",
        ),
        Cause::UserBanned => (
            "Benutzer gesperrt",
            "Der Benutzer, für den das Token handelt, ist gesperrt.",
            "Entsperren Sie ihn: `hubgate user unban ANMELDENAME`.",
        ),
        Cause::Scope => (
            "Dienst nicht im Geltungsbereich",
            "Das Token ist gültig, aber nicht für den Dienst, den diese Adresse braucht.",
            "Der Client verlangt ein Token, dessen Geltungsbereich den Dienst nennt. Der Parameter scope der Antwort sagt, welchen.",
        ),
        Cause::RuleClient => (
            "Regel: nicht für diesen Client",
            "Das Token ist gültig, aber eine Regel dieser Adresse nennt andere Clients.",
            "Fügen Sie den Client in gateway.toml bei `clients` der Regel hinzu, oder der Client benutzt eine andere Adresse.",
        ),
        Cause::RuleUser => (
            "Regel: nicht für diesen Benutzer",
            "Das Token ist gültig, aber eine Regel dieser Adresse nennt andere Benutzer.",
            "Fügen Sie den Benutzer in gateway.toml bei `users` der Regel hinzu.",
        ),
        Cause::RuleGroup => (
            "Regel: nicht in der Gruppe",
            "Das Token ist gültig, aber eine Regel dieser Adresse ist für Mitglieder von Gruppen, zu denen sein Benutzer nicht gehört.",
            "Machen Sie den Benutzer zum Mitglied einer der Gruppen der Regel: `hubgate group members GRUPPE --add ANMELDENAME`. Das gilt binnen einer Sekunde.",
        ),
        Cause::NoPerson => (
            "Keine Person hinter dem Token",
            "Diese Adresse sagt etwas über eine Person, und das Token handelt für einen Dienst.",
            "Der Client verwendet ein Token, das eine Person bewilligt hat.",
        ),
        Cause::ServiceUnknown => (
            "Dienst nicht eingetragen",
            "Die Adresse führt zu einem Dienst, den niemand eingetragen hat; darum kann kein Token für ihn gelten.",
            "Tragen Sie den Dienst unter der Kennung oder dem Namen ein, den der Upstream in gateway.toml hat: `hubgate service add NAME --id KENNUNG`.",
        ),
        Cause::RateSource => (
            "Zu viele von dieser Quelle",
            "Die Adresse, von der die Anfrage kam, hat mehr gesendet, als ihre Rate erlaubt.",
            RATE_MEND,
        ),
        Cause::RateService => (
            "Zu viele von diesem Client",
            "Der Client hat mit seinen Token mehr Anfragen gesendet, als seine Rate erlaubt.",
            RATE_MEND,
        ),
        Cause::RateUser => (
            "Zu viele für diesen Benutzer",
            "Für den Benutzer wurden mehr Anfragen gesendet, als die Rate eines Benutzers erlaubt.",
            RATE_MEND,
        ),
        Cause::BodySilent => (
            "Inhalt blieb aus",
            "Der Inhalt der Anfrage kam nicht weiter an, und zu lange kam nichts.",
            "Der Client sendet den Inhalt ohne lange Pausen, oder Sie erhöhen `limits.body_timeout`.",
        ),
        Cause::BodySlow => (
            "Inhalt kam zu langsam",
            "Der Inhalt der Anfrage kam zu langsam an: weniger Bytes in jeder Sekunde, als es sein müssen.",
            "Der Client sendet den Inhalt schneller, oder Sie senken `min_body_rate` für diesen Upstream oder in `[limits]`; \"off\" ist für Inhalte, die Ströme von Ereignissen sind.",
        ),
        Cause::Overloaded => (
            "Gateway überlastet",
            "Das Gateway beantwortete so viele Anfragen, wie es zugleich annimmt, und hat diese sofort abgewiesen.",
            "Der Client versucht es nach der Zeit wieder, die Retry-After nennt. Hält es an, sehen Sie nach, welcher Upstream langsam antwortet, oder erhöhen Sie `limits.max_requests`.",
        ),
    }
}

const RATE_MEND: &str = "Der Client wartet so lange, wie Retry-After sagt, und verteilt seine Anfragen; RateLimit-Policy in jeder Antwort nennt die Rate. Sie können `requests_per_source`, `requests_per_service` oder `requests_per_user` in gateway.toml erhöhen.";
