//! What every store must do. A store's tests name a [`Backend`] and let [`conformance!`] write one test for each rule.

pub(crate) mod cascades;
pub(crate) mod changes;
pub(crate) mod codes;
pub(crate) mod consents;
pub(crate) mod credentials;
pub(crate) mod events;
pub(crate) mod groups;
pub(crate) mod holdings;
pub(crate) mod keys;
pub(crate) mod links;
pub(crate) mod merges;
pub(crate) mod nesting;
pub(crate) mod people;
pub(crate) mod redirects;
pub(crate) mod refreshes;
pub(crate) mod revocations;
pub(crate) mod samples;
pub(crate) mod search;
pub(crate) mod second_steps;
pub(crate) mod services;
pub(crate) mod sessions;
pub(crate) mod usage;
pub(crate) mod users;

use async_trait::async_trait;
use hubgate::store::SharedStore;

/// One database, empty at first.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// Opens it as another process would, sharing nothing in memory with the handles that are open already.
    async fn open(&self) -> SharedStore;
}

/// One test for each rule, each on a fresh backend.
macro_rules! conformance {
    ($fresh:expr) => {
        $crate::store::conformance::conformance! { @rules $fresh;
            services: comes_back_as_it_was, is_listed_by_name, conflict_changes_nothing, update_replaces_all, ids_and_names_are_of_one_service,
                update_of_nothing_is_refused, removal_revokes, removal_of_nothing_revokes_nothing,
                secrets_in_grace_survive, going_public_revokes, a_name_goes_to_one_of_many, register_and_remove_race, what_was_changed_meanwhile_is_not_brought_back;
            keys: come_back_newest_first, only_the_first_is_first, first_keys_race, rotation_retires,
                refused_rotation_changes_nothing, rotations_race, resealing_replaces_the_bytes,
                purge_takes_what_is_over;
            revocations: come_back, merge_keeps_the_later, kinds_are_apart, end_when_they_expire, writers_race;
            changes: grow_with_each_write, stay_without_a_change, are_seen_with_the_change;
            users: come_back_as_they_were, are_listed_by_login, are_found_by_what_they_type, names_are_nobody_elses,
                refusals_change_nothing, change_replaces_all_but_the_id, change_of_nobody_is_refused,
                changes_race, removal_takes_all_along, removal_of_nobody_revokes_nothing, a_login_goes_to_one_of_many;
            groups: come_back_as_they_were, are_listed_by_name, refusals_change_nothing, have_members,
                removal_leaves_the_members, new_users_are_put_into, that_of_all_users_stands_alone;
            nesting: reaches_upwards, is_a_change_of_who_is_in_it, has_no_cycle, is_bounded, ends_with_the_group_between,
                race_makes_no_cycle;
            merges: of_users_move_memberships, of_users_are_refused, of_groups_move_what_is_in_them,
                of_groups_are_refused, erasure_leaves_no_trace, somebody_may_always_administer,
                administrators_race;
            search: finds_users, takes_texts_for_texts, takes_words, combines, pages_and_sorts, refuses_what_is_too_large,
                finds_groups, tells_groups_and_counts, tells_the_last_access;
            people: come_whole_at_first, come_when_they_change, change_with_their_groups, are_gone_when_removed,
                start_anew_with_an_unknown_number, are_read_with_their_number;
            sessions: come_back_as_they_were, belong_to_a_user, are_replaced, end_once, remember_their_last_use,
                die_with_their_user, do_not_begin_after_a_revocation, purge_takes_what_is_over;
            codes: come_back_as_they_were, are_refused_without_a_trace, are_used_once, bring_their_grant_into_being,
                revoke_when_replayed, replay_of_nothing_offline_revokes_too, exchanges_race,
                of_another_grant_are_not_exchanged, purge_takes_what_is_over;
            refreshes: come_back_as_they_were, are_refused_without_a_trace, are_spent_once, rotations_race,
                of_another_grant_are_unknown, make_the_grants_of_a_user, die_with_their_grant,
                purge_takes_what_is_over;
            cascades: end_what_they_name, come_with_every_method, name_the_sessions_of_a_user, keep_out_what_is_late,
                bury_what_was_spent, race_with_what_is_added;
            consents: come_back_as_they_were, are_one_for_a_user_and_a_client, are_taken_back, are_refused_without_a_trace,
                purge_takes_what_is_over;
            credentials: come_back_as_they_were, are_refused_without_a_trace, are_taken_back_by_their_owner,
                die_with_their_user, end_with_the_password_or_stay, leave_services_that_are_gone, remember_their_last_use,
                are_told_to_the_gate, start_anew_with_an_unknown_number, race_with_the_end_of_a_service;
            second_steps: come_back_as_they_were, are_refused_without_a_trace, spend_a_time_step_once,
                spend_a_recovery_code_once, race, end_with_everything_of_theirs;
            events: go_with_each_change, say_what_has_changed, are_not_for_what_is_no_change, come_in_pages,
                are_one_chain_for_all_writers, can_be_erased, keep_no_secret;
            redirects: come_back_latest_first, are_few, go_when_forgotten, go_with_the_change_that_accepts_them;
            usage: comes_back_and_never_goes_back, links_services, is_counted;
            holdings: sessions_are_listed, grants_are_listed, consents_are_listed, credentials_are_listed;
            links: come_back_as_they_were, are_good_for_a_time, take_the_place_of_others, fit_their_user,
                end_with_what_ends_sessions, are_spent_once;
        }
    };
    (@rules $fresh:expr; $($topic:ident: $($rule:ident),+;)+) => {
        $(mod $topic {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let backend = $fresh;
                $crate::store::conformance::$topic::$rule(&backend).await;
            })+
        })+
    };
}
pub(crate) use conformance;
