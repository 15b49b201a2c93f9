//! The issues that a fresh tracker shows: a week in the life of a small team.

use std::time::Duration;

use super::{Comment, Issue, State, Tracker};
use crate::base::time::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);

/// An issue: hours ago, state, priority, reporter, summary, description, comments (hours ago, author, text).
type Seed = (
    u32,
    State,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [(u32, &'static str, &'static str)],
);

const SEEDS: &[Seed] = &[
    (
        161,
        State::Fixed,
        "Normal",
        "mara.lindqvist",
        "Receipts show the delivery date in the wrong time zone",
        "Orders placed after 22:00 in Lisbon are printed with tomorrow's date.\n\
         The receipt is rendered with the server's zone instead of the shop's.",
        &[
            (150, "tomasz", "Reproduced with order 88213. The template formats before it converts."),
            (121, "tomasz", "Fixed in 4.12.1, with a test for both sides of midnight."),
        ],
    ),
    (
        137,
        State::Fixed,
        "Critical",
        "on-call",
        "Checkout answers 500 when a basket has more than 99 positions",
        "Two customers ran into it during the autumn sale. The position number is kept in two digits.",
        &[(131, "amira", "Hotfix is out; the column now holds what the API promises: 9,999 positions.")],
    ),
    (
        90,
        State::InProgress,
        "Major",
        "amira",
        "Search forgets its filters on the way back from a product",
        "Filter by size, open a product, go back: all sizes are shown again.\n\
         The filters live in the page, they belong in the address.",
        &[(44, "mara.lindqvist", "Please keep the sort order as well, it gets lost in the same place.")],
    ),
    (
        52,
        State::Open,
        "Normal",
        "tomasz",
        "Nightly stock import should report what it skipped",
        "The import drops lines with unknown article numbers without a word.\n\
         The warehouse wants a list of them each morning.",
        &[],
    ),
    (
        29,
        State::InProgress,
        "Normal",
        "youssef",
        "Let the packing station print labels without a person signing in",
        "The station is a machine: it should obtain a token with its own service id and secret\n\
         (client credentials) and call us with that, instead of using somebody's password.",
        &[
            (
                26,
                "amira",
                "Its service is registered at the gateway. It gets our API in its scope, nothing else.",
            ),
            (
                7,
                "youssef",
                "Works on the test station. A token lives an hour, it asks for the next one in time.",
            ),
        ],
    ),
    (
        5,
        State::Open,
        "Minor",
        "mara.lindqvist",
        "Empty wish list: say something kinder than \u{201c}0 results\u{201d}",
        "A sentence and a link to the new arrivals would do.",
        &[],
    ),
];

impl Tracker {
    /// A tracker with some history before `now`.
    pub(in crate::demo::backend) fn seeded(now: Timestamp) -> Self {
        let ago = |hours: u32| now.minus(HOUR * hours);
        let mut tracker = Self(Vec::new());
        for &(hours, state, priority, reporter, summary, description, comments) in SEEDS {
            let comments: Vec<_> = comments
                .iter()
                .map(|&(hours, author, text)| Comment {
                    text: text.to_owned(),
                    author: author.to_owned(),
                    created: ago(hours),
                })
                .collect();
            tracker.add(|number| Issue {
                number,
                summary: summary.to_owned(),
                description: description.to_owned(),
                state,
                priority,
                reporter: reporter.to_owned(),
                created: ago(hours),
                updated: comments.last().map_or(ago(hours), |last| last.created),
                comments,
            });
        }
        tracker
    }
}
