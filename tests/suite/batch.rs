//! Reading a batch: which events are in it, in which order, and by which way.

use crate::scene::{rotating, with_consumer};
use pgq_tests::client::Session;
use pgq_tests::queue::{self, Batch, Consumer, Event, Reading};

const READINGS: [Reading; 4] = [Reading::Events, Reading::Sql, Reading::Cursor(0), Reading::Cursor(3)];

fn insert(session: &mut Session, data: &str) {
    queue::insert(session, "q", "kind", data).unwrap();
}

/// The next batch after a tick.
fn tick_and_open(session: &mut Session, consumer: &Consumer) -> Batch {
    queue::tick_now(session, &consumer.queue).unwrap();
    consumer.next_batch(session).unwrap().expect("a batch after a tick")
}

/// What all ways of reading agree on.
fn read(session: &mut Session, batch: &Batch) -> Vec<String> {
    let all: Vec<Vec<Event>> = READINGS
        .iter()
        .map(|reading| match reading {
            // Fetching nothing at once means to fetch all of it later.
            Reading::Cursor(0) => cursor_later(session, batch),
            reading => batch.read(session, *reading).unwrap(),
        })
        .collect();
    for (events, reading) in all.iter().zip(READINGS) {
        assert_eq!(events, &all[0], "{reading:?} against {:?}", READINGS[0]);
        assert!(events.windows(2).all(|pair| pair[0].id < pair[1].id), "{reading:?} is in order");
    }
    all[0].iter().filter_map(|event| event.data.clone()).collect()
}

fn cursor_later(session: &mut Session, batch: &Batch) -> Vec<Event> {
    session.exec("begin");
    let declared = session.rows("select * from pgq.get_batch_cursor($1, 'later', 0)", &[&batch.id]);
    assert!(declared.is_empty());
    let rows = session.rows("fetch all from later", &[]);
    session.exec("commit");
    let ids: Vec<i64> = rows.iter().map(|row| row.get("ev_id")).collect();
    let events = batch.events(session).unwrap();
    assert_eq!(ids, events.iter().map(|event| event.id).collect::<Vec<_>>());
    events
}

#[test]
fn a_batch_holds_what_became_visible_between_two_ticks() {
    let (database, mut session, consumer) = with_consumer("batch");
    let mut long = database.connect();
    let mut undone = database.connect();
    long.exec("begin");
    insert(&mut long, "long 1");
    undone.exec("begin");
    insert(&mut undone, "undone");
    insert(&mut session, "short 1");
    let first = tick_and_open(&mut session, &consumer);
    assert_eq!(read(&mut session, &first), ["short 1"]);
    first.finish(&mut session).unwrap();

    insert(&mut session, "short 2");
    insert(&mut long, "long 2");
    long.exec("commit");
    undone.exec("rollback");
    let second = tick_and_open(&mut session, &consumer);
    assert_eq!(read(&mut session, &second), ["long 1", "short 2", "long 2"]);
    second.finish(&mut session).unwrap();

    let third = tick_and_open(&mut session, &consumer);
    assert!(read(&mut session, &third).is_empty(), "a batch may be empty");
}

#[test]
fn transactions_far_below_the_range_are_looked_up_one_by_one() {
    let (database, mut session, consumer) = with_consumer("batch");
    let mut far: Vec<Session> = (0..3).map(|_| database.connect()).collect();
    for (number, writer) in far.iter_mut().enumerate() {
        writer.exec("begin");
        insert(writer, &format!("far {number}"));
    }
    for _ in 0..300 {
        session.exec("select txid_current()");
    }
    let mut near = database.connect();
    near.exec("begin");
    insert(&mut near, "near");
    insert(&mut session, "between");
    let first = tick_and_open(&mut session, &consumer);
    assert_eq!(read(&mut session, &first), ["between"]);
    first.finish(&mut session).unwrap();

    far[0].exec("commit");
    far[1].exec("rollback");
    near.exec("commit");
    insert(&mut session, "after");
    let second = tick_and_open(&mut session, &consumer);
    let sql: String = session.one("select pgq.batch_event_sql($1)", &[&second.id]);
    assert!(sql.contains("ev_txid IN ("), "single look-ups for the far ones:\n{sql}");
    assert_eq!(read(&mut session, &second), ["far 0", "near", "after"]);
    second.finish(&mut session).unwrap();

    far[2].exec("commit");
    let third = tick_and_open(&mut session, &consumer);
    assert_eq!(read(&mut session, &third), ["far 2"]);
}

#[test]
fn events_out_of_order_are_sorted() {
    let (database, mut session, consumer) = with_consumer("batch");
    let mut late = database.connect();
    late.exec("begin; select txid_current()");
    for number in 0..50 {
        insert(&mut session, &format!("{number:02}"));
    }
    insert(&mut late, "50");
    late.exec("commit");
    session.exec(
        "select pgq.insert_event_raw('q', 0, null, null, 1, 'kind', 'first of all', null, null, null, null)",
    );
    let batch = tick_and_open(&mut session, &consumer);
    let data = read(&mut session, &batch);
    assert_eq!(data[0], "first of all");
    assert!(data[1..].is_sorted());
    assert_eq!(data.len(), 52);
    // In memory that does not hold them, too.
    session.exec("begin; set local work_mem = '64kB'");
    session.exec(
        "select pgq.insert_event('q', 'kind', repeat('x', 2000)) from generate_series(1, 2000);
         select pgq.insert_event_raw('q', -1, null, null, null, 'k', 'd', null, null, null, null); commit",
    );
    batch.finish(&mut session).unwrap();
    let batch = tick_and_open(&mut session, &consumer);
    session.exec("set work_mem = '64kB'");
    let sorted: bool = session.one(
        "select array_agg(ev_id) = array_agg(ev_id order by ev_id) and count(*) = 2001
           from pgq.get_batch_events($1)",
        &[&batch.id],
    );
    assert!(sorted);
}

#[test]
fn running_out_of_temporary_files_is_an_error_like_others() {
    let (_database, mut session, consumer) = with_consumer("batch");
    session.exec("select pgq.insert_event('q', 'kind', repeat('x', 500)) from generate_series(1, 10000)");
    session.exec("select pgq.insert_event_raw('q', 0, null, null, 1, 'k', 'd', null, null, null, null)");
    let batch = tick_and_open(&mut session, &consumer);
    session.exec("set work_mem = '64kB'; set temp_file_limit = '1MB'");
    let error = session.error(&format!("select count(*) from pgq.get_batch_events({})", batch.id));
    assert_eq!(error.code, "53400", "{error:?}");
    session.exec("reset temp_file_limit");
    let all: i64 = session.one("select count(*) from pgq.get_batch_events($1)", &[&batch.id]);
    assert_eq!(all, 10001);
}

#[test]
fn an_event_with_an_owner_is_for_that_subscription_alone() {
    let (_database, mut session, consumer) = with_consumer("batch");
    let other = Consumer::new("q", "other");
    other.register(&mut session).unwrap();
    session.exec(
        "select pgq.insert_event_raw('q', null, null, sub_id, 5, 'kind', 'for c', 'x', null, 'y', null)
           from pgq.subscription s join pgq.consumer on co_id = sub_consumer where co_name = 'c'",
    );
    insert(&mut session, "for all");
    let batch = tick_and_open(&mut session, &consumer);
    assert_eq!(read(&mut session, &batch), ["for c", "for all"]);
    let event = batch.events(&mut session).unwrap().remove(0);
    assert_eq!(
        (event.retry, event.extra[0].as_deref(), event.extra[2].as_deref()),
        (Some(5), Some("x"), Some("y"))
    );
    let theirs = other.next_batch(&mut session).unwrap().unwrap();
    assert_eq!(read(&mut session, &theirs), ["for all"]);
}

#[test]
fn an_open_batch_whose_tick_is_gone_is_told_from_one_that_is_not_open() {
    let (_database, mut session, consumer) = with_consumer("batch");
    let batch = tick_and_open(&mut session, &consumer);
    session.exec("delete from pgq.tick where tick_id = (select max(tick_id) from pgq.tick)");
    let error = session.error(&format!("select pgq.get_batch_events({})", batch.id));
    assert_eq!((error.code.as_str(), error.message), ("P0001", format!("batch not found: {}", batch.id)));
    assert!(error.detail.unwrap().contains("pgq.tick"));
}

#[test]
fn unknown_batches_are_errors() {
    let (_database, mut session, _) = with_consumer("batch");
    let unknown = ["77", "null::bigint"];
    for (id, shown) in unknown.iter().zip(["77", "NULL"]) {
        for call in
            ["batch_event_sql(#)", "batch_event_tables(#)", "get_batch_events(#)", "batch_retry(#, 1)"]
        {
            let error = session.error(&format!("select pgq.{}", call.replace('#', id)));
            assert_eq!(
                (error.code, error.message),
                ("P0001".to_owned(), format!("batch not found: {shown}")),
                "{call}"
            );
        }
    }
    assert_eq!(session.error("select pgq.get_batch_cursor(77, 'c', 10)").code, "P0001");
    assert!(session.rows("select * from pgq.get_batch_cursor(null, 'c', 10)", &[]).is_empty());
    assert!(session.rows("select * from pgq.get_batch_cursor(77, null, 10, 'true')", &[]).is_empty());
    assert!(session.rows("select * from pgq.get_batch_cursor(77, 'c', null, 'true')", &[]).is_empty());
}

#[test]
fn a_cursor_of_any_name_with_a_condition_of_the_callers() {
    let (_database, mut session, consumer) = with_consumer("batch");
    for number in 0..20 {
        insert(&mut session, &number.to_string());
    }
    let batch = tick_and_open(&mut session, &consumer);
    session.exec("create table wanted as select generate_series(0, 19, 2)::text as n; analyze wanted");
    session.exec("begin");
    let first: Vec<String> = session.column(
        "select ev_data from pgq.get_batch_cursor($1, 'My \"cur', 3, 'ev_data in (select n from wanted) -- only these')",
        &[&batch.id],
    );
    assert_eq!(first, ["0", "2", "4"]);
    let rest: Vec<String> =
        session.rows("fetch all from \"My \"\"cur\"", &[]).iter().map(|row| row.get("ev_data")).collect();
    assert_eq!(rest, ["6", "8", "10", "12", "14", "16", "18"]);
    session.exec(&format!("select pgq.get_batch_cursor({}, 'second', 0, 'ev_id > 0')", batch.id));
    session.exec("savepoint s");
    let error = session.error(&format!("select pgq.get_batch_cursor({}, 'second', 0)", batch.id));
    assert_eq!(error.code, "42P03");
    session.exec("rollback to s");
    // A cursor stays readable when the batch is finished before the last row was fetched.
    batch.finish(&mut session).unwrap();
    assert_eq!(session.rows("fetch all from second", &[]).len(), 20);
    assert_eq!(session.error("move backward 1 from second").code, "55000");
    session.exec("rollback");
    // Outside of a transaction the cursor ends with the statement.
    let all = session.rows("select * from pgq.get_batch_cursor($1, 'brief', 100)", &[&batch.id]);
    assert_eq!(all.len(), 20);
    assert_eq!(session.error("fetch 1 from brief").code, "34000");
}

#[test]
fn a_cursor_is_named_by_an_identifier_and_its_condition_is_one_expression() {
    let (_database, mut session, consumer) = with_consumer("batch");
    let batch = tick_and_open(&mut session, &consumer);
    for condition in ["ev_id > 1) or (true", "true order by 1", "true; select 1", ""] {
        let call = format!("select pgq.get_batch_cursor({}, 'c', 0, '{condition}')", batch.id);
        assert_eq!(session.error(&call).code, "42601", "{condition}");
    }
    let call = |name: &str| format!("select pgq.get_batch_cursor({}, '{name}', 0)", batch.id);
    assert_eq!(session.error(&call("")).code, "42601");
    let _ = session.take_notices();
    session.exec("begin");
    session.exec(&call(&"n".repeat(64)));
    assert_eq!(session.take_notices()[0].code, "42622");
    session.exec(&format!("fetch {}; commit", "n".repeat(63)));
}

#[test]
fn a_cursor_without_a_quick_part_or_a_condition() {
    let (_database, mut session, consumer) = with_consumer("batch");
    insert(&mut session, "1");
    insert(&mut session, "2");
    let batch = tick_and_open(&mut session, &consumer);
    for quick_limit in [0, -1, i32::MIN] {
        session.exec("begin");
        let call = "select * from pgq.get_batch_cursor($1, 'c', $2)";
        assert!(session.rows(call, &[&batch.id, &quick_limit]).is_empty(), "{quick_limit}");
        assert_eq!(session.rows("fetch all from c", &[]).len(), 2, "{quick_limit}");
        session.exec("commit");
    }
    let all = session.rows("select * from pgq.get_batch_cursor($1, 'c', 10, null)", &[&batch.id]);
    assert_eq!(all.len(), 2, "no condition");
}

#[test]
fn readers_need_select_and_the_condition_runs_with_their_rights() {
    let (database, mut session, consumer) = with_consumer("batch");
    let name = database.name();
    let (reader, poor) = (format!("{name}_reader"), format!("{name}_poor"));
    session.exec(&format!(
        "create role {reader} login in role pgq_reader; create role {poor} login;
         grant execute on function pgq.get_batch_events, pgq.batch_event_sql to {poor};
         create table secret (n int); insert into secret values (1)"
    ));
    insert(&mut session, "event");
    let batch = tick_and_open(&mut session, &consumer);
    let mut by_reader = database.connect_as(&reader);
    assert_eq!(read(&mut by_reader, &batch), ["event"]);
    let call =
        format!("select * from pgq.get_batch_cursor({}, 'c', 10, '(select n from secret) = 1')", batch.id);
    assert_eq!(by_reader.error(&call).code, "42501");
    let mut by_poor = database.connect_as(&poor);
    let error = by_poor.error(&format!("select * from pgq.get_batch_events({})", batch.id));
    assert_eq!(error.code, "42501", "{error:?}");
    session.exec(&format!("drop owned by {poor}, {reader}; drop role {reader}, {poor}"));
}

#[test]
fn altered_tables_are_read_through_the_planner() {
    for alteration in [
        "alter table pgq.event_1_0 add column more text",
        "drop index pgq.event_1_0_txid_idx",
        "alter table pgq.event_1_0 alter column ev_type set not null",
    ] {
        let (_database, mut session, consumer) = with_consumer("altered");
        insert(&mut session, "before");
        session.exec(alteration);
        insert(&mut session, "after");
        let batch = tick_and_open(&mut session, &consumer);
        assert_eq!(read(&mut session, &batch), ["before", "after"], "{alteration}");
    }
}

#[test]
fn the_tables_of_a_batch() {
    // Which tables depends on the open transactions of the whole cluster: a neighbour's would change the story.
    let (_cluster, mut session) = rotating();
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    let tables = |session: &mut Session, batch: &Batch| {
        session.column::<String>("select pgq.batch_event_tables($1)", &[&batch.id])
    };
    let first = tick_and_open(&mut session, &consumer);
    assert_eq!(tables(&mut session, &first), ["pgq.event_1_2", "pgq.event_1_0"], "right after creation");
    first.finish(&mut session).unwrap();
    session.exec("select txid_current()");
    tick_and_open(&mut session, &consumer).finish(&mut session).unwrap();
    let second = tick_and_open(&mut session, &consumer);
    assert_eq!(
        tables(&mut session, &second),
        ["pgq.event_1_0"],
        "all that can be in it was written after step 2"
    );

    insert(&mut session, "old table");
    second.finish(&mut session).unwrap();
    let before_switch = tick_and_open(&mut session, &consumer);
    session.exec("select pgq.maint_rotate_tables_step1('q')");
    insert(&mut session, "new table, half done");
    assert_eq!(tables(&mut session, &before_switch), ["pgq.event_1_0"], "its end is before the switch");
    assert_eq!(read(&mut session, &before_switch), ["old table"]);
    before_switch.finish(&mut session).unwrap();
    let half_done = tick_and_open(&mut session, &consumer);
    assert_eq!(tables(&mut session, &half_done), ["pgq.event_1_0", "pgq.event_1_1"]);
    assert_eq!(read(&mut session, &half_done), ["new table, half done"]);
}

#[test]
fn a_batch_over_both_tables_is_in_order() {
    // Which tables depends on the open transactions of the whole cluster.
    let (_cluster, mut session) = rotating();
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    tick_and_open(&mut session, &consumer).finish(&mut session).unwrap();
    let insert = |session: &mut Session, id: i64, data: &str| {
        session.exec(&format!(
            "select pgq.insert_event_raw('q', {id}, null, null, null, 't', '{data}', null, null, null, null)"
        ));
    };
    insert(&mut session, 10, "old 10");
    insert(&mut session, 30, "old 30");
    assert!(queue::rotate(&mut session, "q").unwrap());
    insert(&mut session, 20, "new 20");
    insert(&mut session, 5, "new 5");
    let batch = tick_and_open(&mut session, &consumer);
    let tables: Vec<String> = session.column("select pgq.batch_event_tables($1)", &[&batch.id]);
    assert_eq!(tables, ["pgq.event_1_0", "pgq.event_1_1"]);
    for table in tables {
        assert_eq!(session.one::<i64>(&format!("select count(*) from {table}"), &[]), 2, "{table}");
    }
    assert_eq!(read(&mut session, &batch), ["new 5", "old 10", "new 20", "old 30"]);
}

#[test]
fn one_statement_may_open_and_read() {
    let (database, mut session, consumer) = with_consumer("batch");
    insert(&mut session, "event");
    queue::tick_now(&mut session, "q").unwrap();
    drop(database.connect());
    let data: Vec<String> = session
        .column("select ev_data from pgq.get_batch_events(pgq.next_batch($1, $2))", &[&"q", &consumer.name]);
    assert_eq!(data, ["event"]);
}

#[test]
fn a_consumer_in_repeatable_read_reads_what_its_snapshot_shows() {
    let (database, mut session, consumer) = with_consumer("batch");
    insert(&mut session, "seen");
    queue::tick_now(&mut session, "q").unwrap();
    let mut reader = database.connect();
    reader.exec("begin isolation level repeatable read; select 1");
    insert(&mut session, "later");
    queue::tick_now(&mut session, "q").unwrap();
    let batch = consumer.next_batch(&mut reader).unwrap().expect("the tick before its snapshot");
    for reading in [Reading::Events, Reading::Sql] {
        let events = batch.read(&mut reader, reading).unwrap();
        assert_eq!(events.iter().filter_map(|event| event.data.as_deref()).collect::<Vec<_>>(), ["seen"]);
    }
    batch.finish(&mut reader).unwrap();
    assert_eq!(consumer.next_batch(&mut reader).unwrap(), None, "the later tick is not in its snapshot");
    reader.exec("commit");
    let batch = consumer.next_batch(&mut reader).unwrap().expect("the later tick");
    assert_eq!(read(&mut reader, &batch), ["later"]);
}

/// Shared and local buffers that a query touches, by its own account.
fn buffers(session: &mut Session, sql: &str) -> i64 {
    let plan: String =
        session.column::<String>(&format!("explain (analyze, buffers, timing off) {sql}"), &[]).join("\n");
    let line =
        plan.lines().find(|line| line.trim_start().starts_with("Buffers:")).expect("a line of buffers");
    line.split_whitespace().filter_map(|word| word.split_once('=')?.1.parse::<i64>().ok()).sum()
}

#[test]
fn a_small_batch_costs_the_same_in_a_table_of_ten_million_events() {
    let mut touched = Vec::new();
    for before in [10_000, 10_000_000] {
        let (_database, mut session, consumer) = with_consumer("buffers");
        // By transactions before the cluster's first, so that none of them is in the batch.
        session.exec(&format!(
            "insert into pgq.event_1_0 (ev_id, ev_time, ev_txid, ev_type, ev_data)
               select n, now(), 3 + n::bigint * 500 / {before}, 'kind', 'sixty bytes of payload, which is about what a small row takes'
                 from generate_series(1, {before}) n"
        ));
        session.exec(&format!("select setval('pgq.event_1_id_seq', {before})"));
        let first = tick_and_open(&mut session, &consumer);
        first.finish(&mut session).unwrap();
        for _ in 0..10 {
            session.exec(
                "select pgq.insert_event('q', 'kind', 'one of a thousand') from generate_series(1, 100)",
            );
        }
        let batch = tick_and_open(&mut session, &consumer);
        // Once, so that what is remembered is, and the rows' status is known.
        assert_eq!(batch.events(&mut session).unwrap().len(), 1000);
        let direct = buffers(&mut session, &format!("select * from pgq.get_batch_events({})", batch.id));
        let sql: String = session.one("select pgq.batch_event_sql($1)", &[&batch.id]);
        let by_planner = buffers(&mut session, &sql);
        let plan = session.column::<String>(&format!("explain {sql}"), &[]).join("\n");
        assert!(plan.contains("event_1_0_txid_idx") && !plan.contains("Seq Scan"), "{plan}");
        touched.push((direct, by_planner));
    }
    let [small, large] = touched[..] else { unreachable!() };
    assert!(large.0 <= 2 * small.0, "get_batch_events: {small:?} against {large:?} buffers");
    assert!(large.1 <= 2 * small.1, "batch_event_sql: {small:?} against {large:?} buffers");
}

#[test]
fn putting_one_event_off_does_not_read_the_whole_batch() {
    let (_database, mut session, consumer) = with_consumer("buffers");
    session.exec("select pgq.insert_event('q', 'kind', repeat('x', 100)) from generate_series(1, 20000)");
    let batch = tick_and_open(&mut session, &consumer);
    let all = buffers(&mut session, &format!("select * from pgq.get_batch_events({})", batch.id));
    // Once, so that what is remembered is.
    session.exec(&format!("select pgq.event_retry({}, 2, 0)", batch.id));
    let one = buffers(&mut session, &format!("select pgq.event_retry({}, 3, 0)", batch.id));
    assert!(one * 5 < all, "{one} buffers for one of the first, {all} for all");
}

#[test]
fn putting_many_events_off_goes_through_the_batch_once() {
    const EVENTS: i64 = 20_000;
    let (_database, mut session, consumer) = with_consumer("buffers");
    session.exec(&format!("select pgq.insert_event('q', 'kind', 'data') from generate_series(1, {EVENTS})"));
    let batch = tick_and_open(&mut session, &consumer);
    for step in [1, 100] {
        session.exec("delete from pgq.retry_queue");
        let call = format!("pgq.event_retry({}, id, 0)", batch.id);
        let touched =
            buffers(&mut session, &format!("select {call} from generate_series(1, {EVENTS}, {step}) id"));
        // Each finds its batch and is stored, which touches some twenty; a search from the start would touch the more
        // the later it is.
        let calls = EVENTS / step;
        assert!(touched < 40 * calls, "{touched} buffers for {calls} events");
    }
}

/// What the cursor over a batch puts into temporary files, in blocks, when it has little memory.
fn temporary_blocks(session: &mut Session, batch: &Batch) -> i64 {
    session.exec(&format!(
        "begin; set local work_mem = '64kB'; select pgq.get_batch_cursor({}, 'c', 0)",
        batch.id
    ));
    let query: String = session.one("select statement from pg_cursors where name = 'c'", &[]);
    let plan = session.column::<String>(&format!("explain (analyze, buffers) {query}"), &[]).join("\n");
    session.exec("rollback");
    assert!(!plan.contains("Sort"), "{plan}");
    let (_, files) = plan.split_once("temp read=").expect("temporary files");
    let (_, written) = files.split_once("written=").expect("blocks written");
    written.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_cursor_over_events_that_lie_in_order_does_not_sort_them() {
    let mut blocks = Vec::new();
    for first_id in [1, 20000] {
        let (_database, mut session, consumer) = with_consumer("sort");
        session.exec(&format!(
            "select pgq.insert_event_raw('q', {first_id}, null, null, null, 'kind', 'd', null, null, null, null);
             select pgq.insert_event('q', 'kind', repeat('x', 100)) from generate_series(1, 10000)"
        ));
        let batch = tick_and_open(&mut session, &consumer);
        blocks.push(temporary_blocks(&mut session, &batch));
    }
    // What is not sorted is written once. An id that is too high shows that sorting could be seen.
    assert!(2 * blocks[0] < blocks[1], "{blocks:?}");
}
