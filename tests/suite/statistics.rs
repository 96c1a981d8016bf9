//! The ticker made visible: the statistics views, their reset, the line in the log, and lags that tell the truth.

use crate::scene::with_queue;
use pgq_tests::client::{Session, wait_until};
use pgq_tests::cluster::{Builder, Cluster};
use pgq_tests::queue::{self, Consumer};
use std::time::Duration;

fn builder() -> Builder {
    Cluster::builder()
        .conf("autovacuum", "off")
        .conf("shared_preload_libraries", "pgq")
        .conf("pgq.ticker_period", "20ms")
        .conf("pgq.maint_period", "1s")
        .conf("pgq.retry_period", "1s")
}

/// A server with the queue `q` and its consumer `c`.
fn served() -> (Cluster, Session, Consumer) {
    let cluster = builder().start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq");
    queue::create(&mut session, "q").unwrap();
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    (cluster, session, consumer)
}

/// A number or flag of the queue, as text.
fn of_queue(session: &mut Session, queue: &str, column: &str) -> Option<String> {
    let sql = format!("select ({column})::text from pgq.stat_queues where queue_name = $1");
    session.column::<Option<String>>(&sql, &[&queue]).pop().flatten()
}

fn count_of_queue(session: &mut Session, column: &str) -> i64 {
    of_queue(session, "q", column).map_or(0, |number| number.parse().unwrap())
}

fn of_ticker<T: postgres::types::FromSqlOwned>(session: &mut Session, column: &str) -> T {
    session.one(&format!("select {column} from pgq.stat_tickers where datname = current_database()"), &[])
}

fn shown(session: &mut Session) -> Vec<String> {
    session.column("select queue_name from pgq.stat_queues", &[])
}

fn wait_for_rest(session: &mut Session, queue: &str) {
    wait_until(&format!("{queue} to rest"), || {
        of_queue(session, queue, "at_rest").as_deref() == Some("true")
    });
}

/// Reads what there is, and waits until the ticker knows that nothing is left to do.
fn settle(session: &mut Session, consumer: &Consumer) {
    wait_until("the queue to rest", || {
        consumer.drain_all(session).unwrap();
        of_queue(session, "q", "at_rest").as_deref() == Some("true")
    });
}

fn configure(session: &mut Session, setting: &str, value: &str) {
    session.exec(&format!("alter system set {setting} = '{value}'"));
    session.exec("select pg_reload_conf()");
}

#[test]
fn ticks_and_their_events_are_counted() {
    let (_cluster, mut session, consumer) = served();
    settle(&mut session, &consumer);
    let [ticks, demanded, events] =
        ["ticks", "demand_ticks", "events"].map(|column| count_of_queue(&mut session, column));
    let looks: i64 = of_ticker(&mut session, "looks");

    assert!(consumer.next_batch(&mut session).unwrap().is_none());
    assert_eq!(of_queue(&mut session, "q", "consumer_waits").as_deref(), Some("true"));
    for _ in 0..5 {
        session.exec("begin; select pgq.insert_event('q', 'kind', 'data'); commit");
    }
    // The first event brings a tick, for who waited; the others come with it, or by the rule.
    wait_until("the events in ticks", || count_of_queue(&mut session, "events") == events + 5);
    let waited = count_of_queue(&mut session, "demand_ticks") - demanded;
    let taken = count_of_queue(&mut session, "ticks") - ticks;
    assert!(waited >= 1 && taken >= waited, "{taken} ticks, {waited} on demand");
    assert_eq!(of_queue(&mut session, "q", "consumer_waits").as_deref(), Some("false"));
    let agrees = "select (last_tick, last_tick_time) = (select tick_id, tick_time from pgq.tick order by tick_id desc limit 1)
                    from pgq.stat_queues where queue_name = 'q'";
    assert!(session.one::<bool>(agrees, &[]));
    assert_eq!(of_queue(&mut session, "q", "at_rest").as_deref(), Some("false"), "the consumer is behind");
    wait_until("a look", || of_ticker::<i64>(&mut session, "looks") > looks);
    settle(&mut session, &consumer);

    let told: bool = of_ticker(
        &mut session,
        "ticks >= (select sum(s.ticks) from pgq.stat_queues s) and started < last_look
         and datid = (select oid from pg_database where datname = current_database())
         and pid = (select pid from pg_stat_activity where backend_type = 'pgq ticker')",
    );
    assert!(told);
}

#[test]
fn retries_rotations_and_maintenance_are_counted() {
    let (cluster, mut session, consumer) = served();
    session.exec("select pgq.set_queue_config('q', 'rotation_period', '0')");
    queue::insert(&mut session, "q", "kind", "again").unwrap();
    let mut batch = None;
    wait_until("the event", || {
        batch = consumer.next_batch(&mut session).unwrap();
        let Some(batch) = &batch else { return false };
        let events = batch.events(&mut session).unwrap();
        for event in &events {
            session.exec(&format!("select pgq.event_retry({}, {}, 0)", batch.id, event.id));
        }
        batch.finish(&mut session).unwrap();
        !events.is_empty()
    });
    wait_until("the retried event", || of_ticker::<i64>(&mut session, "retried_events") == 1);
    wait_until("a rotation", || {
        queue::insert(&mut session, "q", "kind", "in the way").unwrap();
        consumer.drain_all(&mut session).unwrap();
        count_of_queue(&mut session, "rotations") > 0
    });
    let rounds: i64 = of_ticker(&mut session, "maint_rounds");
    assert!(rounds > 0 && of_ticker::<i64>(&mut session, "maint_calls") > 0);

    configure(&mut session, "pgq.stats_period", "1s");
    cluster.wait_for_log(", retry: 1}");
    let log = cluster.log();
    let line = log.lines().find(|line| line.contains(", retry: 1}")).unwrap();
    assert!(line.contains("pgq launcher: {ticks: ") && line.contains(", maint: "), "{line}");
}

#[test]
fn counting_begins_anew_where_it_is_asked_for() {
    let (_cluster, mut session, consumer) = served();
    queue::create(&mut session, "other").unwrap();
    wait_until("ticks of both", || {
        for queue in ["q", "other"] {
            queue::insert(&mut session, queue, "kind", "data").unwrap();
        }
        ["q", "other"].iter().all(|name| of_queue(&mut session, name, "ticks > 0").as_deref() == Some("true"))
    });
    for queue in ["q", "other"] {
        session.exec(&format!("select pgq.set_queue_config('{queue}', 'ticker_paused', 'true')"));
    }
    consumer.drain_all(&mut session).unwrap();
    // A tick may be under way when its queue is paused.
    let settled = "select string_agg(ticks::text, ' ') from pgq.stat_queues";
    let mut seen = String::new();
    wait_until("the last tick", || {
        let looks: i64 = of_ticker(&mut session, "looks");
        session.exec("select pgq.set_queue_config('q', 'ticker_max_count', '500')");
        wait_until("a look", || of_ticker::<i64>(&mut session, "looks") > looks);
        std::mem::replace(&mut seen, session.one(settled, &[])) == seen
    });

    let counts = "ticks || ' ' || demand_ticks || ' ' || events || ' ' || rotations || ' ' || errors";
    let other = of_queue(&mut session, "other", counts);
    let since = |session: &mut Session| of_queue(session, "q", "extract(epoch from stats_reset)").unwrap();
    let before: f64 = since(&mut session).parse().unwrap();
    session.exec("select pgq.stat_reset('q')");
    assert_eq!(of_queue(&mut session, "q", counts).as_deref(), Some("0 0 0 0 0"));
    assert!(since(&mut session).parse::<f64>().unwrap() > before);
    assert_eq!(of_queue(&mut session, "q", "last_tick > 0 and lag > '0'").as_deref(), Some("true"));
    assert_eq!(of_queue(&mut session, "other", counts), other);

    session.exec("select pgq.stat_reset()");
    assert_eq!(of_queue(&mut session, "other", counts).as_deref(), Some("0 0 0 0 0"));
    assert_eq!(of_ticker::<i64>(&mut session, "ticks + retried_events"), 0);
    assert_eq!(session.error("select pgq.stat_reset('nosuch')").code, "P0001");
}

#[test]
fn an_error_shows_with_its_message_to_those_who_may_read_it_and_goes_on_counting() {
    let (cluster, mut session, _) = served();
    session.exec("create role nobody login; create role monitor login; grant pg_read_all_stats to monitor");
    session.exec("create role upkeep login; grant pgq_admin to upkeep");
    session.exec("alter sequence pgq.event_1_tick_seq rename to lost");
    queue::insert(&mut session, "q", "kind", "waits").unwrap();
    wait_until("an error", || count_of_queue(&mut session, "errors") == 1);
    let message = of_queue(&mut session, "q", "last_error").unwrap();
    assert!(
        message.starts_with("tick of queue \"q\": ") && message.contains("event_1_tick_seq"),
        "{message}"
    );
    assert_eq!(of_ticker::<String>(&mut session, "last_error"), message);
    let fresh = "last_error_time between stats_reset and clock_timestamp()";
    assert_eq!(of_queue(&mut session, "q", fresh).as_deref(), Some("true"));
    wait_until("another error", || count_of_queue(&mut session, "errors") == 2);
    assert_eq!(of_ticker::<i64>(&mut session, "errors"), 2);
    configure(&mut session, "pgq.stats_period", "1s");
    cluster.wait_for_log(", errors: ");

    for (role, may_read, may_reset) in
        [("nobody", false, false), ("monitor", true, false), ("upkeep", true, true)]
    {
        let mut session = cluster.connect_as("postgres", role);
        assert!(count_of_queue(&mut session, "errors") >= 2, "{role}");
        assert_eq!(of_queue(&mut session, "q", "last_error").is_some(), may_read, "{role}");
        assert_eq!(of_ticker::<Option<String>>(&mut session, "last_error").is_some(), may_read, "{role}");
        assert_eq!(session.batch_execute("select pgq.stat_reset('q')").is_ok(), may_reset, "{role}");
        assert_eq!(session.batch_execute("select pgq.stat_reset()").is_ok(), may_reset, "{role}");
    }
    assert_eq!(of_queue(&mut session, "q", "last_error"), None);

    session.exec("alter sequence pgq.lost rename to event_1_tick_seq");
    session.exec(
        "create function bad(text) returns int language plpgsql as $$begin raise 'on purpose: %', repeat('é', 200); end$$;
         update pgq.queue set queue_extra_maint = '{public.bad}'",
    );
    wait_until("the function's error", || {
        let error = of_queue(&mut session, "q", "last_error").unwrap_or_default();
        // Cut between two characters.
        error.starts_with("public.bad('q'): on purpose: é") && (250..256).contains(&error.len())
    });
}

#[test]
fn queues_come_and_go_with_their_names() {
    let (cluster, mut session, consumer) = served();
    let long = "é".repeat(100);
    queue::create(&mut session, &long).unwrap();
    wait_for_rest(&mut session, &"é".repeat(63));
    assert_eq!(shown(&mut session), ["q".to_owned(), "é".repeat(63)]);
    queue::insert(&mut session, "q", "kind", "data").unwrap();
    settle(&mut session, &consumer);
    session.exec(&format!("select pgq.drop_queue('{long}')"));
    wait_until("the queue to vanish", || shown(&mut session) == ["q"]);
    // Who pauses does not vanish.
    session.exec("select pgq.set_queue_config('q', 'ticker_paused', 'true')");
    let looks: i64 = of_ticker(&mut session, "looks");
    wait_until("a look", || of_ticker::<i64>(&mut session, "looks") > looks);
    assert_eq!(shown(&mut session), ["q"]);

    // Each database shows its own queues, and all tickers.
    cluster.create_database("second");
    let mut second = cluster.connect("second");
    second.exec("create extension pgq");
    queue::create(&mut second, "there").unwrap();
    wait_until("the other queue", || shown(&mut second) == ["there"]);
    let databases = "select datname::text from pgq.stat_tickers order by 1";
    assert_eq!(session.column::<String>(databases, &[]), ["postgres", "second"]);
    assert_eq!(shown(&mut session), ["q"]);
    second.exec("drop extension pgq cascade");
    wait_until("the ticker to leave", || session.column::<String>(databases, &[]) == ["postgres"]);
    second.exec("create extension pgq");
    wait_until("the ticker to come", || session.column::<String>(databases, &[]) == ["postgres", "second"]);
    drop(second);
    session.exec("drop database second with (force)");
    let tickers = "select count(*) from pgq._stat_tickers()";
    wait_until("the database to be forgotten", || session.one::<i64>(tickers, &[]) == 1);
}

#[test]
fn a_queue_that_is_not_shown_does_not_rest() {
    let (_cluster, mut session, consumer) = served();
    settle(&mut session, &consumer);
    // Paused queues take places, and need neither tables nor ticks.
    session.exec(
        "insert into pgq.queue (queue_id, queue_name, queue_ticker_paused, queue_data_pfx, queue_event_seq, queue_tick_seq)
         select id, 'paused ' || id, true, name, name || '_id_seq', name || '_tick_seq'
           from (select id, 'pgq.event_' || id as name from generate_series(1001, 3047) id) as paused",
    );
    session.exec("select pgq.set_queue_config('q', 'ticker_idle_period', '1 h')");
    let places = "select count(*) from pgq.stat_queues";
    wait_until("all places to be taken", || session.one::<i64>(places, &[]) == 2048);
    queue::create(&mut session, "late").unwrap();
    session.exec("select pgq.set_queue_config('late', 'ticker_idle_period', '50 ms')");
    let ticks = "select count(*) from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue where queue_name = 'late'";
    let before: i64 = session.one(ticks, &[]);
    wait_until("idle ticks", || session.one::<i64>(ticks, &[]) > before + 3);
    assert!(!shown(&mut session).contains(&"late".to_owned()));

    session.exec("delete from pgq.queue where queue_id = 1001");
    wait_for_rest(&mut session, "late");
}

#[test]
fn the_lag_of_an_idle_queue_is_small_while_it_is_looked_after() {
    let (_cluster, mut session, consumer) = served();
    settle(&mut session, &consumer);
    let lags = "select extract(epoch from least(
                    (select ticker_lag from pgq.get_queue_info('q')),
                    (select lag from pgq.get_consumer_info('q', 'c')),
                    (select lag from pgq.stat_queues)))::float8,
                extract(epoch from greatest(
                    (select ticker_lag from pgq.get_queue_info('q')),
                    (select lag from pgq.get_consumer_info('q', 'c')),
                    (select lag from pgq.stat_queues)))::float8,
                extract(epoch from now() - (select max(tick_time) from pgq.tick))::float8";
    let lags = |session: &mut Session| -> (f64, f64, f64) {
        let row = session.query_one(lags, &[]).unwrap();
        (row.get(0), row.get(1), row.get(2))
    };
    // However old the newest tick becomes, the lag returns to almost nothing.
    wait_until("an old tick and no lag", || {
        let (_, most, tick) = lags(&mut session);
        assert!(most <= tick + 1.0, "{most} s, and the tick is {tick} s old");
        tick > 3.0 && most < 0.5
    });

    configure(&mut session, "pgq.ticker", "off");
    wait_until("a lag that grows", || lags(&mut session).0 > 1.5);
    assert_eq!(of_ticker::<Option<i32>>(&mut session, "pid"), None);
    configure(&mut session, "pgq.ticker", "on");
    wait_until("no lag", || lags(&mut session).1 < 0.5);
    assert!(of_ticker::<Option<i32>>(&mut session, "pid").is_some());
}

#[test]
fn the_lag_of_a_queue_that_cannot_be_ticked_counts_from_its_rest() {
    let (_cluster, mut session, consumer) = served();
    settle(&mut session, &consumer);
    let lags = "select extract(epoch from ticker_lag)::float8,
                       extract(epoch from now() - (select max(tick_time) from pgq.tick))::float8
                  from pgq.get_queue_info('q')";
    let lags = |session: &mut Session| -> (f64, f64) {
        let row = session.query_one(lags, &[]).unwrap();
        (row.get(0), row.get(1))
    };
    wait_until(
        "an old tick and no lag",
        || matches!(lags(&mut session), (lag, tick) if tick > 3.0 && lag < 0.5),
    );
    session.exec("alter sequence pgq.event_1_tick_seq rename to lost");
    queue::insert(&mut session, "q", "kind", "waits").unwrap();
    wait_until("a failure", || count_of_queue(&mut session, "errors") > 0);
    wait_until("the end of its rest", || of_queue(&mut session, "q", "at_rest").as_deref() == Some("false"));
    // Looks go on meanwhile, but they do not hide it.
    wait_until("a lag that grows", || lags(&mut session).0 > 2.0);
    let (lag, tick) = lags(&mut session);
    assert!(lag < tick - 2.0, "{lag} s, though the queue was fine until {tick} s after its tick");
}

#[test]
fn statistics_outlast_the_ticker_but_not_the_server() {
    let (mut cluster, mut session, consumer) = served();
    queue::insert(&mut session, "q", "kind", "data").unwrap();
    wait_until("a tick", || count_of_queue(&mut session, "ticks") > 0);
    settle(&mut session, &consumer);
    let (ticks, pid): (i64, i32) = (count_of_queue(&mut session, "ticks"), of_ticker(&mut session, "pid"));
    session.exec(&format!("select pg_terminate_backend({pid})"));
    wait_until("another ticker", || {
        of_ticker::<Option<i32>>(&mut session, "pid").is_some_and(|other| other != pid)
    });
    assert!(count_of_queue(&mut session, "ticks") >= ticks);
    let since = "stats_reset < started";
    assert!(of_ticker::<bool>(&mut session, since));

    configure(&mut session, "pgq.ticker", "off");
    wait_until("no ticker", || of_ticker::<Option<i32>>(&mut session, "pid").is_none());
    cluster.kill9();
    cluster.start_again();
    let mut session = cluster.connect("postgres");
    assert!(shown(&mut session).is_empty());
    assert!(session.rows("select from pgq.stat_tickers", &[]).is_empty());
    // The classic lag.
    let classic =
        "select ticker_lag = now() - (select max(tick_time) from pgq.tick) from pgq.get_queue_info('q')";
    assert!(session.one::<bool>(classic, &[]));
}

#[test]
fn without_preloading_there_is_nothing_to_see_and_nothing_to_reset() {
    let (_database, mut session) = with_queue("statistics");
    assert!(shown(&mut session).is_empty());
    assert!(session.rows("select from pgq.stat_tickers", &[]).is_empty());
    session.exec("select pgq.stat_reset(), pgq.stat_reset('q')");
    let unknown: bool = session.one("select pgq._idle_until(1, 1) is null", &[]);
    assert!(unknown);
}

#[test]
fn on_a_standby_the_lag_is_that_of_the_newest_tick() {
    let (cluster, mut primary, consumer) = served();
    settle(&mut primary, &consumer);
    let standby = cluster.standby();
    let mut session = standby.connect("postgres");
    assert!(shown(&mut session).is_empty());
    session.exec("select pgq.stat_reset(), pgq.stat_reset('q')");
    let classic =
        "select ticker_lag = now() - (select max(tick_time) from pgq.tick) from pgq.get_queue_info('q')";
    assert!(session.one::<bool>(classic, &[]));
    standby.promote();
    wait_until("the queue to rest there", || {
        of_queue(&mut session, "q", "at_rest and lag < '500 ms'").as_deref() == Some("true")
    });
}

#[test]
fn a_line_is_only_logged_when_something_happened() {
    let (cluster, mut session, consumer) = served();
    configure(&mut session, "pgq.maint_period", "1d");
    configure(&mut session, "pgq.stats_period", "1s");
    settle(&mut session, &consumer);
    queue::insert(&mut session, "q", "kind", "data").unwrap();
    cluster.wait_for_log("pgq launcher: {ticks: ");
    settle(&mut session, &consumer);
    let lines = |cluster: &Cluster| cluster.log().matches("pgq launcher: {ticks: ").count();
    // Until the counts of the last tick are told.
    let mut told = lines(&cluster);
    wait_until("the log to be quiet", || {
        std::thread::sleep(Duration::from_millis(2500));
        std::mem::replace(&mut told, lines(&cluster)) == lines(&cluster)
    });
}

#[test]
fn a_queue_that_is_paused_at_rest_does_not_hide_its_lag() {
    let (_cluster, mut session, consumer) = served();
    settle(&mut session, &consumer);
    session.exec("select pgq.set_queue_config('q', 'ticker_paused', 'true')");
    queue::insert(&mut session, "q", "kind", "waits").unwrap();
    let lags = "select ticker_lag > interval '2 s' from pgq.get_queue_info('q')";
    wait_until("the lag to grow", || session.one::<bool>(lags, &[]));
    assert_eq!(of_queue(&mut session, "q", "at_rest").as_deref(), Some("false"));
}
