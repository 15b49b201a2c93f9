//! Pages of services.

super::catalogue! {
    services_lead = "Clients that ask for tokens, and what stands behind the gateway.", "Wer Tokens verlangt, und was hinter dem Gateway steht.";
    service_register = "Register a service", "Dienst eintragen";
    services_find = "Name, id, address or maker", "Name, Kennung, Adresse oder Hersteller";
    services_none = "No service is registered yet. Register the first one: it gets an id, a secret and its own scope.", "Noch ist kein Dienst eingetragen. Tragen Sie den ersten ein: Er bekommt eine Kennung, ein Geheimnis und seinen eigenen Geltungsbereich.";
    service = "Service", "Dienst";
    service_kind = "Kind", "Art";
    service_home = "Home", "Adresse";
    service_route = "Route", "Route";
    service_last_use = "Last use", "Zuletzt benutzt";
    service_trusted = "Trusted", "Vertrauenswürdig";
    service_asks = "Asks first", "Fragt zuerst";
    service_public = "Public", "Öffentlich";
    service_confidential = "With secret", "Mit Geheimnis";
    service_declared = "In gateway.toml", "In gateway.toml";
    service_own = "This gateway", "Dieses Gateway";
    service_no_secret = "No secret yet", "Noch ohne Geheimnis";
    service_untrusted = "Untrusted addresses", "Fremde Adressen";

    service_new_lead = "A name is enough to begin with. Everything can be changed later.", "Ein Name genügt für den Anfang. Alles lässt sich später ändern.";
    service_name_hint = "What people see when they sign in to it, and a scope that clients may ask for.", "Was Menschen sehen, wenn sie sich bei ihm anmelden, und ein Geltungsbereich, den Clients verlangen können.";
    service_home_url = "Home URL", "Adresse der Startseite";
    service_home_hint = "Where people find it, for example https://youtrack.example.org/", "Wo man ihn findet, zum Beispiel https://youtrack.example.org/";
    service_redirects = "Redirect URIs", "Rücksprungadressen";
    service_redirects_hint = "Where people are sent back to after signing in, one per line. They are compared exactly, the last slash included. Relative ones are resolved against the home and base URLs.", "Wohin man nach der Anmeldung zurückkehrt, eine je Zeile. Verglichen wird genau, samt letztem Schrägstrich. Relative gelten unter Startseite und Basisadressen.";
    service_kind_confidential = "It can keep a secret", "Er kann ein Geheimnis wahren";
    service_kind_confidential_hint = "Runs on a server. It gets an id and a secret.", "Läuft auf einem Server. Er bekommt eine Kennung und ein Geheimnis.";
    service_kind_public = "It cannot", "Er kann das nicht";
    service_kind_public_hint = "Runs in a browser, on a phone or a desktop. It gets an id, and has to use PKCE.", "Läuft im Browser, auf dem Telefon oder dem Rechner. Er bekommt eine Kennung und muss PKCE verwenden.";

    service_registered(name) = "{name} is registered", "{name} ist eingetragen";
    service_secret = "Secret", "Geheimnis";
    service_id = "Id", "Kennung";
    service_next = "How to go on", "Wie es weitergeht";
    service_snippet = "Let the gateway stand in front of it: add this to gateway.toml, with its own path and address. The file is read again as soon as it changes.", "Das Gateway davorstellen: Fügen Sie dies mit eigenem Pfad und eigener Adresse in gateway.toml ein. Die Datei wird neu gelesen, sobald sie sich ändert.";
    service_try = "Try it in your shell: this obtains a token for the service itself.", "In der Shell versuchen: Dies besorgt ein Token für den Dienst selbst.";
    service_try_asks = "curl asks for the secret.", "curl fragt nach dem Geheimnis.";
    service_try_then = "And this uses it:", "Und dies verwendet es:";
    service_open = "Open its page", "Zu seiner Seite";

    service_settings = "Settings", "Einstellungen";
    service_vendor = "Maker", "Hersteller";
    service_description = "Description", "Beschreibung";
    service_base_urls = "Base URLs", "Basisadressen";
    service_base_urls_hint = "Further addresses of it, one per line.", "Weitere Adressen des Dienstes, eine je Zeile.";
    service_icon = "Icon URL", "Adresse des Bildes";
    service_icon_hint = "For clients that show it. The gateway never fetches it.", "Für Clients, die es zeigen. Das Gateway ruft es nie ab.";
    service_rights = "What it may do", "Was er darf";
    service_trusted_hint = "May obtain tokens for itself (client credentials).", "Darf Tokens für sich selbst besorgen (Client Credentials).";
    service_consent = "People are asked first", "Menschen werden zuerst gefragt";
    service_consent_hint = "Before it gets a token that acts for them, once.", "Einmal, bevor er ein Token bekommt, das für sie handelt.";
    service_public_label = "It cannot keep a secret (public client)", "Er kann kein Geheimnis wahren (öffentlicher Client)";
    service_public_warning = "When you switch this on, its secret and everything that it has obtained end at once.", "Wenn Sie dies einschalten, enden sein Geheimnis und alles, was er erlangt hat, sofort.";
    service_pkce = "PKCE is required", "PKCE ist Pflicht";
    service_pkce_hint = "Of a public client always.", "Für öffentliche Clients immer.";
    service_rotate = "Each refresh replaces the refresh token", "Jede Erneuerung ersetzt das Refresh-Token";
    service_rotate_hint = "Switch it off only for a client that keeps one for ever.", "Nur für einen Client ausschalten, der eines für immer behält.";
    service_flows = "Flows", "Abläufe";
    flow_code = "Authorization code", "Authorization Code";
    flow_implicit = "Implicit", "Implicit";
    flow_refresh = "Refresh token", "Refresh Token";
    flow_credentials = "Client credentials", "Client Credentials";
    flow_password = "Password of a person", "Passwort eines Menschen";
    flow_not_in_profile = "The profile of this gateway does not allow it.", "Das Profil dieses Gateways erlaubt es nicht.";
    service_declared_note = "gateway.toml declares this service. Its settings are changed there; the file is read again as soon as it changes.", "Dieser Dienst steht in gateway.toml. Seine Einstellungen werden dort geändert; die Datei wird neu gelesen, sobald sie sich ändert.";
    service_own_note = "This is the gateway itself: whoever asks for it in a scope may use its REST API.", "Dies ist das Gateway selbst: Wer es in seinem Geltungsbereich nennt, darf seine REST-Schnittstelle verwenden.";

    service_facts = "At a glance", "Auf einen Blick";
    service_since = "Registered", "Eingetragen";
    service_used_as_client = "Last asked for or used a token", "Zuletzt Token verlangt oder benutzt";
    service_used_as_resource = "Last request to it", "Letzte Anfrage an ihn";
    service_routes = "Routes", "Routen";
    service_no_route = "None: no upstream names it.", "Keine: Kein Upstream nennt ihn.";
    service_answers(count) = "{count} requests since the start", "{count} Anfragen seit dem Start";
    service_errors(count) = "{count} not answered", "{count} ohne Antwort";
    service_all_answered = "All answered", "Alle beantwortet";
    service_no_request = "No request since the start", "Keine Anfrage seit dem Start";
    service_endpoints = "Addresses for its configuration", "Adressen für seine Konfiguration";
    service_issuer = "Hub URL, issuer", "Hub-URL, Aussteller";
    service_authorize = "Authorization", "Autorisierung";
    service_token_endpoint = "Token", "Token";
    service_discovery = "Discovery", "Discovery";

    service_secret_set = "Set", "Gesetzt";
    service_secret_none = "It has none: it cannot ask for tokens yet.", "Er hat keines: Noch kann er keine Tokens verlangen.";
    service_secret_grace(date) = "The one before is accepted until {date}.", "Das vorige gilt noch bis {date}.";
    service_secret_end = "End it now", "Sofort beenden";
    service_secret_make = "Generate a secret", "Geheimnis erzeugen";
    service_secret_old = "The one before stays accepted", "Das vorige gilt noch";
    service_grace_none = "Not at all", "Gar nicht";
    service_grace(time) = "For {time}", "{time} lang";
    service_secret_own = "Your own instead of a generated one", "Ein eigenes statt eines erzeugten";
    service_secret_own_hint = "12 to 200 ASCII characters without blanks.", "12 bis 200 ASCII-Zeichen ohne Leerzeichen.";
    service_secret_declared = "If gateway.toml names a secret, that one counts again after the next start.", "Nennt gateway.toml ein Geheimnis, gilt nach dem nächsten Start wieder dieses.";
    service_secret_of(name) = "New secret of {name}", "Neues Geheimnis von {name}";
    service_secret_expired = "The form was sent before, and what it made is no longer shown. Generate another one if you have not kept it.", "Das Formular wurde schon gesendet, und sein Ergebnis wird nicht mehr gezeigt. Erzeugen Sie ein neues, falls Sie es nicht aufbewahrt haben.";
    service_is_public = "A public service has no secret.", "Ein öffentlicher Dienst hat kein Geheimnis.";

    service_untrusted_lead = "Somebody asked to be sent back here, and was refused. Accept only what you know to belong to the service.", "Hierhin wollte jemand zurückgeschickt werden und wurde abgewiesen. Nehmen Sie nur an, was sicher zu diesem Dienst gehört.";
    service_untrusted_from(address) = "from {address}", "von {address}";
    service_accept = "Accept", "Annehmen";
    service_dismiss = "Dismiss", "Verwerfen";
    service_untrusted_gone = "It is not in the list any more.", "Sie steht nicht mehr in der Liste.";
    service_untrusted_refused(uri) = "{uri} cannot be accepted: it is no address that may receive tokens.", "{uri} kann nicht angenommen werden: An diese Adresse darf kein Token gehen.";

    service_usage = "Who uses it", "Wer ihn benutzt";
    service_consents = "People who have allowed it", "Menschen, die ihn erlaubt haben";
    service_grants = "Sign-ins that it can go on with", "Anmeldungen, die er fortsetzen kann";
    service_granted_for = "Sign-ins of clients that may use it", "Anmeldungen von Clients, die ihn benutzen dürfen";
    service_tokens = "Permanent tokens for it", "Dauerhafte Tokens für ihn";
    service_asked_by = "Services that ask for it", "Dienste, die ihn verlangen";
    service_asks_for = "Services that it asks for", "Dienste, die er verlangt";
    at_least(count) = "more than {count}", "mehr als {count}";

    service_remove = "Remove this service", "Diesen Dienst entfernen";
    service_remove_what = "Every token that it has obtained ends at once, and so do consents and sign-ins. Its id leaves the scope of permanent tokens. This cannot be undone.", "Alle Tokens, die er erlangt hat, enden sofort, ebenso Erlaubnisse und Anmeldungen. Seine Kennung verschwindet aus dauerhaften Tokens. Das lässt sich nicht rückgängig machen.";

    service_name_rule = "A name has 1 to 100 characters, all of them visible.", "Ein Name hat 1 bis 100 Zeichen, alle sichtbar.";
    service_name_taken = "Another service has this name.", "Ein anderer Dienst heißt so.";
    service_name_reserved = "This name has a meaning of its own in a scope.", "Dieser Name hat in einem Scope schon eine Bedeutung.";
    service_text_rule = "It is too long, or has a character that cannot be shown.", "Der Text ist zu lang oder hat ein Zeichen, das nicht gezeigt werden kann.";
    service_too_many_addresses = "At most 200 addresses.", "Höchstens 200 Adressen.";
    service_rotation_rule = "The refresh tokens of a public client have to change with each use: whoever has copied one needs no secret to use it.", "Die Refresh-Tokens eines öffentlichen Clients müssen sich bei jeder Benutzung ändern: Wer eines kopiert hat, braucht kein Geheimnis dafür.";
    service_changed_meanwhile = "Somebody has changed this service while you were typing. What you typed is kept: look through it and save again.", "Jemand hat diesen Dienst geändert, während Sie tippten. Ihre Eingaben sind noch da: Sehen Sie sie durch und speichern Sie erneut.";
    service_grace_rule = "Choose one of the times.", "Wählen Sie eine der Zeiten.";

    address_long(address) = "{address}: longer than 2,000 bytes.", "{address}: länger als 2.000 Bytes.";
    address_character(address) = "{address}: has a character that an address cannot have.", "{address}: hat ein Zeichen, das keine Adresse haben kann.";
    address_web(address) = "{address}: has to begin with http:// or https:// and a host.", "{address}: muss mit http:// oder https:// und einem Namen beginnen.";
    address_dangerous(address) = "{address}: this scheme must never receive a token.", "{address}: Dieses Schema darf nie ein Token bekommen.";
    address_scheme(address) = "{address}: has no scheme.", "{address}: hat kein Schema.";
    address_fragment(address) = "{address}: everything from # on is never sent.", "{address}: Alles ab # wird nie gesendet.";
    address_user(address) = "{address}: contains a user name or password.", "{address}: enthält Benutzernamen oder Passwort.";
    address_malformed(address) = "{address}: is not a URL.", "{address}: ist keine URL.";
}
