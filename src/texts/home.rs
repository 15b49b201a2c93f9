//! The page on which somebody arrives, and the first steps with a new gateway.

super::catalogue! {
    hello(name) = "Hello, {name}", "Guten Tag, {name}";
    home_services = "Your services", "Ihre Dienste";
    home_empty = "You are signed in. Services that use this gateway know you from here; there is nothing else to do.", "Sie sind angemeldet. Dienste hinter diesem Gateway erkennen Sie nun; mehr ist nicht zu tun.";
    guide_title = "Three steps to your first service", "Drei Schritte zum ersten Dienst";
    guide_service = "Register a service", "Einen Dienst eintragen";
    guide_service_why = "A service is whatever stands behind the gateway or asks it for tokens: it gets an id, a secret and its own scope.", "Ein Dienst ist, was hinter dem Gateway steht oder Tokens von ihm verlangt: Er bekommt eine Kennung, ein Geheimnis und seinen eigenen Geltungsbereich.";
    guide_service_do = "Register a service", "Dienst eintragen";
    guide_service_done(name) = "{name} is registered.", "{name} ist eingetragen.";
    guide_upstream = "Name its upstream", "Seinen Upstream nennen";
    guide_upstream_why = "Add this to gateway.toml: below which path it is reached, and where it runs. The gateway reads the file again as soon as it changes.", "Fügen Sie dies in gateway.toml ein: unter welchem Pfad er erreichbar ist und wo er läuft. Das Gateway liest die Datei neu, sobald sie sich ändert.";
    guide_try = "Try a request", "Eine Anfrage versuchen";
    guide_try_why = "The page of the service shows a line for your shell that obtains a token and uses it.", "Die Seite des Dienstes zeigt eine Zeile für Ihre Shell, die ein Token besorgt und verwendet.";
}
