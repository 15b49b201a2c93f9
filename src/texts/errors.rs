//! What the page of an error says. The English words are those of the code itself (`oauth::error`), which programs read too.

use super::Language;
use crate::oauth::error::ErrorCode;

super::catalogue! {
    what_happened = "What happened", "Was geschehen ist";
    how_to_mend = "How to mend it", "Wie es behoben wird";
    administrators_see_more = "An administrator sees why", "Die Verwaltung sieht, warum";
}

impl Language {
    /// A short title.
    #[must_use]
    pub const fn error_title(self, code: ErrorCode) -> &'static str {
        match self {
            Self::En => code.title(),
            Self::De => german(code).0,
        }
    }

    /// What happened.
    #[must_use]
    pub const fn error_happened(self, code: ErrorCode) -> &'static str {
        match self {
            Self::En => code.what_happened(),
            Self::De => german(code).1,
        }
    }

    /// Whose move it is, and how to mend it. Between backticks stands what is typed.
    #[must_use]
    pub const fn error_mend(self, code: ErrorCode) -> &'static str {
        match self {
            Self::En => code.how_to_mend(),
            Self::De => german(code).2,
        }
    }
}

const fn german(code: ErrorCode) -> (&'static str, &'static str, &'static str) {
    match code {
        ErrorCode::InvalidRequest => (
            "Die Anfrage ist fehlerhaft",
            "Ein Parameter oder eine Kopfzeile fehlt, steht doppelt, widerspricht anderem oder hat nicht die Form, die das Protokoll verlangt.",
            "Wer das Programm entwickelt, behebt es: Die Beschreibung in der Antwort nennt den Teil, der nicht verstanden wurde. Jeder Parameter wird einmal gesendet, nur eine Art von Ausweis, und Formulare als application/x-www-form-urlencoded.",
        ),
        ErrorCode::InvalidClient => (
            "Das Programm konnte sich nicht ausweisen",
            "Unter dieser Kennung ist kein Dienst eingetragen, oder sein Geheimnis ist nicht das gesendete.",
            "Wer das Programm betreibt, prüft Kennung und Geheimnis. `hubgate service list` zeigt die Kennungen; `hubgate service rotate-secret ID` macht ein neues Geheimnis und lässt das alte noch eine Weile gelten.",
        ),
        ErrorCode::InvalidGrant => (
            "Die Berechtigung gilt nicht",
            "Der Code, das Erneuerungs-Token oder das Passwort ist unbekannt, abgelaufen, verbraucht, widerrufen oder gehört einem anderen Programm.",
            "Das Programm beginnt den Ablauf von vorn.",
        ),
        ErrorCode::UnauthorizedClient => (
            "Dieser Dienst darf diesen Ablauf nicht verwenden",
            "Der Ablauf ist für den Dienst abgeschaltet, oder er verlangt einen vertrauten Dienst mit Geheimnis.",
            "Die Verwaltung schaltet den Ablauf ein oder kennzeichnet den Dienst als vertraut: `hubgate service show ID` zeigt, wie es steht.",
        ),
        ErrorCode::UnsupportedGrantType => (
            "Diese Art von Berechtigung gibt es hier nicht",
            "Der Wert von grant_type ist keiner, den dieses Gateway anbietet.",
            "Wer das Programm entwickelt, verwendet einen, den das Gateway anbietet, etwa client_credentials.",
        ),
        ErrorCode::InvalidScope => (
            "Der Geltungsbereich stimmt nicht",
            "Ein Eintrag des Geltungsbereichs nennt keinen eingetragenen Dienst, oder es wurde mehr verlangt als gewährt.",
            "Wer das Programm entwickelt, sendet Kennungen oder Namen eingetragener Dienste, durch Leerzeichen getrennt. `hubgate service list` zeigt sie.",
        ),
        ErrorCode::InvalidRedirectUri => (
            "Die Rückkehradresse ist nicht eingetragen",
            "Die Anwendung wollte die Antwort an eine Adresse, die nicht unter den Rückkehradressen ihres Dienstes steht, oder nannte keine. Dorthin wurde nichts gesendet.",
            "Die Verwaltung trägt die Adresse beim Dienst ein, genau wie die Anwendung sie sendet: `hubgate service update ID --redirect-uri ADRESSE`. Haben Sie dies nicht selbst begonnen, schließen Sie die Seite.",
        ),
        ErrorCode::UnsupportedResponseType => (
            "Diese Art von Antwort gibt es hier nicht",
            "Der Wert von response_type ist keiner, den dieses Gateway anbietet.",
            "Wer das Programm entwickelt, verwendet response_type=code oder einen anderen, den die Metadaten des Gateways nennen.",
        ),
        ErrorCode::ResponseTypeNotAllowed => (
            "Dieser Dienst darf diesen Ablauf nicht verwenden",
            "Der Ablauf, zu dem die verlangte Antwort gehört, ist für den Dienst abgeschaltet.",
            "Die Verwaltung schaltet den Ablauf für den Dienst ein, oder das Programm verwendet einen anderen.",
        ),
        ErrorCode::LoginRequired => (
            "Niemand ist angemeldet",
            "Die Anwendung wollte eine Antwort ohne jede Seite, und in diesem Browser ist niemand angemeldet.",
            "Die Anwendung schickt zur Anmeldung, ohne prompt=none oder request_credentials=silent.",
        ),
        ErrorCode::ConsentRequired => (
            "Eine Zustimmung fehlt",
            "Die Anwendung wollte eine Antwort ohne jede Seite, und das Verlangte ist noch nicht erlaubt worden.",
            "Die Anwendung fragt noch einmal ohne prompt=none oder request_credentials=silent, damit entschieden werden kann.",
        ),
        ErrorCode::InteractionRequired => (
            "Vorher ist noch etwas zu tun",
            "Die Anwendung wollte eine Antwort ohne jede Seite, aber zuvor ist ein neues Passwort zu wählen.",
            "Die Anwendung schickt zur Anmeldung, ohne prompt=none oder request_credentials=silent.",
        ),
        ErrorCode::RequestNotSupported => (
            "Anfrageobjekte gibt es hier nicht",
            "Die Anfrage trägt ihre Parameter in einem signierten Objekt, das dieses Gateway nicht liest.",
            "Wer das Programm entwickelt, sendet die Parameter in der Adresse.",
        ),
        ErrorCode::RequestUriNotSupported => (
            "Anfrageobjekte werden nicht geholt",
            "Die Anfrage nennt eine Adresse, von der ihre Parameter zu holen wären. Das Gateway holt nichts.",
            "Wer das Programm entwickelt, sendet die Parameter in der Adresse.",
        ),
        ErrorCode::InvalidToken => (
            "Das Token gilt nicht",
            "Das Token ist fehlerhaft, abgelaufen, widerrufen oder nicht von diesem Gateway ausgestellt.",
            "Das Programm besorgt ein neues Token und versucht es noch einmal. Hilft das nicht, sagt `hubgate token inspect`, was mit einem Token nicht stimmt.",
        ),
        ErrorCode::InsufficientScope => (
            "Das Token ist nicht für diesen Dienst",
            "Das Token gilt, aber der Dienst hinter dieser Adresse gehört nicht zu seinem Geltungsbereich.",
            "Das Programm verlangt ein Token, dessen Geltungsbereich den Dienst nennt; welchen, sagt der Parameter scope der Antwort.",
        ),
        ErrorCode::AccessDenied => (
            "Der Zugriff ist nicht erlaubt",
            "Der Ausweis gilt, aber eine Regel dieser Adresse verlangt etwas, das nicht vorliegt; oder das Verlangte wurde abgelehnt.",
            "Die Verwaltung des Gateways entscheidet: Die Regeln stehen beim Upstream in gateway.toml. Wer selbst abgelehnt hat, kann in der Anwendung neu beginnen.",
        ),
        ErrorCode::Unauthorized => (
            "Ein Token wird gebraucht",
            "Diese Adresse ist nur für Anfragen mit einem Token, und diese hatte keines.",
            "Das Programm besorgt ein Token und sendet es als `Authorization: Bearer ...`.",
        ),
        ErrorCode::NotFound => (
            "Unter dieser Adresse ist nichts",
            "Kein Upstream und keine Seite des Gateways hat diese Adresse.",
            "Prüfen Sie die Adresse. Sollte es sie geben, trägt die Verwaltung einen Upstream mit diesem Pfad in gateway.toml ein.",
        ),
        ErrorCode::MethodNotAllowed => (
            "Diese Methode gibt es hier nicht",
            "Die Adresse gibt es, aber nicht für diese HTTP-Methode.",
            "Wer das Programm entwickelt, verwendet eine Methode, die die Kopfzeile Allow nennt.",
        ),
        ErrorCode::ContentTooLarge => (
            "Die Anfrage ist zu groß",
            "Der Inhalt der Anfrage ist größer, als das Gateway weiterleitet.",
            "Senden Sie weniger, oder lassen Sie die Verwaltung `max_body_size` für diesen Upstream erhöhen.",
        ),
        ErrorCode::ExpectationFailed => (
            "Eine Erwartung kann nicht erfüllt werden",
            "Die Kopfzeile Expect verlangt etwas anderes als 100-continue.",
            "Wer das Programm entwickelt, lässt die Kopfzeile weg.",
        ),
        ErrorCode::TooManyRequests => (
            "Zu viele Anfragen",
            "Von hier kamen mehr Anfragen oder mehr abgelehnte Ausweise, als das Gateway annimmt.",
            "Warten Sie so lange, wie die Kopfzeile Retry-After sagt. Ein Programm, das immer wieder ein totes Token sendet, sollte ein neues besorgen.",
        ),
        ErrorCode::ServerError => (
            "Das Gateway hat versagt",
            "Im Gateway ist etwas schiefgegangen. Nichts wurde weitergeleitet oder geändert.",
            "Die Verwaltung findet die Kennung der Anfrage im Protokoll des Gateways.",
        ),
        ErrorCode::TemporarilyUnavailable => (
            "Der Dienst ist gerade nicht verfügbar",
            "Das Gateway oder der Dienst dahinter kann im Augenblick nicht antworten.",
            "Versuchen Sie es nach der Zeit noch einmal, die Retry-After nennt. Bleibt es so, findet die Verwaltung den Grund im Protokoll.",
        ),
        ErrorCode::BadGateway => (
            "Der Dienst hinter dem Gateway antwortet nicht",
            "Die Anfrage war erlaubt, aber der Dienst, für den sie bestimmt war, war nicht erreichbar oder brach ab.",
            "Die Verwaltung prüft, ob der Upstream unter der Adresse in gateway.toml läuft.",
        ),
        ErrorCode::GatewayTimeout => (
            "Der Dienst hinter dem Gateway ist zu langsam",
            "Die Anfrage war erlaubt und wurde weitergeleitet, aber die Antwort begann nicht rechtzeitig.",
            "Die Verwaltung prüft den Upstream oder erhöht seinen `timeout` in gateway.toml.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_the_same_in_every_language() {
        let typed = |text: &str| {
            text.split('`').skip(1).step_by(2).map(|t| t.replace("ADRESSE", "ADDRESS")).collect::<Vec<_>>()
        };
        for code in ErrorCode::ALL {
            assert_eq!(typed(Language::En.error_mend(code)), typed(Language::De.error_mend(code)), "{code}");
            assert!(
                !Language::De.error_title(code).is_empty() && !Language::De.error_happened(code).is_empty()
            );
        }
    }
}
