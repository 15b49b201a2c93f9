//! What several rooms say.

super::catalogue! {
    brand = "hubgate", "hubgate";
    skip_to_content = "Skip to content", "Zum Inhalt springen";
    menu = "Menu", "Menü";
    sign_out = "Sign out", "Abmelden";
    your_account = "Your account", "Ihr Konto";
    administration = "Administration", "Verwaltung";
    signed_in_as(name) = "Signed in as {name}", "Angemeldet als {name}";
    save = "Save", "Speichern";
    cancel = "Cancel", "Abbrechen";
    remove = "Remove", "Entfernen";
    revoke = "Revoke", "Widerrufen";
    copy = "Copy", "Kopieren";
    copied = "Copied", "Kopiert";
    search = "Search", "Suchen";
    show = "Show", "Anzeigen";
    name = "Name", "Name";
    login = "Login", "Anmeldename";
    email = "E-mail address", "E-Mail-Adresse";
    optional = "optional", "freiwillig";
    yes = "Yes", "Ja";
    no = "No", "Nein";
    never = "never", "nie";
    none = "None", "Keine";
    request_id = "Request", "Anfrage";
    saved = "Saved.", "Gespeichert.";
    created = "Created.", "Angelegt.";
    removed = "Removed.", "Entfernt.";
    revoked = "Revoked.", "Widerrufen.";
    done = "Done.", "Erledigt.";
    check_the_fields = "Please check the marked fields.", "Bitte prüfen Sie die markierten Felder.";
    must_be_given = "This is needed.", "Diese Angabe wird gebraucht.";
    shown_once = "It is shown this one time. Keep it where nobody else reads it.", "Er wird nur dieses eine Mal gezeigt. Bewahren Sie ihn dort auf, wo ihn niemand sonst liest.";
    page_previous = "Previous", "Zurück";
    page_next = "Next", "Weiter";
    page_range(first, last, total) = "{first} to {last} of {total}", "{first} bis {last} von {total}";
    nothing_found = "Nothing found.", "Nichts gefunden.";
    continue_ = "Continue", "Weiter";
    type_to_confirm(what) = "Type “{what}” to confirm", "Zur Bestätigung „{what}“ eingeben";
    not_confirmed = "What was typed is not the same.", "Das Eingegebene stimmt nicht überein.";
}

super::catalogue! {
    section_home = "Home", "Start";
    section_profile = "Profile", "Profil";
    section_security = "Sign-in and security", "Anmeldung und Sicherheit";
    section_sessions = "Sessions", "Sitzungen";
    section_authorized = "Authorized services", "Erlaubte Dienste";
    section_tokens = "Tokens", "Tokens";
    section_dashboard = "Dashboard", "Übersicht";
    section_services = "Services", "Dienste";
    section_users = "Users", "Benutzer";
    section_groups = "Groups", "Gruppen";
    section_upstreams = "Upstreams", "Upstreams";
    section_access = "Tokens and sessions", "Tokens und Sitzungen";
    section_audit = "Audit log", "Änderungsprotokoll";
    section_why = "Why was this refused?", "Warum abgelehnt?";
    section_settings = "Settings", "Einstellungen";
}
