//! The pages of one's own account.

super::catalogue! {
    account_declared = "The configuration file of the gateway declares this account. Whoever keeps that file changes it there.", "Die Konfigurationsdatei des Gateways legt dieses Konto fest. Geändert wird es dort, von denen, die diese Datei pflegen.";

    profile_lead = "What services and other people see of you.", "Was Dienste und andere Menschen von Ihnen sehen.";
    profile_login_hint = "Only an administrator changes it.", "Nur die Verwaltung ändert ihn.";
    profile_email_hint = "Unique; good for signing in too. A new address counts as not confirmed.", "Eindeutig; auch zum Anmelden geeignet. Eine neue Adresse gilt als nicht bestätigt.";
    profile_verified = "Confirmed", "Bestätigt";
    profile_not_verified = "Not confirmed", "Nicht bestätigt";
    profile_language = "Language of these pages", "Sprache dieser Seiten";
    profile_language_browser = "As the browser asks", "Wie der Browser wünscht";
    profile_groups = "Groups", "Gruppen";
    profile_since = "Account since", "Konto seit";
    name_refused = "1 to 100 characters are needed here.", "Hier werden 1 bis 100 Zeichen gebraucht.";
    email_refused = "This is not an e-mail address.", "Das ist keine E-Mail-Adresse.";
    email_taken = "Somebody else has this address.", "Diese Adresse hat schon jemand anderes.";

    security_password = "Password", "Passwort";
    security_password_set(when) = "Set {when}.", "Gesetzt {when}.";
    security_password_why = "A new password ends your other sessions, everything that services were granted in your name, and your application passwords. Permanent tokens stay.", "Ein neues Passwort beendet Ihre anderen Sitzungen, alles, was Diensten in Ihrem Namen gewährt wurde, und Ihre Anwendungspasswörter. Dauerhafte Tokens bleiben.";
    security_old_password = "Your password now", "Ihr bisheriges Passwort";
    security_change_password = "Change password", "Passwort ändern";
    security_wrong_password = "This is not your password.", "Das ist nicht Ihr Passwort.";
    security_same_password = "This is the password that you have. Choose another.", "Das ist Ihr bisheriges Passwort. Wählen Sie ein anderes.";
    security_your_password = "Your password", "Ihr Passwort";
    security_password_proof = "So that nobody does this at a screen that you left open.", "Damit das niemand an einem Bildschirm tut, den Sie offen gelassen haben.";

    step_why = "After the password you type a code from an app on your phone. Who only knows your password does not get in.", "Nach dem Passwort geben Sie einen Code aus einer App auf Ihrem Telefon ein. Wer nur Ihr Passwort kennt, kommt nicht hinein.";
    step_programs = "Programs that sign in with your password need an application password or a permanent token then.", "Programme, die sich mit Ihrem Passwort anmelden, brauchen dann ein Anwendungspasswort oder ein dauerhaftes Token.";
    step_on = "On", "Ein";
    step_off = "Off", "Aus";
    step_set_up = "Set up", "Einrichten";
    step_since(when) = "On since {when}.", "Eingeschaltet {when}.";
    step_codes_left(count) = "Recovery codes left: {count}.", "Übrige Wiederherstellungscodes: {count}.";
    step_codes_few = "Make new ones before they run out.", "Erzeugen Sie neue, bevor sie ausgehen.";
    step_new_codes = "New recovery codes", "Neue Wiederherstellungscodes";
    step_new_codes_why = "New recovery codes replace those that you have.", "Neue Wiederherstellungscodes ersetzen die bisherigen.";
    step_turn_off = "Turn off", "Ausschalten";
    step_scan = "Scan this picture", "Dieses Bild scannen";
    step_scan_why = "With an authenticator app: 1Password, Aegis, Bitwarden, Google Authenticator, Microsoft Authenticator and others.", "Mit einer Authenticator-App: 1Password, Aegis, Bitwarden, Google Authenticator, Microsoft Authenticator und andere.";
    step_qr = "QR code with the secret that is written beside it", "QR-Code mit dem Geheimnis, das daneben steht";
    step_by_hand = "Or type this secret into the app", "Oder dieses Geheimnis in die App eingeben";
    step_by_hand_detail = "By time, six digits, 30 seconds, SHA-1.", "Zeitbasiert, sechs Ziffern, 30 Sekunden, SHA-1.";
    step_confirm = "Confirm that it works", "Bestätigen, dass es geht";
    step_code = "Code that the app shows", "Code, den die App zeigt";
    step_code_wrong = "This is not the code of this moment. Is the clock of your phone right?", "Das ist nicht der Code dieses Augenblicks. Geht die Uhr Ihres Telefons richtig?";
    step_stale = "The set-up took too long. Scan the new picture and remove the entry from before.", "Das Einrichten hat zu lange gedauert. Scannen Sie das neue Bild und entfernen Sie den Eintrag von vorhin.";
    step_turn_on = "Turn on", "Einschalten";
    step_no_password = "You sign in without a password of this gateway, so there is no second step to it.", "Sie melden sich ohne ein Passwort dieses Gateways an, also gibt es dazu keinen zweiten Schritt.";
    codes_title = "Your recovery codes", "Ihre Wiederherstellungscodes";
    codes_lead = "Each is good once in place of a code from the app. Print them, or keep them in a password manager: without phone and codes only an administrator lets you in.", "Jeder gilt einmal anstelle eines Codes aus der App. Drucken Sie sie aus oder bewahren Sie sie in einem Passwortmanager auf: Ohne Telefon und Codes hilft nur die Verwaltung.";
    codes_once = "They are shown this one time.", "Sie werden nur dieses eine Mal gezeigt.";
    codes_kept = "I have kept them", "Ich habe sie aufbewahrt";

    sessions_lead = "Browsers on which you are signed in. What came of a session ends with it.", "Browser, auf denen Sie angemeldet sind. Was aus einer Sitzung hervorging, endet mit ihr.";
    sessions_device = "Device", "Gerät";
    sessions_address = "Address", "Adresse";
    sessions_begun = "Signed in", "Angemeldet";
    sessions_used = "Last used", "Zuletzt benutzt";
    sessions_this = "This browser", "Dieser Browser";
    sessions_end = "End", "Beenden";
    sessions_end_this(device) = "End the session of {device}", "Sitzung von {device} beenden";
    sessions_end_others = "End all other sessions", "Alle anderen Sitzungen beenden";
    device_on(browser, system) = "{browser} on {system}", "{browser} auf {system}";
    device_unknown = "Unknown device", "Unbekanntes Gerät";

    authorized_lead = "Services that may act for you.", "Dienste, die für Sie handeln dürfen.";
    authorized_consents = "What you have allowed", "Was Sie erlaubt haben";
    authorized_consents_empty = "You have not been asked yet. Services that need no consent are not listed here.", "Sie sind noch nicht gefragt worden. Dienste, die keine Zustimmung brauchen, stehen hier nicht.";
    authorized_service = "Service", "Dienst";
    authorized_may = "May", "Darf";
    authorized_given = "Allowed", "Erlaubt";
    authorized_until = "Until", "Bis";
    authorized_revoke_consent(service) = "Take back what {service} may do", "Zurücknehmen, was {service} darf";
    authorized_refresh = "Refresh tokens", "Refresh-Tokens";
    authorized_refresh_why = "With such a token a service gets a new access token without you. To revoke it ends those that came of it.", "Mit einem solchen Token holt sich ein Dienst ohne Sie ein neues Zugriffstoken. Wird es widerrufen, enden auch die daraus entstandenen.";
    authorized_refresh_empty = "No service has one.", "Kein Dienst hat eines.";
    authorized_scope = "For", "Für";
    authorized_granted = "Granted", "Gewährt";
    authorized_refreshed = "Last used", "Zuletzt benutzt";
    authorized_revoke_grant(service) = "Revoke the refresh token of {service}", "Refresh-Token von {service} widerrufen";

    tokens_lead = "For programs and scripts that act for you.", "Für Programme und Skripte, die für Sie handeln.";
    tokens_permanent = "Permanent tokens", "Dauerhafte Tokens";
    tokens_permanent_why = "Sent as “Authorization: Bearer”, for the services that you choose, until you revoke it.", "Als „Authorization: Bearer“ zu senden, für die Dienste, die Sie wählen, bis Sie es widerrufen.";
    tokens_permanent_empty = "You have no permanent token.", "Sie haben kein dauerhaftes Token.";
    tokens_new = "New permanent token", "Neues dauerhaftes Token";
    tokens_name_hint = "What it is for, so that you know it again.", "Wofür es ist, damit Sie es wiedererkennen.";
    tokens_scope = "Services", "Dienste";
    tokens_scope_none = "Choose at least one service.", "Wählen Sie mindestens einen Dienst.";
    tokens_scope_many = "Choose at most 100 services.", "Wählen Sie höchstens 100 Dienste.";
    tokens_too_many = "You have 100 of them already. Revoke one first.", "Sie haben schon 100 davon. Widerrufen Sie zuerst eines.";
    tokens_make = "Make token", "Token erzeugen";
    tokens_made(name) = "Your new token {name}", "Ihr neues Token {name}";
    tokens_created = "Made", "Erzeugt";
    tokens_used = "Last used", "Zuletzt benutzt";
    tokens_revoke(name) = "Revoke {name}", "{name} widerrufen";
    tokens_passwords = "Application passwords", "Anwendungspasswörter";
    tokens_passwords_why = "In place of your password, for programs that know nothing but login and password. Good everywhere, and gone when you change your password.", "Anstelle Ihres Passworts, für Programme, die nur Anmeldename und Passwort kennen. Gilt überall und endet, wenn Sie Ihr Passwort ändern.";
    tokens_passwords_empty = "You have no application password.", "Sie haben kein Anwendungspasswort.";
    tokens_new_password = "New application password", "Neues Anwendungspasswort";
    tokens_make_password = "Make password", "Passwort erzeugen";
    tokens_made_password(name) = "Your new application password {name}", "Ihr neues Anwendungspasswort {name}";
    tokens_from(address) = "from {address}", "von {address}";
}
