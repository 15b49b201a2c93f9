//! Mail, and the pages around it: a new password, an invitation, an address to be confirmed.

super::catalogue! {
    restore_title = "Forgotten password", "Passwort vergessen";
    restore_text = "Type your login or e-mail address. A link to choose another password comes by mail.", "Geben Sie Ihren Anmeldenamen oder Ihre E-Mail-Adresse ein. Ein Link, mit dem Sie ein anderes Passwort wählen, kommt per E-Mail.";
    restore_send = "Send me a link", "Link senden";
    restore_back = "Back to sign-in", "Zurück zur Anmeldung";
    restore_asked_title = "Look into your mail", "Sehen Sie in Ihre E-Mail";
    restore_asked = "If there is an account of this name, a link is on its way to its e-mail address. It is good for one hour. Nothing came? Look among the spam, or ask your administrator.", "Gibt es ein Konto dieses Namens, ist ein Link an seine E-Mail-Adresse unterwegs. Er gilt eine Stunde. Nichts gekommen? Sehen Sie im Spam nach, oder fragen Sie Ihre Verwaltung.";
    password_set = "Your new password is saved. Sign in with it.", "Ihr neues Passwort ist gespeichert. Melden Sie sich damit an.";
    link_restore = "All sessions of this account end, on every device.", "Alle Sitzungen dieses Kontos enden, auf jedem Gerät.";
    link_invitation = "You sign in with it from now on.", "Damit melden Sie sich von nun an an.";
    link_over_title = "This link is no longer good", "Dieser Link gilt nicht mehr";
    link_over = "A link is good once and for a time, and a newer one takes its place.", "Ein Link gilt einmal und eine Zeit lang, und ein neuerer ersetzt ihn.";
    link_again = "Ask for another link", "Einen anderen Link anfordern";
    confirm_title = "Confirm your e-mail address", "E-Mail-Adresse bestätigen";
    confirm_text(address, login) = "Is {address} your address, and {login} your account?", "Ist {address} Ihre Adresse und {login} Ihr Konto?";
    confirm_yes = "Yes, confirm it", "Ja, bestätigen";
    confirmed_title = "Your e-mail address is confirmed", "Ihre E-Mail-Adresse ist bestätigt";
    confirmed_text = "Thank you. There is nothing more to do.", "Vielen Dank. Mehr ist nicht zu tun.";
}

super::catalogue! {
    letter_restore_title(host) = "Choose a new password for {host}", "Neues Passwort für {host}";
    letter_restore(login, host, link) =
        "Somebody asked for a new password for your account \"{login}\" at {host}.\n\nIf it was you, choose one here. The link is good for one hour, and once:\n\n{link}\n\nIf it was not you, there is nothing to do: your password stays as it is.\n",
        "Für Ihr Konto \"{login}\" bei {host} wurde ein neues Passwort angefordert.\n\nWenn Sie das waren, wählen Sie es hier. Der Link gilt eine Stunde lang und ein Mal:\n\n{link}\n\nWenn Sie das nicht waren, müssen Sie nichts tun: Ihr Passwort bleibt, wie es ist.\n";
    letter_invitation_title(host) = "You are invited to {host}", "Einladung zu {host}";
    letter_invitation(login, host, link) =
        "There is an account for you at {host}. Your login is \"{login}\".\n\nChoose your password here. The link is good for seven days, and once:\n\n{link}\n",
        "Bei {host} gibt es ein Konto für Sie. Ihr Anmeldename ist \"{login}\".\n\nWählen Sie hier Ihr Passwort. Der Link gilt sieben Tage lang und ein Mal:\n\n{link}\n";
    letter_address_title(host) = "Confirm your e-mail address for {host}", "E-Mail-Adresse für {host} bestätigen";
    letter_address(login, host, link) =
        "This address was given for the account \"{login}\" at {host}.\n\nIf it is your account, confirm the address here. The link is good for one day:\n\n{link}\n\nIf it is not, there is nothing to do.\n",
        "Diese Adresse wurde für das Konto \"{login}\" bei {host} angegeben.\n\nWenn es Ihr Konto ist, bestätigen Sie die Adresse hier. Der Link gilt einen Tag lang:\n\n{link}\n\nWenn nicht, müssen Sie nichts tun.\n";
    letter_password_changed_title(host) = "Your password for {host} was changed", "Ihr Passwort für {host} wurde geändert";
    letter_password_changed(login, host, link) =
        "The password of your account \"{login}\" at {host} was changed, and all sessions were ended.\n\nIf it was not you, tell your administrator at once, and choose another password here:\n\n{link}\n",
        "Das Passwort Ihres Kontos \"{login}\" bei {host} wurde geändert, und alle Sitzungen wurden beendet.\n\nWenn Sie das nicht waren, sagen Sie es sofort Ihrer Verwaltung, und wählen Sie hier ein anderes:\n\n{link}\n";
    letter_address_changed_title(host) = "Your e-mail address at {host} was changed", "Ihre E-Mail-Adresse bei {host} wurde geändert";
    letter_address_changed(login, host) =
        "The account \"{login}\" at {host} has another e-mail address now, or none. This one is used no more.\n\nIf it was not you, somebody knows your password: tell your administrator at once.\n",
        "Das Konto \"{login}\" bei {host} hat jetzt eine andere oder keine E-Mail-Adresse. Diese wird nicht mehr benutzt.\n\nWenn Sie das nicht waren, kennt jemand Ihr Passwort: Sagen Sie es sofort Ihrer Verwaltung.\n";
}
