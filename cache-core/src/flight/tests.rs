use std::time::Duration;

use super::*;
use crate::driver::block_on;
use crate::entry::EntryId;
use crate::local::{Head, Life, Stored};

fn value(number: u64) -> Arc<dyn Held> {
    Arc::new(Stored::new(
        Head::new(
            LocalKey::new(1, b"7"),
            life(),
            0,
            EntryId([0; 16]),
            Box::default(),
            100,
        ),
        number,
    ))
}

fn life() -> Life {
    let end = Duration::from_secs(1);
    Life::new(end, end, Duration::ZERO, Duration::ZERO)
}

fn key() -> LocalKey {
    LocalKey::new(1, b"7")
}

fn lead(flights: &Arc<Flights>) -> Seat {
    match flights.join(
        &key(),
        flights.call_begins(),
        0,
        true,
        false,
        Duration::ZERO,
    ) {
        Joined::Lead(seat, _) => seat,
        Joined::Follow(_) | Joined::Standby(_) | Joined::Aside(_) | Joined::Own => {
            panic!("somebody else leads")
        }
    }
}

fn follow(flights: &Arc<Flights>) -> Follower {
    match flights.join(
        &key(),
        flights.call_begins(),
        0,
        true,
        false,
        Duration::ZERO,
    ) {
        Joined::Follow(follower) => follower,
        Joined::Lead(..) | Joined::Standby(_) | Joined::Aside(_) | Joined::Own => {
            panic!("nobody leads")
        }
    }
}

fn number(followed: &Followed) -> Option<u64> {
    match followed {
        Followed::Value(held) => held.view().value::<u64>().copied(),
        Followed::Again | Followed::Uncached => None,
    }
}

#[test]
fn followers_get_the_leaders_value() {
    let flights = Arc::new(Flights::new());
    let seat = lead(&flights);
    let mut follower = follow(&flights);
    seat.load_begins(None);
    seat.end(value(7), Sharing::Everyone);
    assert_eq!(number(&block_on(follower.end())), Some(7));
}

#[test]
fn a_cancelled_leader_hands_over() {
    let flights = Arc::new(Flights::new());
    let seat = lead(&flights);
    let mut follower = follow(&flights);
    drop(seat);
    assert!(matches!(block_on(follower.end()), Followed::Again));
    drop(lead(&flights));
}

#[test]
fn a_call_that_began_after_the_load_shares_only_what_everyone_may() {
    let flights = Arc::new(Flights::new());
    let seat = lead(&flights);
    let mut early = follow(&flights);
    let point = seat.load_begins(None);
    let mut late = follow(&flights);
    seat.end(value(7), Sharing::CallsBefore(point));
    assert_eq!(number(&block_on(early.end())), Some(7));
    assert!(matches!(block_on(late.end()), Followed::Again));
}

#[test]
fn nobody_joins_a_dirty_load_and_its_lease_is_named() {
    let flights = Arc::new(Flights::new());
    let token = EntryId([1; 16]);
    let seat = lead(&flights);
    seat.load_begins(Some(token));
    assert_eq!(flights.touch(&key(), || ()), Some(token));
    assert_eq!(flights.touch(&key(), || ()), None, "it is named once");
    let successor = lead(&flights);
    assert!(!seat.insert_if_clean(0, || panic!("a dirty flight inserts nothing")));
    // The replaced flight removes only itself.
    seat.end(value(7), Sharing::Nobody);
    let mut follower = follow(&flights);
    successor.end(value(8), Sharing::Everyone);
    assert_eq!(number(&block_on(follower.end())), Some(8));
}

#[test]
fn a_tag_that_moves_makes_the_flights_on_it_dirty() {
    let flights = Arc::new(Flights::new());
    let cell = Arc::new(Cell::new("user:1"));
    let token = EntryId([1; 16]);
    let seat = lead(&flights);
    seat.note(Note::take(0, std::iter::once(Arc::clone(&cell))));
    seat.load_begins(Some(token));
    assert!(flights.sweep_dirty(0).is_empty());
    cell.advance();
    assert_eq!(flights.sweep_dirty(0), [(key(), token)]);
    assert!(!seat.is_clean(0));
}

#[test]
fn an_epoch_step_makes_every_load_dirty() {
    let flights = Arc::new(Flights::new());
    let seat = lead(&flights);
    seat.load_begins(None);
    assert!(seat.is_clean(0) && !seat.is_clean(1));
    flights.sweep_dirty(1);
    let other = match flights.join(&key(), 9, 1, true, false, Duration::ZERO) {
        Joined::Lead(seat, _) => seat,
        Joined::Follow(_) | Joined::Standby(_) | Joined::Aside(_) | Joined::Own => {
            panic!("a load of another epoch was joined")
        }
    };
    drop((seat, other));
}

#[test]
fn a_ring_between_arming_and_waiting_is_not_lost() {
    let flights = Arc::new(Flights::new());
    let seat = lead(&flights);
    let armed = seat.arm();
    flights.lease_changed(&key());
    block_on(seat.rung(armed));
}

#[test]
fn the_end_of_a_replaced_flight_wakes_its_successor() {
    let flights = Arc::new(Flights::new());
    let seat = lead(&flights);
    seat.load_begins(None);
    flights.touch(&key(), || ());
    let successor = lead(&flights);
    let armed = successor.arm();
    drop(seat);
    block_on(successor.rung(armed));
}

#[test]
fn a_plain_function_does_not_wait_for_itself() {
    let flights = Arc::new(Flights::new());
    let Joined::Lead(seat, _) = flights.join(&key(), 0, 0, true, true, Duration::ZERO) else {
        panic!("nobody else is there");
    };
    assert!(matches!(
        flights.join(&key(), 0, 0, true, true, Duration::ZERO),
        Joined::Own
    ));
    drop(seat);
}

#[test]
fn nobody_joins_a_flight_whose_value_is_settled() {
    let flights = Arc::new(Flights::new());
    let seat = lead(&flights);
    // Nothing was loaded: the value was found in the shared tier. An invalidation may come and be
    // acknowledged before the leader has said how it ended.
    assert!(seat.insert_if_clean(0, || ()));
    let other = lead(&flights);
    seat.end(value(7), Sharing::Everyone);
    // And the one that took its place is still there to be followed.
    let mut follower = follow(&flights);
    other.end(value(8), Sharing::Everyone);
    assert_eq!(number(&block_on(follower.end())), Some(8));
}

#[test]
fn a_replaced_flight_stays_dirty_whatever_it_notes() {
    let flights = Arc::new(Flights::new());
    let seat = lead(&flights);
    let _other = flights.replace(&key(), false);
    seat.note(Note::default());
    assert!(!seat.insert_if_clean(0, || panic!(
        "nothing would have told it of an invalidation"
    )));
}

#[test]
fn a_flight_on_a_killed_cell_is_never_clean() {
    let cells = crate::local::Cells::new(1);
    let cell = cells.cell("a");
    for tag in 0..100 {
        cells.cell(&format!("other:{tag}"));
    }
    assert!(
        !Arc::ptr_eq(&cell, &cells.cell("a")),
        "the registry is small"
    );
    let flights = Arc::new(Flights::new());
    let seat = lead(&flights);
    seat.note(Note::take(0, [Arc::clone(&cell)].into_iter()));
    assert!(!seat.insert_if_clean(0, || panic!("no invalidation would reach it")));
}

#[test]
fn who_comes_too_late_for_a_value_stored_nowhere_leads_and_is_followed() {
    let flights = Arc::new(Flights::new());
    let seat = lead(&flights);
    let mut early = follow(&flights);
    let point = seat.bare_load_begins();
    let Joined::Lead(next, Some(mut other)) = flights.join(
        &key(),
        flights.call_begins(),
        0,
        true,
        false,
        Duration::ZERO,
    ) else {
        panic!("a load whose value is not for this call was joined");
    };
    // The others gather behind the next load, which has not begun.
    let mut late = follow(&flights);
    seat.end(value(7), Sharing::CallsBefore(point));
    assert_eq!(number(&block_on(early.end())), Some(7));
    assert!(matches!(block_on(other.end()), Followed::Again));
    let point = next.bare_load_begins();
    next.end(value(8), Sharing::CallsBefore(point));
    assert_eq!(number(&block_on(late.end())), Some(8));
}

fn standby(flights: &Flights, number: u64, at_once: bool) -> Standby {
    Standby {
        value: Kept::new(value(number)),
        point: flights.source_asked(),
        at_once,
        until: [SECOND, SECOND * 2],
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn joined(flights: &Arc<Flights>, began: u64, trusted: bool) -> Joined {
    flights.join(&key(), began, 0, trusted, false, Duration::ZERO)
}

#[test]
fn a_refresh_captures_nobody() {
    let flights = Arc::new(Flights::new());
    let mut seat = lead(&flights);
    let mut early = follow(&flights);
    seat.stand_by(standby(&flights, 7, true), 0, true);
    seat.load_begins(None);
    assert_eq!(number(&block_on(early.end())), Some(7), "at once");
    let Joined::Standby(held) = joined(&flights, flights.call_begins(), true) else {
        panic!("who comes during a refresh has what it refreshes");
    };
    assert_eq!(number(&Followed::Value(held)), Some(7));
    assert!(seat.insert_if_clean(0, || ()));
    seat.end(value(8), Sharing::Everyone);
    drop(lead(&flights));
}

#[test]
fn a_refresh_that_outlasts_what_it_replaces_is_joined() {
    let flights = Arc::new(Flights::new());
    let mut seat = lead(&flights);
    seat.stand_by(standby(&flights, 7, true), 0, true);
    seat.load_begins(None);
    let began = flights.call_begins();
    let Joined::Follow(follower) = flights.join(&key(), began, 0, true, false, SECOND) else {
        panic!("there is nothing else to be had");
    };
    assert!(follower.standby(0, true, SECOND).is_some(), "it has waited");
    assert!(follower.standby(0, true, SECOND * 2).is_none());
}

#[test]
fn what_a_refresh_replaces_ends_with_an_invalidation() {
    let flights = Arc::new(Flights::new());
    let mut seat = lead(&flights);
    seat.stand_by(standby(&flights, 7, true), 0, true);
    seat.load_begins(None);
    flights.touch(&key(), || ());
    // Its own load, in a flight of its own.
    drop(lead(&flights));
    assert!(!seat.insert_if_clean(0, || panic!("it is dirty")));
}

#[test]
fn where_nobody_tells_later_calls_ask_for_themselves() {
    let flights = Arc::new(Flights::new());
    let mut seat = lead(&flights);
    let before = flights.call_begins();
    seat.stand_by(standby(&flights, 7, true), 0, false);
    seat.load_begins(None);
    assert!(matches!(
        joined(&flights, before, false),
        Joined::Standby(_)
    ));
    let after = flights.call_begins();
    assert!(matches!(joined(&flights, after, false), Joined::Aside(_)));
}

#[test]
fn a_fallback_is_for_those_who_have_waited() {
    let flights = Arc::new(Flights::new());
    let mut seat = lead(&flights);
    seat.stand_by(standby(&flights, 7, false), 0, true);
    seat.load_begins(None);
    let follower = follow(&flights);
    let held = follower
        .standby(0, true, Duration::ZERO)
        .expect("nothing has moved");
    assert_eq!(number(&Followed::Value(held)), Some(7));
    flights.touch(&key(), || ());
    assert!(follower.standby(0, true, Duration::ZERO).is_none());
}

#[test]
fn an_ejected_leader_leaves_its_key_to_others() {
    let flights = Arc::new(Flights::new());
    let seat = lead(&flights);
    let token = EntryId([3; 16]);
    seat.load_begins(Some(token));
    let mut follower = follow(&flights);
    let ejector = seat.eject();
    assert_eq!(ejector.eject(), Some(token));
    assert!(matches!(block_on(follower.end()), Followed::Again));
    let next = lead(&flights);
    assert!(seat.take_lease().is_none());
    assert!(!seat.insert_if_clean(0, || panic!("it was ejected")));
    seat.end(value(7), Sharing::Everyone);
    assert!(
        matches!(joined(&flights, 0, true), Joined::Follow(_)),
        "the next one still leads"
    );
    drop(next);
}

#[test]
fn an_ended_leader_is_not_ejected() {
    let flights = Arc::new(Flights::new());
    let seat = lead(&flights);
    seat.load_begins(Some(EntryId([3; 16])));
    let mut follower = follow(&flights);
    let ejector = seat.eject();
    seat.take_lease();
    seat.end(value(7), Sharing::Everyone);
    assert_eq!(ejector.eject(), None);
    assert_eq!(number(&block_on(follower.end())), Some(7));
}
