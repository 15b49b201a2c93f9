//! The page of tokens and sessions.

super::catalogue! {
    access_lead = "What people are signed in with, and what they have given to services and programs.", "Womit Menschen angemeldet sind und was sie Diensten und Programmen gegeben haben.";
    access_sessions = "Sessions", "Sitzungen";
    access_grants = "Refresh tokens", "Refresh-Tokens";
    access_consents = "Consents", "Erlaubnisse";
    access_tokens = "Permanent tokens", "Dauerhafte Tokens";
    access_passwords = "Application passwords", "Anwendungspasswörter";
    access_person = "Person: login, e-mail address or id", "Person: Anmeldename, E-Mail-Adresse oder Kennung";
    access_client = "Given to service: name or id", "Gegeben an Dienst: Name oder Kennung";
    access_service = "For service: name or id", "Für Dienst: Name oder Kennung";
    access_no_person = "There is no such person.", "Diese Person gibt es nicht.";
    access_no_service = "There is no such service.", "Diesen Dienst gibt es nicht.";
    access_choose_client = "Name the service whose consents you want to see.", "Nennen Sie den Dienst, dessen Erlaubnisse Sie sehen wollen.";
    access_owner = "Person", "Person";
    access_device = "Device", "Gerät";
    access_from(address) = "from {address}", "von {address}";
    access_signed_in = "Signed in", "Angemeldet";
    access_used = "Last use", "Zuletzt benutzt";
    access_given_to = "Given to", "Gegeben an";
    access_for = "For", "Für";
    access_given = "Given", "Gegeben";
    access_made = "Made", "Angelegt";
    access_until = "Until", "Bis";
    access_every_service = "Every service", "Jeden Dienst";
    access_gone_service = "A service that is gone", "Ein Dienst, den es nicht mehr gibt";
    access_end_session = "End", "Beenden";
    access_count(count) = "{count} found", "{count} gefunden";
    access_count_more(count) = "more than {count} found", "mehr als {count} gefunden";

    access_paste = "End a token that was found", "Ein gefundenes Token beenden";
    access_paste_why = "In a log, a chat, a repository: paste it, whatever kind it is and whoever it belongs to. It is neither kept nor shown again.", "In einem Protokoll, einem Chat, einem Repository: Fügen Sie es ein, gleich welcher Art und wem es gehört. Es wird weder behalten noch wieder gezeigt.";
    access_paste_label = "Token", "Token";
    access_paste_hint = "Access token, refresh token, permanent token, application password, code or session cookie.", "Zugriffstoken, Refresh-Token, dauerhaftes Token, Anwendungspasswort, Code oder Sitzungs-Cookie.";
    access_paste_family = "Also everything else that came of the same sign-in", "Auch alles andere, was aus derselben Anmeldung stammt";
    access_paste_family_hint = "Other access tokens and the refresh token of that client.", "Andere Zugriffstokens und das Refresh-Token dieses Clients.";
    access_paste_do = "End it", "Beenden";
    access_ended = "It has ended.", "Es ist beendet.";
    access_ended_family = "It has ended, and with it everything that came of the same sign-in.", "Es ist beendet, und mit ihm alles, was aus derselben Anmeldung stammt.";
    access_kind = "Kind", "Art";
    access_kind_access = "Access token", "Zugriffstoken";
    access_kind_refresh = "Refresh token", "Refresh-Token";
    access_kind_code = "Authorization code", "Autorisierungscode";
    access_kind_session = "Session", "Sitzung";
    access_kind_permanent = "Permanent token", "Dauerhaftes Token";
    access_kind_password = "Application password", "Anwendungspasswort";
    access_acted_for = "Acted for", "Handelte für";
    access_itself = "The service itself", "Den Dienst selbst";
    access_held_by = "Held by", "Gehörte zu";
    access_paste_gone = "There is no such token: it was never of this gateway, or has ended already.", "Dieses Token gibt es nicht: Es war nie von diesem Gateway oder ist schon beendet.";
    access_paste_expired = "This token has expired. There is nothing to end.", "Dieses Token ist abgelaufen. Es gibt nichts zu beenden.";
    access_paste_foreign = "This token was issued by another server.", "Dieses Token hat ein anderer Server ausgestellt.";
    access_paste_unknown = "This is no token of this gateway.", "Das ist kein Token dieses Gateways.";
    access_paste_id_token = "This is not an access token; an id token opens nothing.", "Das ist kein Zugriffstoken; ein ID-Token öffnet nichts.";
}
