//! Users and groups, as an administrator sees and changes them.

use super::{Console, after, assert_guarded, page};
use crate::support::{
    Answer,
    browser::{Browser, form, hidden, own},
    smtp::Smtp,
};

const USERS: &str = "/hub/admin/users";
const GROUPS: &str = "/hub/admin/groups";

/// A user made by the form, without a password. Returns the path of its page.
fn add(root: &mut Browser<'_>, login: &str, more: &[(&str, &str)]) -> String {
    let fields = [&[("login", login), ("how", "none")], more].concat();
    let answer = root.post(&format!("{USERS}/new"), &form(&fields));
    assert_eq!(answer.status, 303, "{}", answer.text());
    own(&answer).trim_end_matches("?done=created").to_owned()
}

fn add_group(root: &mut Browser<'_>, name: &str, more: &[(&str, &str)]) -> String {
    let answer = root.post(&format!("{GROUPS}/new"), &form(&[&[("name", name)], more].concat()));
    assert_eq!(answer.status, 303, "{}", answer.text());
    own(&answer).trim_end_matches("?done=created").to_owned()
}

/// What a form with mistakes is answered with.
#[track_caller]
fn refused(answer: &Answer) -> String {
    assert_eq!(answer.status, 422, "{}", answer.text());
    answer.text()
}

/// The mistake at a field.
#[track_caller]
fn mistake<'p>(page: &'p str, field: &str) -> &'p str {
    let marker = format!("id=\"{field}-mistake\">");
    let (_, rest) = page.split_once(&marker).unwrap_or_else(|| panic!("no mistake at {field} in {page}"));
    rest.split('<').next().unwrap()
}

#[test]
fn users_are_found_as_one_types() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    add(&mut root, "mallory", &[("name", "Mallory <Archer>"), ("email", "mal@example.org")]);
    let mut names = |query: &str| -> Vec<String> {
        let shown = page(&root.get(&format!("{USERS}?{}", form(&[("q", query)]))));
        let known = ["Root", "Jane", "Joe", "Mallory &#60;Archer&#62;", "Guest"];
        let name = |name: &&&str| shown.contains(&format!(">{name}</a>"));
        known.iter().filter(name).map(|name| (*name).to_owned()).collect()
    };
    assert_eq!(names("").len(), 5);
    assert_eq!(names("ja"), ["Jane"]);
    assert_eq!(names("arch"), ["Mallory &#60;Archer&#62;"]);
    assert_eq!(names("mal@exa"), ["Mallory &#60;Archer&#62;"]);
    assert_eq!(names("is: administrator"), ["Root"]);
    assert_eq!(names("is: banned"), ["Guest"]);
    assert_eq!(names("not is: guest and not login: jane"), ["Root", "Joe", "Mallory &#60;Archer&#62;"]);
    assert_eq!(names("nobody at all"), Vec::<String>::new());
    let wrong = page(&root.get(&format!("{USERS}?q=is%3A+wrong")));
    assert!(
        wrong.contains("The query is not understood") && wrong.contains("value=\"is: wrong\""),
        "{wrong}"
    );
    let evil = page(&root.get(&format!("{USERS}?q=%22%3E%3Cscript%3E")));
    assert!(!evil.contains("<script>") || !evil.contains("\"><script>"), "{evil}");
    let list = page(&root.get(USERS));
    for part in
        ["Administrator", "In gateway.toml", "Banned", "No password", "just now", "data-live=\"#list\""]
    {
        assert!(list.contains(part), "{part} not in {list}");
    }
}

#[test]
fn a_user_is_made_with_a_password_for_one_sign_in() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let group = add_group(&mut root, "Writers", &[]);
    let group_id = group.rsplit('/').next().unwrap().to_owned();
    let empty = page(&root.get(&format!("{USERS}/new")));
    assert!(!empty.contains("value=\"mail\""), "there is no mail server: {empty}");
    let once = hidden(&empty, "once");
    let fields = form(&[
        ("once", &once),
        ("login", "eve"),
        ("name", "Eve \"><b>"),
        ("email", "eve@example.org"),
        ("how", "once"),
        ("groups", &group_id),
    ]);
    let shown = page(&root.post(&format!("{USERS}/new"), &fields));
    let secret = shown.split_once("id=\"made\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    assert!(secret.len() == 23 && shown.contains("One-time password of eve"), "{shown}");
    assert!(shown.contains("Eve &#34;&#62;&#60;b&#62;") && !shown.contains("<b>"), "{shown}");
    assert!(shown.contains(">Writers</a>"), "{shown}");
    // The button pressed twice shows the same, and makes nobody twice.
    let again = page(&root.post(&format!("{USERS}/new"), &fields));
    assert!(again.contains(&secret), "{again}");
    let list = page(&root.get(&format!("{USERS}?q=eve")));
    assert_eq!(list.matches("/hub/admin/users/").count(), 2, "the button and one row: {list}");

    let mut eve = Browser::new(&console.gateway);
    assert_eq!(eve.log_in("", "eve", &secret).status, 303);
    assert!(own(&eve.get("/hub/")).starts_with("/hub/auth/password"));

    for (fields, field, why) in [
        (vec![("login", "EVE")], "login", "Another account has this already."),
        (vec![("login", "")], "login", "This is needed."),
        (vec![("login", "guest")], "login", "the guest"),
        (vec![("login", "new"), ("name", &"x".repeat(101))], "name", "more than 100"),
        (vec![("login", "new"), ("email", "nobody")], "email", "no e-mail address"),
        (vec![("login", "new"), ("email", "EVE@example.org")], "email", "Another account"),
        (vec![("login", "new"), ("how", "mail")], "email", "needs an address"),
    ] {
        let answer = root.post(&format!("{USERS}/new"), &form(&fields));
        let shown = refused(&answer);
        assert!(mistake(&shown, field).contains(why), "{fields:?}: {shown}");
        let typed = fields[0].1;
        assert!(shown.contains(&format!("name=\"login\" value=\"{typed}\"")), "{shown}");
    }
    let german = crate::support::Request::form(&format!("{USERS}/new"), "login=")
        .header("Origin", crate::support::gateway::PUBLIC_URL)
        .header("Accept-Language", "de");
    assert!(root.send(german).text().contains("Diese Angabe wird gebraucht."));
}

#[test]
fn a_profile_is_changed_and_mistakes_stand_at_their_fields() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let eve = add(&mut root, "eve", &[("email", "eve@example.org")]);
    let shown = page(&root.get(&eve));
    for part in ["value=\"eve@example.org\"", "name=\"verified\" value=\"on\" checked", "No password"] {
        assert!(shown.contains(part), "{part} not in {shown}");
    }
    let fields = [
        ("login", "eva"),
        ("name", "Eva"),
        ("email", "eva@example.org"),
        ("locale", "de"),
        ("administrator", "on"),
    ];
    let answer = root.post(&eve, &form(&fields));
    let shown = after(&mut root, &answer);
    for part in [
        "Saved.",
        "value=\"eva\"",
        "<option value=\"de\" selected>",
        "name=\"administrator\" value=\"on\" checked",
    ] {
        assert!(shown.contains(part), "{part} not in {shown}");
    }
    assert!(!shown.contains("name=\"verified\" value=\"on\" checked"), "{shown}");
    let shown = refused(&root.post(&eve, &form(&[("login", "jane"), ("name", "<i>"), ("email", "x")])));
    assert!(mistake(&shown, "email").contains("no e-mail address"), "{shown}");
    assert!(shown.contains("value=\"jane\"") && shown.contains("value=\"&#60;i&#62;\""), "{shown}");
    let shown = refused(&root.post(&eve, &form(&[("login", "jane"), ("name", "Eva")])));
    assert!(mistake(&shown, "login").contains("Another account"), "{shown}");
    let log = console.gateway.command(&["audit", "list", "--json", "--type", "updated"]);
    assert!(log.contains("\"eva@example.org\"") && log.contains("root"), "{log}");
    for path in [format!("{USERS}/nobody"), format!("{USERS}/a%20b")] {
        assert_eq!(root.get(&path).status, 404, "{path}");
    }
}

#[test]
fn somebody_may_always_administer() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let other = add(&mut root, "admin2", &[("administrator", "on")]);
    let id = |root: &mut Browser<'_>, login: &str| {
        let list = page(&root.get(&format!("{USERS}?q=login%3A+{login}")));
        let at = list.rfind("/hub/admin/users/").unwrap();
        list[at..].split('"').next().unwrap().to_owned()
    };
    let own_page = id(&mut root, "root");
    // The one whom the file declares is changed in the file.
    let shown = page(&root.get(&own_page));
    assert!(shown.contains("declared in gateway.toml") && !shown.contains("name=\"login\""), "{shown}");
    for (path, fields) in [
        ("", form(&[("login", "root2")])),
        ("/password", String::new()),
        ("/remove", form(&[("remove_confirm", "root")])),
        ("/erase", form(&[("erase_confirm", "root")])),
        ("/merge", form(&[("into", "admin2"), ("merge_confirm", "root")])),
        ("/groups/add", form(&[("group", "nowhere")])),
    ] {
        let answer = root.post(&format!("{own_page}{path}"), &fields);
        refused(&answer);
    }
    // Of two administrators one may go, the last one not.
    let answer = root.post(&format!("{own_page}/ban"), "reason=gone");
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(root.get(USERS).status, 303, "root is out");
    console.gateway.command(&["user", "unban", "root"]);
    let mut root = console.signed_in("root");
    let answer = root.post(&other, &form(&[("login", "admin2")]));
    after(&mut root, &answer);
    let shown = refused(&root.post(&format!("{own_page}/ban"), "reason=gone"));
    assert!(shown.contains("last administrator") && shown.contains("value=\"gone\""), "{shown}");
    assert_eq!(root.get(USERS).status, 200);
}

#[test]
fn a_ban_a_password_and_the_end_of_sessions_act_at_once() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let eve = add(&mut root, "eve", &[]);
    let answer = root.post(&format!("{eve}/password"), "once=abc");
    let shown = page(&answer);
    let secret = shown.split_once("id=\"made\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    assert!(page(&root.post(&format!("{eve}/password"), "once=abc")).contains(&secret));
    let mut browser = Browser::new(&console.gateway);
    browser.log_in("", "eve", &secret);
    let chosen = form(&[("newPassword", "a password of eve"), ("newPasswordAgain", "a password of eve")]);
    assert_eq!(browser.post("/hub/auth/password", &chosen).status, 303);
    assert_eq!(browser.get("/hub/").status, 200);
    let shown = page(&root.get(&eve));
    assert!(shown.contains("127.0.0.1") && shown.contains("End all sessions"), "{shown}");
    let session = hidden(&shown, "session");
    // Of somebody else it is not ended.
    let jane = page(&root.get(&format!("{USERS}?q=jane")));
    let jane = jane[jane.rfind("/hub/admin/users/").unwrap()..].split('"').next().unwrap().to_owned();
    root.post(&format!("{jane}/sessions/end"), &form(&[("session", &session)]));
    assert_eq!(browser.get("/hub/").status, 200);
    let answer = root.post(&format!("{eve}/sessions/end"), &form(&[("session", &session)]));
    assert!(after(&mut root, &answer).contains("Signed in nowhere."));
    assert_eq!(browser.get("/hub/").status, 303);

    browser.log_in("", "eve", "a password of eve");
    assert_eq!(root.post(&format!("{eve}/sessions/end"), "").status, 303);
    assert_eq!(browser.get("/hub/").status, 303);
    browser.log_in("", "eve", "a password of eve");
    let answer = root.post(&format!("{eve}/ban"), &form(&[("reason", "<left>"), ("badge", "away")]));
    let shown = after(&mut root, &answer);
    assert!(shown.contains("&#60;left&#62;") && shown.contains(">away</span>"), "{shown}");
    assert_eq!(browser.get("/hub/").status, 303);
    let long = "x".repeat(101);
    let shown = refused(&root.post(&format!("{jane}/ban"), &form(&[("reason", "why"), ("badge", &long)])));
    assert!(mistake(&shown, "badge").contains("100") && shown.contains("value=\"why\""), "{shown}");
    let answer = root.post(&format!("{eve}/unban"), "");
    assert!(after(&mut root, &answer).contains("Ban this user"));
    assert_eq!(browser.get("/hub/").status, 303, "what has ended stays ended");
}

#[test]
fn programs_are_shown_and_taken_back() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let eve = add(&mut root, "eve", &[]);
    let token = console
        .gateway
        .command(&["token", "create", "--user", "eve", "--name", "<ci>", "--scope", "alpha", "--json"]);
    let token: serde_json::Value = serde_json::from_str(&token).unwrap();
    let shown = page(&root.get(&eve));
    assert!(shown.contains("&#60;ci&#62;") && shown.contains("alpha by name"), "{shown}");
    assert!(shown.contains("Permanent token") && !shown.contains("perm:"), "{shown}");
    let program = hidden(&shown, "program");
    let answer = root.post(&format!("{eve}/programs/revoke"), &form(&[("program", &program)]));
    assert!(after(&mut root, &answer).contains("No program has access."));
    let answer = root.post(&format!("{eve}/programs/revoke"), &form(&[("program", &program)]));
    assert_eq!(answer.status, 303, "once more is harmless");
    let text = token["token"].as_str().unwrap();
    let call = crate::support::Request::get("/api/x").bearer(text);
    assert_eq!(console.gateway.send(&call).status, 401);
}

#[test]
fn accounts_are_merged_erased_and_removed_by_typing_the_login() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    add_group(&mut root, "Writers", &[]);
    let old = add(&mut root, "old", &[]);
    let answer = root.post(&format!("{old}/groups/add"), &form(&[("group", "writers")]));
    assert!(after(&mut root, &answer).contains(">Writers</a>"));
    let new = add(&mut root, "new", &[]);
    for (path, fields, field) in [
        ("merge", vec![("into", "new"), ("merge_confirm", "Old")], "merge_confirm"),
        ("merge", vec![("into", "nobody"), ("merge_confirm", "old")], "into"),
        ("erase", vec![("erase_confirm", "")], "erase_confirm"),
        ("remove", vec![("remove_confirm", "new")], "remove_confirm"),
    ] {
        let shown = refused(&root.post(&format!("{old}/{path}"), &form(&fields)));
        assert!(
            !mistake(&shown, field).is_empty() && shown.contains("<details class=\"card danger\" open>"),
            "{path}"
        );
    }
    let shown =
        refused(&root.post(&format!("{old}/merge"), &form(&[("into", "old"), ("merge_confirm", "old")])));
    assert!(shown.contains("cannot be merged with itself"), "{shown}");
    let answer = root.post(&format!("{old}/merge"), &form(&[("into", "new"), ("merge_confirm", "old")]));
    assert!(own(&answer).starts_with(&new), "{}", own(&answer));
    assert!(after(&mut root, &answer).contains(">Writers</a>"));
    assert_eq!(root.get(&old).status, 404);
    let answer = root.post(&format!("{new}/erase"), "erase_confirm=new");
    let shown = after(&mut root, &answer);
    assert!(shown.contains("was taken out of this account") && !shown.contains("name=\"login\""), "{shown}");
    let gone = add(&mut root, "gone", &[]);
    let answer = root.post(&format!("{gone}/remove"), "remove_confirm=gone");
    assert!(after(&mut root, &answer).contains("Removed."));
    assert_eq!(root.get(&gone).status, 404);
    // The guest is shown as one, and stays.
    let guest = page(&root.get(&format!("{USERS}?q=is%3A+guest")));
    let guest = guest[guest.rfind("/hub/admin/users/").unwrap()..].split('"').next().unwrap().to_owned();
    let shown = page(&root.get(&guest));
    assert!(shown.contains("The guest stands for") && !shown.contains("/remove\""), "{shown}");
    for (path, fields) in [("remove", "remove_confirm=guest"), ("password", ""), ("", "login=guest2")] {
        refused(&root.post(format!("{guest}/{path}").trim_end_matches('/'), fields));
    }
}

#[test]
fn groups_are_made_nested_filled_and_removed() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let staff = add_group(&mut root, "Staff", &[("description", "who <works> here")]);
    let staff_id = staff.rsplit('/').next().unwrap().to_owned();
    let writers = add_group(&mut root, "Writers", &[("parent", &staff_id), ("auto_join", "on")]);
    let writers_id = writers.rsplit('/').next().unwrap().to_owned();
    let list = page(&root.get(GROUPS));
    for part in ["who &#60;works&#62; here", ">All Users</a>", "New users", ">Staff</a>"] {
        assert!(list.contains(part), "{part} not in {list}");
    }
    let found = page(&root.get(&format!("{GROUPS}?q=wri")));
    assert!(found.contains(">Writers</a>") && !found.contains("All Users"), "{found}");
    let empty = page(&root.get(&format!("{GROUPS}/new")));
    let once = hidden(&empty, "once");
    let fields = form(&[("once", once.as_str()), ("name", "Twice")]);
    let first = own(&root.post(&format!("{GROUPS}/new"), &fields));
    assert_eq!(own(&root.post(&format!("{GROUPS}/new"), &fields)), first.trim_end_matches("?done=created"));
    for (fields, field, why) in [
        (vec![("name", "STAFF")], "name", "Another group"),
        (vec![("name", "a,b")], "name", "comma"),
        (vec![("name", "")], "name", "needed"),
        (vec![("name", "x"), ("description", &"x".repeat(1001))], "description", "1000"),
    ] {
        let shown = refused(&root.post(&format!("{GROUPS}/new"), &form(&fields)));
        assert!(mistake(&shown, field).contains(why), "{fields:?}");
    }
    // Who is new is put into it, and so is in the one above.
    let eve = add(&mut root, "eve", &[("name", "Eve <E>")]);
    let eve_id = eve.rsplit('/').next().unwrap().to_owned();
    let shown = page(&root.get(&eve));
    assert!(shown.contains("Through these:") && shown.contains(">Staff</a>"), "{shown}");
    let shown = page(&root.get(&staff));
    assert!(shown.contains("Eve &#60;E&#62;") && shown.contains("in a group below"), "{shown}");
    let shown = refused(&root.post(&staff, &form(&[("name", "Staff"), ("parent", &writers_id)])));
    assert!(shown.contains("cannot be below itself"), "{shown}");
    let answer = root.post(&staff, &form(&[("name", "Crew"), ("description", ""), ("parent", "")]));
    let shown = after(&mut root, &answer);
    assert!(shown.contains("<h1>Crew</h1>") && !shown.contains("works"), "{shown}");
    // In and out.
    let shown = refused(&root.post(&format!("{staff}/members/add"), "user=nobody"));
    assert!(
        mistake(&shown, "user").contains("no such user") && shown.contains("value=\"nobody\""),
        "{shown}"
    );
    let shown = refused(&root.post(&format!("{staff}/members/add"), "user=jane"));
    assert!(shown.contains("jane is declared in gateway.toml"), "{shown}");
    let answer = root.post(&format!("{staff}/members/add"), "user=EVE");
    assert!(after(&mut root, &answer).contains("/members/remove\""));
    for _ in 0..2 {
        let answer = root.post(&format!("{staff}/members/remove"), &form(&[("member", &eve_id)]));
        assert!(!after(&mut root, &answer).contains("/members/remove\""));
    }
    let answer = root.post(&format!("{eve}/groups/remove"), &form(&[("group_id", &writers_id)]));
    assert!(after(&mut root, &answer).contains("In no group."));
    // To its end, members and all.
    root.post(&format!("{writers}/members/add"), "user=eve");
    let shown = refused(&root.post(&format!("{writers}/remove"), "confirm=writers"));
    assert!(!mistake(&shown, "confirm").is_empty(), "{shown}");
    let answer =
        root.post(&format!("{writers}/remove"), &form(&[("confirm", "Writers"), ("successor", &staff_id)]));
    assert!(after(&mut root, &answer).contains("Removed."));
    assert_eq!(root.get(&writers).status, 404);
    assert!(page(&root.get(&eve)).contains(">Crew</a>"));
    let everybody = page(&root.get(&format!("{GROUPS}?q=all")));
    let everybody =
        everybody[everybody.rfind("/hub/admin/groups/").unwrap()..].split('"').next().unwrap().to_owned();
    let shown = page(&root.get(&everybody));
    assert!(shown.contains("Everybody but the guest") && !shown.contains("/members/add"), "{shown}");
    for (path, fields) in [("members/add", "user=eve"), ("remove", "confirm=All+Users")] {
        refused(&root.post(&format!("{everybody}/{path}"), fields));
    }
}

#[test]
fn a_group_that_the_file_names_stays() {
    let console = Console::with(|setup| {
        setup.user("ann", "password = \"correct horse battery\"\ngroups = [\"Named\"]");
    });
    let mut root = console.signed_in("root");
    let list = page(&root.get(&format!("{GROUPS}?q=named")));
    let group = list[list.rfind("/hub/admin/groups/").unwrap()..].split('"').next().unwrap().to_owned();
    let why = "ann is in Named by gateway.toml";
    assert!(refused(&root.post(&group, &form(&[("name", "Renamed")]))).contains(why));
    assert!(refused(&root.post(&format!("{group}/remove"), "confirm=Named")).contains(why));
    let answer = root.post(&group, &form(&[("name", "Named"), ("description", "by the file")]));
    assert!(after(&mut root, &answer).contains("by the file"));
    assert!(page(&root.get(&group)).contains(">ann</a>"));
}

#[test]
fn rules_that_name_a_group_are_shown() {
    let upstream = crate::support::Upstream::start();
    let console = Console::with(|setup| {
        setup.route(
            "beta",
            "/wiki",
            &upstream,
            "[[upstream.rule]]\npath = \"/wiki/edit/**\"\nmethods = [\"POST\"]\ngroups = [\"Writers\"]\n[[upstream.rule]]\npath = \"/wiki/*/x\"\ngroups = [\"Writers\", \"Others\"]",
        );
    });
    let mut root = console.signed_in("root");
    let writers = add_group(&mut root, "Writers", &[]);
    let shown = page(&root.get(&writers));
    for part in [
        "<code>/wiki/edit/**</code>",
        "<td>POST</td>",
        "<code>/wiki/*/x</code>",
        "<td>all</td>",
        "let nobody in",
    ] {
        assert!(shown.contains(part), "{part} not in {shown}");
    }
    let readers = add_group(&mut root, "Readers", &[]);
    assert!(page(&root.get(&readers)).contains("No rule of gateway.toml names it."));
}

#[test]
fn with_mail_whoever_is_new_is_invited() {
    let smtp = Smtp::start();
    let console = Console::with(|setup| smtp.configure(setup));
    let mut root = console.signed_in("root");
    assert!(page(&root.get(&format!("{USERS}/new"))).contains("value=\"mail\" checked"));
    let fields = form(&[("login", "eve"), ("email", "eve@mail.example"), ("how", "mail")]);
    let answer = root.post(&format!("{USERS}/new"), &fields);
    let eve = own(&answer).trim_end_matches("?done=created").to_owned();
    let first = smtp.next();
    assert!(first.head.contains("You are invited") && first.to == "eve@mail.example", "{}", first.head);
    assert_eq!(root.post(&format!("{eve}/invite"), "").status, 303);
    let second = smtp.next();
    assert_eq!(Browser::new(&console.gateway).get(&first.path()).status, 410, "superseded");
    assert_eq!(root.post(&format!("{eve}/confirm"), "").status, 303);
    assert!(smtp.next().head.contains("Confirm your"));
    let chosen = form(&[("newPassword", "a password of eve"), ("newPasswordAgain", "a password of eve")]);
    assert_eq!(Browser::new(&console.gateway).post(&second.path(), &chosen).status, 303);
    let shown = page(&root.get(&eve));
    assert!(shown.contains("name=\"verified\" value=\"on\" checked"), "{shown}");
    let plain = add(&mut root, "plain", &[]);
    let shown = refused(&root.post(&format!("{plain}/invite"), ""));
    assert!(shown.contains("gets no such link"), "{shown}");
}

#[test]
fn an_address_fills_no_form() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let query = "login=helpdesk&email=a%40evil.example&how=mail&administrator=on&name=Helpdesk";
    for path in ["/hub/admin/users/new", "/hub/admin/groups/new"] {
        let (plain, filled) = (page(&root.get(path)), page(&root.get(&format!("{path}?{query}"))));
        assert!(!filled.contains("helpdesk") && !filled.contains("evil"), "{filled}");
        assert!(!filled.contains("Helpdesk"), "{filled}");
        let ticked = |text: &str| text.matches(" checked").count();
        assert_eq!(ticked(&plain), ticked(&filled), "{filled}");
    }
}

#[test]
fn only_administrators_and_only_our_own_pages() {
    let console = Console::start();
    let mut root = console.signed_in("root");
    let eve = add(&mut root, "eve", &[]);
    let writers = add_group(&mut root, "Writers", &[]);
    for path in [USERS, &format!("{USERS}/new"), &eve, GROUPS, &format!("{GROUPS}/new"), &writers] {
        assert_guarded(&console, path, None);
    }
    let posts = [
        (format!("{USERS}/new"), "login=evil&how=none"),
        (eve.clone(), "login=evil"),
        (format!("{eve}/ban"), ""),
        (format!("{eve}/unban"), ""),
        (format!("{eve}/password"), ""),
        (format!("{eve}/second-step/off"), ""),
        (format!("{eve}/invite"), ""),
        (format!("{eve}/confirm"), ""),
        (format!("{eve}/groups/add"), "group=Writers"),
        (format!("{eve}/groups/remove"), "group_id=x"),
        (format!("{eve}/sessions/end"), ""),
        (format!("{eve}/programs/revoke"), "program=x"),
        (format!("{eve}/merge"), "into=joe&merge_confirm=eve"),
        (format!("{eve}/erase"), "erase_confirm=eve"),
        (format!("{eve}/remove"), "remove_confirm=eve"),
        (format!("{GROUPS}/new"), "name=evil"),
        (writers.clone(), "name=evil"),
        (format!("{writers}/members/add"), "user=joe"),
        (format!("{writers}/members/remove"), "member=x"),
        (format!("{writers}/remove"), "confirm=Writers"),
    ];
    for (path, fields) in &posts {
        assert_guarded(&console, path, Some(fields));
        let get = root.get(path).status;
        assert!([200, 405].contains(&get), "{path}: {get}");
    }
    let list = page(&root.get(USERS)) + &page(&root.get(GROUPS));
    assert!(!list.contains(">evil<") && list.contains(">eve</a>") && list.contains(">Writers</a>"), "{list}");
    assert!(!page(&root.get(&eve)).contains(">Writers</a></td>"), "nothing of it was done");
}
