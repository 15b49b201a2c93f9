//! Administration of users and groups.

super::catalogue! {
    users_find = "Name, login or address; or a query such as is: banned", "Name, Anmeldename oder Adresse; oder eine Suche wie is: banned";
    search_wrong(why) = "The query is not understood: {why}.", "Die Suche wird nicht verstanden: {why}.";
    user_new = "New user", "Neuer Benutzer";
    user = "User", "Benutzer";
    state = "State", "Zustand";
    last_seen = "Last seen", "Zuletzt gesehen";
    badge_banned = "Banned", "Gesperrt";
    badge_guest = "Guest", "Gast";
    badge_administrator = "Administrator", "Verwaltung";
    badge_declared = "In gateway.toml", "In gateway.toml";
    badge_erased = "Erased", "Gelöscht";
    badge_no_password = "No password", "Ohne Passwort";
    badge_one_time = "One-time password", "Einmalpasswort";
    badge_active = "Active", "Aktiv";

    user_new_lead = "They sign in with the login or the e-mail address.", "Angemeldet wird mit dem Anmeldenamen oder der E-Mail-Adresse.";
    user_name_hint = "What others see. Empty: the login.", "Was andere sehen. Leer: der Anmeldename.";
    user_how = "How they get in", "Wie sie hineinkommen";
    user_how_mail = "Send an invitation by mail", "Eine Einladung per E-Mail senden";
    user_how_mail_hint = "With a link to choose a password, good for seven days.", "Mit einem Link, ein Passwort zu wählen, der sieben Tage gilt.";
    user_how_once = "Show me a one-time password", "Mir ein Einmalpasswort zeigen";
    user_how_once_hint = "You hand it over. It is good for one sign-in, at which they choose their own.", "Sie geben es weiter. Es gilt für eine Anmeldung, bei der ein eigenes gewählt wird.";
    user_how_none = "No password for now", "Vorerst kein Passwort";
    user_create = "Create user", "Benutzer anlegen";
    user_groups_lead = "Groups", "Gruppen";
    administrator_label = "May administer this gateway", "Darf dieses Gateway verwalten";
    administrator_hint = "Everything on these pages, for everybody.", "Alles auf diesen Seiten, für alle.";
    needs_address = "An invitation needs an address.", "Eine Einladung braucht eine Adresse.";

    profile_title = "Profile", "Profil";
    verified_label = "The address is confirmed", "Die Adresse ist bestätigt";
    verified_hint = "Services are told only of addresses that are.", "Diensten wird nur eine bestätigte Adresse genannt.";
    language_label = "Language of pages and mail", "Sprache von Seiten und E-Mail";
    language_browser = "That of the browser", "Die des Browsers";
    declared_note = "This account is declared in gateway.toml: profile, password and groups are changed there.", "Dieses Konto steht in gateway.toml: Profil, Passwort und Gruppen werden dort geändert.";
    guest_note = "The guest stands for whoever has not signed in. While banned, which is the rule, nobody gets anything without signing in.", "Der Gast steht für alle, die nicht angemeldet sind. Solange er gesperrt ist, und das ist die Regel, bekommt ohne Anmeldung niemand etwas.";
    erased_note = "The person was taken out of this account. Its id stays, because others may have written it down.", "Die Person wurde aus diesem Konto entfernt. Die Kennung bleibt, weil andere sie notiert haben können.";
    user_id = "Id", "Kennung";
    created_at = "Created", "Angelegt";

    account_title = "Account", "Konto";
    access_title = "Access", "Zugang";
    password_label = "Password", "Passwort";
    password_since(when) = "set {when}", "gesetzt {when}";
    password_is_once(when) = "for one sign-in, set {when}", "für eine Anmeldung, gesetzt {when}";
    password_is_none = "none", "keines";
    one_time_button = "Make a one-time password", "Einmalpasswort erzeugen";
    one_time_hint = "Ends every session. They choose their own when they sign in.", "Beendet alle Sitzungen. Bei der Anmeldung wird ein eigenes gewählt.";
    one_time_made(login) = "One-time password of {login}", "Einmalpasswort von {login}";
    invite_button = "Send a link to choose a password", "Link zum Wählen eines Passworts senden";
    confirm_button = "Send a link to confirm the address", "Link zum Bestätigen der Adresse senden";
    mail_none = "This gateway has no mail server.", "Dieses Gateway hat keinen Mailserver.";
    mail_not_for_them = "This user gets no such link: there is no address, or the account is banned or declared in gateway.toml.", "Dieser Benutzer bekommt keinen solchen Link: Es fehlt die Adresse, oder das Konto ist gesperrt oder steht in gateway.toml.";
    mail_too_many = "This user was sent as many links as there may be. Try again later.", "Dieser Benutzer hat so viele Links bekommen, wie es sein dürfen. Versuchen Sie es später noch einmal.";
    second_step_label = "Second step", "Zweiter Schritt";
    second_step_is_on = "On", "Eingeschaltet";
    second_step_is_off = "off", "ausgeschaltet";
    second_step_turn_off = "Turn the second step off", "Zweiten Schritt ausschalten";
    second_step_turn_off_why = "For somebody who has lost device and recovery codes. Make sure that it is them.", "Für jemanden, dem Gerät und Wiederherstellungscodes fehlen. Vergewissern Sie sich, dass es diese Person ist.";
    ban_title = "Ban", "Sperren";
    ban_lead = "Ends every session and token at once. Nothing is deleted.", "Beendet sofort alle Sitzungen und Tokens. Gelöscht wird nichts.";
    ban_reason = "Reason", "Grund";
    ban_reason_hint = "For administrators.", "Für die Verwaltung.";
    ban_badge = "Shown beside the name", "Neben dem Namen";
    ban_badge_hint = "A word that others see, for example: on leave.", "Ein Wort, das andere sehen, etwa: beurlaubt.";
    ban_button = "Ban this user", "Benutzer sperren";
    unban_button = "Let in again", "Wieder zulassen";
    banned_since(when) = "Banned {when}.", "Gesperrt {when}.";
    unban_lead = "Old sessions and tokens stay dead.", "Alte Sitzungen und Tokens bleiben beendet.";

    groups_none = "In no group.", "In keiner Gruppe.";
    groups_through = "Through these:", "Dadurch auch:";
    group_add_to = "Put into a group", "In eine Gruppe aufnehmen";
    add = "Add", "Hinzufügen";
    group_unknown = "There is no such group.", "Eine solche Gruppe gibt es nicht.";
    leave_group(name) = "Remove from {name}", "Entfernen aus {name}";

    sessions_title = "Sessions", "Sitzungen";
    sessions_none = "Signed in nowhere.", "Nirgends angemeldet.";
    session_browser = "Browser", "Browser";
    session_address = "Address", "Adresse";
    session_used = "Last used", "Zuletzt benutzt";
    session_end = "End", "Beenden";
    session_end_all = "End all sessions", "Alle Sitzungen beenden";
    programs_title = "Programs", "Programme";
    programs_none = "No program has access.", "Kein Programm hat Zugang.";
    program_kind = "Kind", "Art";
    program_token = "Permanent token", "Dauerhaftes Token";
    program_password = "Application password", "Anwendungspasswort";
    program_consent = "Approved service", "Erlaubter Dienst";
    program_refresh = "Refresh token", "Erneuerungs-Token";
    revoke_one(name) = "Revoke {name}", "Widerrufen: {name}";

    ends_title = "Merge, erase, remove", "Zusammenführen, löschen, entfernen";
    merge_title = "Merge into another account", "Mit einem anderen Konto zusammenführen";
    merge_lead(login) = "The other account takes over the groups. {login} is removed with its sessions, tokens and rights.", "Das andere Konto übernimmt die Gruppen. {login} wird mit Sitzungen, Tokens und Rechten entfernt.";
    merge_into = "Login or address of the account that stays", "Anmeldename oder Adresse des Kontos, das bleibt";
    merge_button = "Merge", "Zusammenführen";
    user_unknown = "There is no such user.", "Einen solchen Benutzer gibt es nicht.";
    erase_title = "Erase personal data", "Personenbezogene Daten löschen";
    erase_lead = "Takes out name, address, password, groups and tokens, here and in the audit log. The id stays. This cannot be undone.", "Entfernt Name, Adresse, Passwort, Gruppen und Tokens, hier und im Änderungsprotokoll. Die Kennung bleibt. Das ist nicht rückgängig zu machen.";
    erase_button = "Erase", "Löschen";
    remove_user_title = "Remove the account", "Konto entfernen";
    remove_user_lead = "The account is gone with everything that belongs to it. This cannot be undone.", "Das Konto ist mit allem fort, was dazugehört. Das ist nicht rückgängig zu machen.";
}

super::catalogue! {
    groups_find = "Name of a group", "Name einer Gruppe";
    group_new = "New group", "Neue Gruppe";
    group_new_lead = "Rules of gateway.toml name groups, and upstreams are told of them.", "Regeln in gateway.toml nennen Gruppen, und Upstreams wird gesagt, wer in welcher ist.";
    group = "Group", "Gruppe";
    group_create = "Create group", "Gruppe anlegen";
    description = "Description", "Beschreibung";
    members = "Members", "Mitglieder";
    members_own_all(own, all) = "{own} ({all} with groups below)", "{own} ({all} mit Untergruppen)";
    parent_label = "Group above", "Übergeordnete Gruppe";
    parent_none = "None", "Keine";
    parent_why = "Whoever is in a group is in the one above it too.", "Wer in einer Gruppe ist, ist auch in der darüber.";
    auto_join_label = "New users are put into it", "Neue Benutzer werden aufgenommen";
    badge_auto_join = "New users", "Neue Benutzer";
    badge_everybody = "Everybody", "Alle";
    everybody_note = "Everybody but the guest is in this group. Nobody is put into it or taken out, and no rule of gateway.toml knows it.", "In dieser Gruppe sind alle außer dem Gast. Niemand wird aufgenommen oder entfernt, und keine Regel in gateway.toml kennt sie.";
    members_find = "Find members", "Mitglieder suchen";
    members_none = "Nobody is in this group.", "In dieser Gruppe ist niemand.";
    member_add = "Login or address of a user", "Anmeldename oder Adresse eines Benutzers";
    member_out(name) = "Remove {name}", "Entfernen: {name}";
    member_below = "in a group below", "in einer Untergruppe";
    subgroups = "Groups below", "Untergruppen";
    rules_title = "Rules that name this group", "Regeln, die diese Gruppe nennen";
    rules_none = "No rule of gateway.toml names it. Services may, because they are told of it.", "Keine Regel in gateway.toml nennt sie. Dienste können es, denn ihnen wird sie genannt.";
    rule_path = "Path", "Pfad";
    rule_methods = "Methods", "Methoden";
    rule_all_methods = "all", "alle";
    rule_service = "Service", "Dienst";
    rename_warning = "Rules of gateway.toml name this group; with another name they let nobody in until they are changed too.", "Regeln in gateway.toml nennen diese Gruppe; unter anderem Namen lassen sie niemanden ein, bis auch sie geändert sind.";
    remove_group_title = "Remove the group", "Gruppe entfernen";
    remove_group_lead = "Its members stay, without it; what they could do by it ends at once.", "Die Mitglieder bleiben, ohne sie; was sie dadurch durften, endet sofort.";
    successor_label = "Members go to", "Mitglieder kommen in";
    successor_none = "no other group", "keine andere Gruppe";
}

super::catalogue! {
    is_empty = "This is needed.", "Diese Angabe wird gebraucht.";
    has_blanks = "It begins or ends with a blank.", "Am Anfang oder Ende steht ein Leerzeichen.";
    longer_than_100 = "It has more than 100 characters.", "Es hat mehr als 100 Zeichen.";
    longer_than_1000 = "It has more than 1000 characters.", "Es hat mehr als 1000 Zeichen.";
    has_control = "It has a control character.", "Darin steht ein Steuerzeichen.";
    is_guests = "This is the guest's login.", "Das ist der Anmeldename des Gastes.";
    has_comma = "It has a comma, which separates groups.", "Darin steht ein Komma, und das trennt Gruppen.";
    no_address = "This is no e-mail address.", "Das ist keine E-Mail-Adresse.";
    address_too_long = "This is too long for an e-mail address.", "Das ist zu lang für eine E-Mail-Adresse.";
    no_language = "This is no language.", "Das ist keine Sprache.";
    refused_as(why) = "It {why}.", "Nicht möglich: {why}.";
    is_taken = "Another account has this already.", "Das hat schon ein anderes Konto.";
    group_name_taken = "Another group has this name already.", "So heißt schon eine andere Gruppe.";
    last_administrator(login) = "{login} is the last administrator. Make somebody else one first.", "{login} ist die letzte Person mit Verwaltungsrecht. Geben Sie es zuvor jemand anderem.";
    not_the_guest = "That cannot be done with the guest.", "Mit dem Gast geht das nicht.";
    declared_elsewhere(login) = "{login} is declared in gateway.toml; change it there.", "{login} steht in gateway.toml; ändern Sie es dort.";
    is_erased = "This account is erased.", "Dieses Konto ist gelöscht.";
    with_itself = "It cannot be merged with itself.", "Mit sich selbst geht das nicht.";
    group_cycle = "A group cannot be below itself.", "Eine Gruppe kann nicht unter sich selbst stehen.";
    group_too_deep = "Groups would be nested too deep.", "Die Gruppen wären zu tief verschachtelt.";
    not_everybody = "That cannot be done with the group of everybody.", "Mit der Gruppe aller geht das nicht.";
    too_busy = "Too many passwords are being made at this moment. Try again.", "Gerade werden zu viele Passwörter berechnet. Versuchen Sie es noch einmal.";
}
