//! Signing in and out, consent, a new password.

super::catalogue! {
    sign_in = "Sign in", "Anmelden";
    sign_in_to(service) = "Sign in to {service}", "Bei {service} anmelden";
    this_gateway = "this gateway", "diesem Gateway";
    to_continue_to(service) = "to continue to {service}", "um mit {service} fortzufahren";
    login_or_email = "Login or e-mail address", "Anmeldename oder E-Mail-Adresse";
    password = "Password", "Passwort";
    caps_lock = "Caps Lock is on.", "Die Feststelltaste ist aktiv.";
    remember_me = "Remember me on this device", "Auf diesem Gerät angemeldet bleiben";
    forgot_password = "Forgot your password?", "Passwort vergessen?";
    wrong_credentials = "Login or password is wrong.", "Anmeldename oder Passwort ist falsch.";
    throttled(wait) = "Too many attempts. Try again in {wait}.", "Zu viele Versuche. Versuchen Sie es in {wait} noch einmal.";
    busy(wait) = "Many people are signing in at the moment. Try again in {wait}.", "Gerade melden sich viele Menschen an. Versuchen Sie es in {wait} noch einmal.";
    unavailable = "Nobody can sign in at the moment. Try again in a minute.", "Gerade kann sich niemand anmelden. Versuchen Sie es in einer Minute noch einmal.";
    session_ended = "Your session has ended. Sign in again: what you typed is kept.", "Ihre Sitzung ist beendet. Melden Sie sich wieder an: Ihre Eingaben bleiben erhalten.";
    sign_in_first = "Sign in to go on.", "Melden Sie sich an, um fortzufahren.";

    go_on = "Go on with what you were doing?", "Weitermachen, wo Sie waren?";
    go_on_why = "Your session ended before this could be saved. Nothing of it is lost, except passwords.", "Ihre Sitzung war beendet, bevor gespeichert werden konnte. Verloren ist nichts davon, außer Passwörtern.";
    go_on_to = "Is sent to", "Wird gesendet an";
    go_on_save = "Save it now", "Jetzt speichern";
    go_on_lost = "What you typed is no longer here.", "Ihre Eingaben sind nicht mehr vorhanden.";

    allow_title(client) = "Allow {client}?", "{client} erlauben?";
    allow_heading(client) = "Allow {client} to act for you?", "Darf {client} für Sie handeln?";
    asks_for = "It will be able to:", "Das wird möglich:";
    asks_for_more = "It asks for more than you have allowed before.", "Es wird mehr verlangt, als Sie bisher erlaubt haben.";
    allow_service(service) = "Use {service} as you", "{service} in Ihrem Namen verwenden";
    allow_service_detail = "Everything that you may do there.", "Alles, was Sie dort dürfen.";
    allow_new = "New", "Neu";
    claim_identity = "See who you are", "Sehen, wer Sie sind";
    claim_identity_detail = "Your name and login.", "Ihren Namen und Anmeldenamen.";
    claim_email = "See your e-mail address", "Ihre E-Mail-Adresse sehen";
    claim_email_detail = "The address, and whether it is confirmed.", "Die Adresse und ob sie bestätigt ist.";
    claim_groups = "See your groups", "Ihre Gruppen sehen";
    claim_groups_detail = "The names of the groups that you belong to.", "Die Namen der Gruppen, denen Sie angehören.";
    claim_offline = "Act while you are away", "Handeln, während Sie nicht da sind";
    claim_offline_detail = "It can go on without you being signed in, until you take this back.", "Auch ohne dass Sie angemeldet sind, bis Sie es zurücknehmen.";
    allow_until(date) = "This is remembered until {date}. You can take it back at any time under", "Das gilt bis {date}. Zurücknehmen können Sie es jederzeit unter";
    allow_destination(client) = "The administrator of the gateway has registered this address for {client}. You go back to", "Die Verwaltung des Gateways hat diese Adresse für {client} eingetragen. Sie kommen zurück zu";
    allow = "Allow", "Erlauben";

    choose_password = "Choose a new password", "Neues Passwort wählen";
    password_for(login) = "for {login}", "für {login}";
    password_once = "The password that you signed in with was good for one time.", "Das Passwort, mit dem Sie sich angemeldet haben, galt nur für ein Mal.";
    new_password = "New password", "Neues Passwort";
    new_password_again = "New password, once more", "Neues Passwort, noch einmal";
    password_rule = "At least 12 characters. A few words that you remember are better than one with tricks.", "Mindestens 12 Zeichen. Ein paar Wörter, die Sie sich merken, sind besser als eines mit Sonderzeichen.";
    password_twice = "Type the new password twice.", "Geben Sie das neue Passwort zweimal ein.";
    password_differs = "The two are not the same.", "Die beiden stimmen nicht überein.";
    password_short = "It has fewer than 12 characters.", "Es hat weniger als 12 Zeichen.";
    password_long = "It has more than 1,024 bytes.", "Es hat mehr als 1.024 Bytes.";
    password_same = "This is the one-time password. Choose another.", "Das ist das Einmalpasswort. Wählen Sie ein anderes.";
    password_not_taken(why) = "It cannot be taken: {why}.", "Es kann nicht verwendet werden: {why}.";
    password_save = "Save and continue", "Speichern und weiter";

    second_step = "Two-step sign-in", "Anmeldung in zwei Schritten";
    code = "Code", "Code";
    code_rule = "The six digits that your authenticator app shows, or one of your recovery codes.", "Die sechs Ziffern, die Ihre Authenticator-App zeigt, oder einer Ihrer Wiederherstellungscodes.";
    wrong_code = "This code is not good, or not any more. Try the next one.", "Dieser Code gilt nicht oder nicht mehr. Versuchen Sie es mit dem nächsten.";
    second_step_expired = "That took too long. Sign in again.", "Das hat zu lange gedauert. Melden Sie sich noch einmal an.";

    signed_out = "You are signed out", "Sie sind abgemeldet";
    signed_out_detail = "Services that you have open may show what they have loaded until you close them.", "Geöffnete Dienste zeigen vielleicht noch, was sie geladen haben, bis Sie sie schließen.";
    sign_in_again = "Sign in again", "Wieder anmelden";
    go_to(service) = "Go to {service}", "Zu {service}";

    continue_to(service) = "Continue to {service}", "Weiter zu {service}";
    continue_detail = "You are signed in. If nothing happens, press the button.", "Sie sind angemeldet. Wenn nichts geschieht, drücken Sie den Knopf.";
    the_application = "the application", "die Anwendung";
}
