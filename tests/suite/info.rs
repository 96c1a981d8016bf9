//! What the information functions tell: every number against the rows that it is made of.

use crate::scene::with_queue;
use pgq_tests::client::Session;
use pgq_tests::queue::Consumer;
use pgq_tests::shared::Database;

/// A queue `q` without ticks.
fn database() -> (Database, Session) {
    let (database, mut session) = with_queue("info");
    session.exec("delete from pgq.tick");
    (database, session)
}

fn events_per_second(session: &mut Session) -> Option<f64> {
    session.one("select ev_per_sec from pgq.get_queue_info('q')", &[])
}

#[test]
fn queues_are_listed_by_name_with_their_settings() {
    let (_database, mut session) = database();
    session.exec("select pgq.create_queue('z'), pgq.create_queue('a')");
    session
        .exec("update pgq.queue set queue_cur_table = 2, queue_ticker_paused = true where queue_name = 'z'");
    session.exec("update pgq.queue set queue_external_ticker = true where queue_name = 'a'");
    for call in ["get_queue_info()", "get_queue_info(null)"] {
        let names: Vec<String> = session.column(&format!("select queue_name from pgq.{call}"), &[]);
        assert_eq!(names, ["a", "q", "z"], "{call}");
    }
    let agreed: i64 = session.one(
        "select count(*)
           from pgq.get_queue_info() i
           join pgq.queue q using (queue_name, queue_ntables, queue_cur_table, queue_rotation_period, queue_switch_time,
                                   queue_external_ticker, queue_ticker_paused, queue_ticker_max_count,
                                   queue_ticker_max_lag, queue_ticker_idle_period)",
        &[],
    );
    assert_eq!(agreed, 3);
}

#[test]
fn the_rate_is_that_of_the_last_twenty_ticks() {
    let (_database, mut session) = database();
    // A rate that grows: every other choice of ticks gives another number.
    session.exec(
        "insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq)
         select 1, n, timestamptz '2020-01-01' + n * n * interval '1 s', n * n * n from generate_series(1, 30) n",
    );
    let from_10_to_30 = f64::from(30 * 30 * 30 - 10 * 10 * 10) / f64::from(30 * 30 - 10 * 10);
    assert_eq!(events_per_second(&mut session), Some(from_10_to_30));
    // Twenty ids back, not twenty ticks.
    session.exec("delete from pgq.tick where tick_id between 2 and 14");
    let from_15_to_30 = f64::from(30 * 30 * 30 - 15 * 15 * 15) / f64::from(30 * 30 - 15 * 15);
    assert_eq!(events_per_second(&mut session), Some(from_15_to_30));
}

#[test]
fn there_is_no_rate_without_time_between_ticks() {
    let (_database, mut session) = database();
    session.exec(
        "insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq) values (1, 1, '2020-01-01', 10)",
    );
    assert_eq!(events_per_second(&mut session), None, "one tick");
    session.exec(
        "insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq) values (1, 2, '2020-01-01', 20)",
    );
    assert_eq!(events_per_second(&mut session), None, "no time between");
    session.exec("update pgq.tick set tick_time = '2019-12-31' where tick_id = 2");
    assert_eq!(events_per_second(&mut session), None, "the newer tick has the older time");
    session.exec("update pgq.tick set tick_time = '2020-01-01 00:00:05' where tick_id = 2");
    assert_eq!(events_per_second(&mut session), Some(2.0));
}

#[test]
fn the_state_of_a_queue_is_counted_from_its_newest_tick() {
    let (_database, mut session) = database();
    session.exec(
        "insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq)
         values (1, 7, now(), 5), (1, 8, now() - interval '1 hour', 90), (1, 2, now(), 1)",
    );
    session.exec("select setval('pgq.event_1_id_seq', 100)");
    let told: String = session.one(
        "select concat_ws(' ', last_tick_id, ev_new, ticker_lag = (select now() - tick_time from pgq.tick where tick_id = 8))
           from pgq.get_queue_info('q')",
        &[],
    );
    assert_eq!(told, "8 10 t");
}

#[test]
fn a_queue_without_ticks_has_no_derived_numbers() {
    let (_database, mut session) = database();
    let unknown: i64 = session.one(
        "select num_nulls(ticker_lag, ev_per_sec, ev_new, last_tick_id)::bigint from pgq.get_queue_info('q')",
        &[],
    );
    assert_eq!(unknown, 4);
}

#[test]
fn consumers_are_listed_by_queue_and_name_and_null_means_any() {
    let (_database, mut session) = database();
    session.exec("select pgq.create_queue('p'), pgq.create_queue('null')");
    session.exec("select pgq.force_tick('q'), pgq.ticker('q')");
    for (queue, name) in [("q", "c2"), ("q", "c1"), ("p", "c2"), ("null", "c1")] {
        Consumer::new(queue, name).register(&mut session).unwrap();
    }
    let mut listed = |arguments: &str| -> Vec<String> {
        let call = format!("pgq.get_consumer_info({arguments})");
        session.column(&format!("select queue_name || '/' || consumer_name from {call}"), &[])
    };
    let all = ["null/c1", "p/c2", "q/c1", "q/c2"];
    assert_eq!(listed(""), all);
    assert_eq!(listed("null"), all);
    assert_eq!(listed("null, null"), all);
    assert_eq!(listed("'q'"), all[2..]);
    assert_eq!(listed("'q', null"), all[2..]);
    assert_eq!(listed("null, 'c1'"), ["null/c1", "q/c1"]);
    assert_eq!(listed("'null', 'c1'"), ["null/c1"], "a name like any other");
    assert_eq!(listed("'q', 'c2'"), ["q/c2"]);
    assert!(listed("'p', 'c1'").is_empty() && listed("'nosuch'").is_empty());
}

#[test]
fn a_consumer_is_told_by_its_position_and_its_batch() {
    let (_database, mut session) = database();
    session.exec(
        "insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq)
         values (1, 3, now() - interval '3 hours', 30), (1, 4, now() - interval '2 hours', 44), (1, 5, now(), 100)",
    );
    session.exec("select pgq.register_consumer_at('q', 'c', 3)");
    session.exec("update pgq.subscription set sub_active = now() - interval '1 hour'");
    let told = |session: &mut Session| -> String {
        session.one(
            "select concat_ws(' ', last_tick, coalesce(next_tick, 0), pending_events, current_batch is not distinct from sub_batch,
                              lag = now() - tick_time, last_seen = now() - sub_active)
               from pgq.get_consumer_info('q', 'c'), pgq.subscription join pgq.tick on tick_id = sub_last_tick",
            &[],
        )
    };
    assert_eq!(told(&mut session), "3 0 70 t t t");
    session.exec("select pgq.next_batch('q', 'c')");
    assert_eq!(told(&mut session), "3 4 70 t t t");
    session.exec("select pgq.finish_batch(sub_batch) from pgq.subscription");
    assert_eq!(told(&mut session), "4 0 56 t t t");
}

#[test]
fn an_idle_sub_consumer_has_a_row_without_lag() {
    let (_database, mut session) = database();
    session.exec("select pgq.force_tick('q'), pgq.ticker('q')");
    Consumer::new("q", "c").register(&mut session).unwrap();
    session.exec("insert into pgq.consumer (co_name) values ('c.sub')");
    session.exec("insert into pgq.subscription (sub_id, sub_queue, sub_consumer) values (1, 1, 2)");
    let rows = session.rows(
        "select consumer_name, num_nulls(lag, last_tick, current_batch, next_tick, pending_events), last_seen is not null
           from pgq.get_consumer_info('q')",
        &[],
    );
    let told: Vec<(&str, i32, bool)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(told, [("c", 2, true), ("c.sub", 5, true)]);
}

#[test]
fn a_batch_is_told_by_its_two_ticks() {
    let (_database, mut session) = database();
    session.exec(
        "insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq)
         values (1, 3, '2020-01-01', 30), (1, 4, '2020-01-02', 44), (1, 5, '2020-01-03', 100)",
    );
    session.exec("select pgq.register_consumer_at('q', 'c', 3)");
    let batch: i64 = session.one("select pgq.next_batch('q', 'c')", &[]);
    let told: String = session.one(
        "select concat_ws(' ', queue_name, consumer_name, batch_start::date, batch_end::date, prev_tick_id, tick_id,
                          seq_start, seq_end, lag = now() - timestamptz '2020-01-02')
           from pgq.get_batch_info($1)",
        &[&batch],
    );
    assert_eq!(told, "q c 2020-01-01 2020-01-02 3 4 30 44 t");
}
