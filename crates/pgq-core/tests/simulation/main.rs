//! Does the queue keep its promise? Random histories on a toy server, and those by which PgQ 3.5 lost events.

mod server;

use pgq_core::snapshot::between;
use pgq_core::{BatchBounds, Txid};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

use server::{Broken, Rules, Server};

/// One move of a history. Which transaction, consumer or tick makes it is picked by a number.
#[derive(Clone, Copy, Debug)]
enum Move {
    Begin,
    Look,
    Write,
    Commit,
    Abort,
    Tick,
    BeginWithTick,
    Step1,
    Step2,
    /// A ticker's or a maintenance round that nobody comes in between.
    TickAtOnce,
    Step1AtOnce,
    Step2AtOnce,
    Register,
    RegisterAt,
    Unregister,
    NextBatch,
    FinishBatch,
}

fn any_move() -> impl Strategy<Value = (Move, usize)> {
    let kind = prop_oneof![
        4 => Just(Move::Begin),
        2 => Just(Move::Look),
        6 => Just(Move::Write),
        7 => Just(Move::Commit),
        1 => Just(Move::Abort),
        1 => Just(Move::Tick),
        1 => Just(Move::BeginWithTick),
        2 => Just(Move::Step1),
        3 => Just(Move::Step2),
        6 => Just(Move::TickAtOnce),
        3 => Just(Move::Step1AtOnce),
        3 => Just(Move::Step2AtOnce),
        1 => Just(Move::Register),
        3 => Just(Move::RegisterAt),
        1 => Just(Move::Unregister),
        6 => Just(Move::NextBatch),
        6 => Just(Move::FinishBatch),
    ];
    (kind, 0usize..1000)
}

#[derive(Clone, Debug)]
struct History {
    ntables: usize,
    /// Transactions that run before the queue is there.
    running_before: usize,
    /// So many transactions are open at most; few let the ticks move on quickly.
    crowd: usize,
    moves: Vec<(Move, usize)>,
}

fn any_history() -> impl Strategy<Value = History> {
    let moves = prop::collection::vec(any_move(), 0..300);
    (2usize..5, 0usize..4, 1usize..10, moves).prop_map(|(ntables, running_before, crowd, moves)| History {
        ntables,
        running_before,
        crowd,
        moves,
    })
}

fn play(rules: Rules, history: &History) -> Result<Server, Broken> {
    let mut server = Server::new(rules, history.ntables, history.running_before);
    for &(kind, pick) in &history.moves {
        let crowded = server.open().len() >= history.crowd;
        if !(crowded && matches!(kind, Move::Begin)) {
            make(&mut server, kind, pick)?;
        }
    }
    server.finish()?;
    Ok(server)
}

/// Makes a move, if there is somebody who can.
fn make(server: &mut Server, kind: Move, pick: usize) -> Result<(), Broken> {
    let open = server.open();
    let transaction = (!open.is_empty()).then(|| open[pick % open.len()]);
    let consumers = server.consumer_count();
    let consumer = (consumers > 0).then(|| pick % consumers);
    match (kind, transaction, consumer) {
        (Move::Begin, ..) => {
            server.begin();
        }
        (Move::Look, Some(txid), _) => server.look(txid),
        (Move::Write, Some(txid), _) => server.write(txid),
        (Move::Commit, Some(txid), _) => server.commit(txid),
        (Move::Abort, Some(txid), _) => server.abort(txid),
        (Move::Tick, Some(txid), _) => server.tick(txid),
        (Move::BeginWithTick, ..) => {
            server.begin_with_tick();
        }
        (Move::Step1, Some(txid), _) => server.step1(txid),
        (Move::Step2, Some(txid), _) => server.step2(txid),
        (Move::TickAtOnce, ..) => tick_at_once(server),
        (Move::Step1AtOnce, ..) => step1_at_once(server),
        (Move::Step2AtOnce, ..) => step2_at_once(server),
        (Move::Register, ..) => server.register(),
        (Move::RegisterAt, _, Some(consumer)) => {
            server.register_at(consumer, pick / consumers % server.tick_count().max(1));
        }
        (Move::Unregister, _, Some(consumer)) => server.unregister(consumer),
        (Move::NextBatch, _, Some(consumer)) => server.next_batch(consumer, pick / consumers % 4)?,
        (Move::FinishBatch, _, Some(consumer)) => server.finish_batch(consumer)?,
        _ => (),
    }
    Ok(())
}

fn tick_at_once(server: &mut Server) {
    if let Some(txid) = server.begin_with_tick() {
        server.commit(txid);
    }
}

fn step1_at_once(server: &mut Server) {
    let txid = server.begin();
    server.step1(txid);
    server.commit(txid);
}

fn step2_at_once(server: &mut Server) {
    let txid = server.begin();
    server.step2(txid);
    server.commit(txid);
}

fn rotate_at_once(server: &mut Server) {
    step1_at_once(server);
    step2_at_once(server);
}

proptest! {
    #![proptest_config(Config::with_cases(2500))]

    #[test]
    fn every_consumer_gets_every_event_once(history in any_history()) {
        if let Err(broken) = play(Rules::OURS, &history) {
            return Err(TestCaseError::fail(broken.to_string()));
        }
    }

    #[test]
    fn consecutive_batches_share_no_transaction_and_miss_none(history in any_history()) {
        let server = play(Rules::OURS, &history).expect("a history without a fault");
        let ticks = &server.tick_history;
        let (Some(first), Some(last)) = (ticks.first(), ticks.last()) else { return Ok(()) };
        let batches: Vec<_> = ticks.windows(2).map(|pair| BatchBounds::new(&pair[0], &pair[1])).collect();
        for txid in (1..server.next().get()).map(Txid::new) {
            let times = batches.iter().filter(|batch| batch.covers(txid)).count();
            prop_assert_eq!(times, usize::from(between(first, last).contains(txid)));
        }
    }
}

/// Random histories find what is wrong with these rules.
fn assert_found(rules: Rules) {
    let config = Config { failure_persistence: None, max_shrink_iters: 0, ..Config::with_cases(10_000) };
    let seed = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, seed);
    let outcome = runner.run(&any_history(), |history| match play(rules, &history) {
        Ok(_) => Ok(()),
        Err(broken) => Err(TestCaseError::fail(broken.to_string())),
    });
    assert!(matches!(outcome, Err(TestError::Fail(..))), "no event was lost: {outcome:?}");
}

mod newest_tick_counts_as_a_position {
    use super::*;

    const PGQ_3_5: Rules = Rules {
        previous_table_is_free: |consumers, _, step2| consumers.into_iter().all(|xmin| xmin > step2),
        ..Rules::OURS
    };

    /// Nobody is registered while two switches pass over a writer.
    fn history(rules: Rules) -> Result<(), Broken> {
        let mut server = Server::new(rules, 3, 0);
        let writer = server.begin();
        server.write(writer);
        tick_at_once(&mut server);
        rotate_at_once(&mut server);
        tick_at_once(&mut server);
        rotate_at_once(&mut server);
        tick_at_once(&mut server);
        server.register();
        server.commit(writer);
        server.finish()
    }

    #[test]
    fn or_events_are_lost() {
        assert!(matches!(history(PGQ_3_5), Err(Broken::WrongBatch { .. })));
        assert!(history(Rules::OURS).is_ok());
    }

    #[test]
    fn random_histories_show_it() {
        assert_found(PGQ_3_5);
    }
}

mod step2_is_the_highest_id_assigned {
    use super::*;

    const PGQ_3_5: Rules = Rules { step2_value: |own, _| own, ..Rules::OURS };

    /// A transaction that got its id early runs step2; a later one has seen the old table.
    fn history(rules: Rules) -> Result<(), Broken> {
        let mut server = Server::new(rules, 3, 0);
        tick_at_once(&mut server);
        let maintainer = server.begin();
        let writer = server.begin();
        server.look(writer);
        step1_at_once(&mut server);
        server.step2(maintainer);
        server.commit(maintainer);
        tick_at_once(&mut server);
        server.register();
        tick_at_once(&mut server);
        rotate_at_once(&mut server);
        server.write(writer);
        server.commit(writer);
        server.finish()
    }

    #[test]
    fn or_events_are_lost() {
        assert!(matches!(history(PGQ_3_5), Err(Broken::WrongBatch { .. })));
        assert!(history(Rules::OURS).is_ok());
    }

    #[test]
    fn random_histories_show_it() {
        assert_found(PGQ_3_5);
    }
}

mod the_tick_at_step2_is_deleted {
    use super::*;

    const PGQ_3_5: Rules = Rules { tick_is_unreachable: |xmin, old_step2| xmin < old_step2, ..Rules::OURS };

    /// The transaction with the highest id at step2 has seen the old table, is the oldest at a tick, and a
    /// consumer is moved back to that tick after the next switch. Too much of a coincidence for a few
    /// thousand random histories.
    fn history(rules: Rules) -> Result<(), Broken> {
        let mut server = Server::new(rules, 3, 0);
        tick_at_once(&mut server);
        let consumer = 0;
        server.register();
        let maintainer = server.begin();
        let switcher = server.begin();
        let writer = server.begin();
        server.write(writer);
        server.step1(switcher);
        server.commit(switcher);
        server.step2(maintainer);
        server.commit(maintainer);
        tick_at_once(&mut server);
        server.commit(writer);
        tick_at_once(&mut server);
        server.next_batch(consumer, usize::MAX)?;
        server.finish_batch(consumer)?;
        rotate_at_once(&mut server);
        assert_eq!(server.switches, 2);
        let oldest_tick = 0;
        server.register_at(consumer, oldest_tick);
        server.finish()
    }

    #[test]
    fn or_events_are_lost() {
        assert!(matches!(history(PGQ_3_5), Err(Broken::WrongBatch { .. })));
        assert!(history(Rules::OURS).is_ok());
    }
}

mod a_switch_is_completed_by_another_transaction {
    use super::*;

    const CARELESS: Rules = Rules { may_complete: |_, _| true, ..Rules::OURS };

    /// One transaction runs both steps; a writer begins before it is committed and sees the old table.
    fn history(rules: Rules) -> Result<(), Broken> {
        let mut server = Server::new(rules, 3, 0);
        tick_at_once(&mut server);
        let maintainer = server.begin();
        server.step1(maintainer);
        server.step2(maintainer);
        let writer = server.begin();
        server.write(writer);
        server.commit(maintainer);
        tick_at_once(&mut server);
        server.register();
        server.commit(writer);
        server.finish()
    }

    #[test]
    fn or_events_are_lost() {
        assert!(matches!(history(CARELESS), Err(Broken::WrongBatch { .. })));
        assert!(history(Rules::OURS).is_ok());
    }

    #[test]
    fn random_histories_show_it() {
        assert_found(CARELESS);
    }
}

mod who_ticks_has_not_finished {
    use super::*;

    const PGQ_3_5: Rules = Rules { tick_snapshot: |taken, _| taken, ..Rules::OURS };

    /// A transaction takes a tick and inserts an event after it; in between the tables are switched.
    fn history(rules: Rules) -> Result<(), Broken> {
        let mut server = Server::new(rules, 3, 0);
        server.register();
        let writer = server.begin();
        tick_at_once(&mut server);
        server.next_batch(0, 1)?;
        server.finish_batch(0)?;
        server.tick(writer);
        server.begin();
        rotate_at_once(&mut server);
        assert_eq!(server.switches, 1);
        server.write(writer);
        server.commit(writer);
        server.finish()
    }

    #[test]
    fn or_events_are_lost() {
        assert!(matches!(history(PGQ_3_5), Err(Broken::WrongBatch { .. })));
        assert!(history(Rules::OURS).is_ok());
    }

    #[test]
    fn random_histories_show_it() {
        assert_found(PGQ_3_5);
    }
}

mod a_producer_gets_its_id_before_it_looks {
    use super::*;

    /// No rule can help a producer that looks first, and PgQ 3.5 had such ones.
    #[test]
    fn or_events_are_lost() {
        let mut server = Server::new(Rules::OURS, 3, 0);
        tick_at_once(&mut server);
        let current_table = server.current_table();
        rotate_at_once(&mut server);
        tick_at_once(&mut server);
        server.register();
        let writer = server.begin_after_look(current_table);
        server.write(writer);
        server.commit(writer);
        assert!(matches!(server.finish(), Err(Broken::WrongBatch { .. })));
    }
}
