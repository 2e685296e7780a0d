//! The referee notices each wrong that there is, and none that there is not.

use super::*;
use crate::soak::wire::Seen;

const MS: u64 = 1_000_000;
const ROW: Subject = Subject(3);

fn referee() -> Referee {
    let patience = Patience {
        waits: Duration::from_millis(500),
        scheduling: Duration::from_millis(500),
    };
    Referee::new(2, Duration::from_millis(100), patience)
}

fn seen(version: u64, last: u64) -> Report {
    Report {
        at: last + MS,
        seen: vec![Seen {
            subject: ROW,
            version,
            last,
        }],
        ..Report::default()
    }
}

fn acked(outcome: Outcome, version: u64, at: u64) -> Report {
    Report {
        at: at + MS,
        acks: vec![Ack {
            at,
            outcome,
            how: "key".to_owned(),
            targets: vec![(ROW, version)],
        }],
        ..Report::default()
    }
}

/// The stale reads of a run of these reports, by node.
fn stale(reports: Vec<(usize, Report)>) -> u64 {
    let mut referee = referee();
    for (node, report) in reports {
        referee.take(node, report);
    }
    referee.finish();
    assert_eq!(referee.counts().0 > 0, !referee.wrongs().is_empty());
    referee.counts().0
}

#[test]
fn on_its_own_node_an_invalidation_holds_at_once_whatever_came_of_it() {
    for outcome in [Outcome::Applied, Outcome::Queued] {
        let before = vec![(0, acked(outcome, 7, 1_000 * MS)), (0, seen(6, 1_000 * MS))];
        assert_eq!(stale(before), 0);
        let after = vec![
            (0, acked(outcome, 7, 1_000 * MS)),
            (0, seen(6, 1_000 * MS + 1)),
        ];
        assert_eq!(stale(after), 1);
        let the_new_one = vec![(0, acked(outcome, 7, 1_000 * MS)), (0, seen(7, 2_000 * MS))];
        assert_eq!(stale(the_new_one), 0);
    }
}

#[test]
fn elsewhere_it_holds_within_the_bound_once_it_is_applied() {
    let run = |outcome, last| stale(vec![(1, seen(6, last)), (0, acked(outcome, 7, 1_000 * MS))]);
    for outcome in [Outcome::Applied, Outcome::Replayed] {
        assert_eq!(run(outcome, 1_100 * MS), 0);
        assert_eq!(run(outcome, 1_100 * MS + 1), 1);
    }
    assert_eq!(run(Outcome::Queued, 5_000 * MS), 0, "nobody else was told");
}

#[test]
fn a_stale_read_long_after_everything_was_settled_is_noticed() {
    let mut referee = referee();
    referee.take(0, acked(Outcome::Applied, 7, 1_000 * MS));
    for second in 2..40 {
        referee.take(0, seen(7, second * 1_000 * MS));
        referee.take(1, seen(7, second * 1_000 * MS));
    }
    assert!(referee.acks.is_empty(), "settled");
    assert!(referee.sides[1].seen[ROW.index()].len() <= 1);
    referee.take(1, seen(6, 50_000 * MS));
    assert_eq!(referee.counts().0, 1, "{:?}", referee.wrongs());
}

#[test]
fn how_far_others_are_behind_is_told_by_trouble() {
    let mut referee = referee();
    referee.take(1, seen(6, 1_040 * MS));
    referee.take(0, acked(Outcome::Applied, 7, 1_000 * MS));
    referee.trouble("cut", 3_000 * MS, Duration::ZERO);
    referee.take(1, seen(7, 3_090 * MS));
    referee.take(0, acked(Outcome::Applied, 8, 3_010 * MS));
    referee.healed(4_000 * MS, Duration::from_millis(10));
    referee.finish();
    let delay = |label| referee.figures()[label].delay(1_000);
    assert_eq!(delay(HEALTH), Some(Duration::from_millis(40)));
    assert_eq!(delay("cut"), Some(Duration::from_millis(80)));
}

#[test]
fn failures_panics_and_late_calls_are_wrongs() {
    let mut referee = referee();
    let failing = Report {
        at: MS,
        failures: 3,
        ..Report::default()
    };
    referee.take(0, failing);
    assert_eq!(referee.counts(), (0, 3, 0, 0));
    let panicking = Report {
        at: 2 * MS,
        panics: 1,
        ..Report::default()
    };
    referee.take(1, panicking);
    assert_eq!(referee.counts(), (0, 3, 0, 1));
    assert_eq!(referee.wrongs().len(), 2);
    let slow = |took, stall| Report {
        at: 5_000 * MS,
        longest: Longest { began: MS, took },
        stall,
        ..Report::default()
    };
    referee.take(0, slow(1_000 * MS, 0));
    referee.take(0, slow(1_400 * MS, 500 * MS));
    assert_eq!(referee.counts().2, 0);
    referee.take(1, slow(1_001 * MS, 0));
    assert_eq!(referee.counts().2, 1);
}
