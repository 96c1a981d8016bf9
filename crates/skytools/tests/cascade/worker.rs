//! Root, branch and leaf: the same ticks and the same events everywhere, whoever reads from whom.

use std::time::{Duration, Instant};

use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue;

use super::stage::{Applies, Cascade, Load, config_at, good, start_worker, worker_name};
use crate::kit::{Worker, servers, wait};
use skytools::cascade::CascadedWorker;
use skytools::script::{Job, Script};

const NODES: [&str; 3] = ["a", "b", "c"];

fn sessions_of_workers(session: &mut Session) -> Vec<i32> {
    session.column(
        "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                and application_name <> 'writer' and backend_type = 'client backend'",
        &[],
    )
}

#[test]
fn under_load_all_nodes_have_the_same() {
    for server in servers() {
        let cascade = Cascade::chain_on(&server);
        let _workers = NODES.map(|node| cascade.start(node));
        let load = Load::start(&cascade, "a");
        cascade.wait_for(&["c"], "q", 30);
        let sent = load.stop();
        let top = cascade.settle("a", &["b", "c"]);
        cascade.all_alike("a", "b", top, &["b", "c"], &sent);
    }
}

#[test]
fn sessions_of_workers_are_terminated_at_any_time_under_load() {
    let cascade = Cascade::chain();
    let _workers = NODES.map(|node| cascade.start(node));
    let load = Load::start(&cascade, "a");
    for round in 0..40_usize {
        let mut session = cascade.connect(NODES[round % 3]);
        for pid in sessions_of_workers(&mut session).into_iter().skip(round % 2) {
            session.execute("select pg_terminate_backend($1)", &[&pid]).unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = load.stop();
    let top = cascade.settle("a", &["b", "c"]);
    cascade.all_alike("a", "b", top, &["b", "c"], &sent);
}

#[test]
fn two_processes_of_one_worker_apply_each_batch_once() {
    let cascade = Cascade::chain();
    let _workers = ["a", "b", "b", "c", "c"].map(|node| cascade.start(node));
    let load = Load::start(&cascade, "a");
    cascade.wait_for(&["c"], "q", 20);
    let sent = load.stop();
    let top = cascade.settle("a", &["b", "c"]);
    cascade.all_alike("a", "b", top, &["b", "c"], &sent);
}

#[test]
fn a_batch_of_many_blocks_is_copied_whole() {
    let cascade = Cascade::chain();
    let mut branch = cascade.connect("b");
    branch.exec("alter table applied add role text default current_setting('session_replication_role')");
    cascade.connect("a").exec(
        "select pgq.insert_event('q', 'kind', i::text, null, e'\\\\N', e'a\\tb', e'c\\nd')
           from generate_series(1, 1234) i",
    );
    let _workers = NODES.map(|node| cascade.start_with(node, "q", &[("pgq_lazy_fetch", "100")]));
    let top = cascade.settle("a", &["b", "c"]);
    let mut sent: Vec<String> = (1..=1234).map(|number: i32| number.to_string()).collect();
    sent.sort();
    cascade.all_alike("a", "b", top, &["b", "c"], &sent);
    let roles: Vec<String> =
        branch.column("select distinct role from applied where role is not null and queue = 'q'", &[]);
    assert_eq!(roles, ["origin"], "only the copy is written as a replica");
}

#[test]
fn a_limit_of_events_a_transaction_is_the_producers_and_not_the_copys() {
    let cascade = Cascade::chain();
    // As a root has it that became a branch.
    cascade.connect("b").exec("select pgq.set_queue_config('q', 'per_tx_limit', '2')");
    let sent: Vec<String> = (0..5).map(|number| number.to_string()).collect();
    sent.iter().for_each(|data| _ = cascade.insert("a", "q", data));
    let _worker = cascade.start("b");
    let top = cascade.settle("a", &["b"]);
    cascade.all_alike("a", "b", top, &["b"], &sent);
}

#[test]
fn a_filter_of_tables_is_the_handlers_and_the_copy_is_whole() {
    let cascade = Cascade::chain();
    let filter = [("table_filter", "wanted")];
    let _workers = NODES.map(|node| cascade.start_with(node, "q", &filter));
    queue::insert(&mut cascade.connect("a"), "q", "my.own", "system").unwrap();
    for table in ["public.wanted", "public.other"] {
        let call = "select pgq.insert_event('q', 'kind', $1, $1, null, null, null)";
        cascade.connect("a").execute(call, &[&table]).unwrap();
    }
    let top = cascade.settle("a", &["b", "c"]);
    cascade.all_alike("a", "b", top, &["b", "c"], &["public.wanted", "system"].map(str::to_owned));
}

#[test]
fn a_handler_that_leaves_events_does_not_keep_them_from_the_copy() {
    struct Lazy;
    impl skytools::consumer::Handler for Lazy {
        async fn batch(&mut self, _: &mut skytools::consumer::Batch) -> skytools::Result<()> {
            Ok(())
        }
    }
    let cascade = Cascade::chain();
    (0..3).for_each(|number| _ = cascade.insert("a", "q", &number.to_string()));
    let _worker =
        Worker::start(cascade.config("b", "q", &[]), |script| CascadedWorker::on_node(script, "db", Lazy));
    let top = cascade.settle("a", &["b"]);
    cascade.all_alike("a", "b", top, &[], &[]);
}

#[test]
fn an_event_that_no_handler_knows_is_told_and_nothing_is_skipped() {
    let cascade = Cascade::chain();
    let unhandled =
        Worker::start(cascade.config("b", "q", &[]), |script| CascadedWorker::on_node(script, "db", ()));
    let event = cascade.insert("a", "q", "one");
    let before = cascade.completed("b", "q");
    let tick = cascade.tick("a", "q");
    cascade.wait_for_error("b", "q", "Unhandled event type in queue: kind");
    assert!(cascade.completed("b", "q") < tick && cascade.completed("b", "q") >= before);
    drop(unhandled);
    let _worker = cascade.start("b");
    cascade.wait_for(&["b"], "q", tick);
    wait_until("the error to be cleared", || cascade.error("b", "q").is_none());
    let copied: Vec<i64> =
        cascade.history("b", 2, tick).iter().flat_map(|c| &c.events).map(|e| e.id).collect();
    assert!(copied.contains(&event), "{copied:?}");
}

#[test]
fn an_error_stays_until_a_round_goes_well() {
    let cascade = Cascade::chain();
    cascade.connect("b").exec(
        "create table told (error text);
         create function tell() returns trigger language plpgsql as
             'begin insert into public.told values (new.cur_error); return new; end';
         create trigger tell after update of cur_error on pgq_node.local_state
             for each row when (old.cur_error is not null) execute function tell()",
    );
    cascade.connect("a").exec("select pgq.insert_event('q', 'pgq.unheard-of', '1', 'q', null, null, null)");
    let _worker = cascade.start("b");
    cascade.settle("a", &[]);
    cascade.wait_for_error("b", "q", "unknown system event");
    let (mut branch, told) = (cascade.connect("b"), "select count(error), count(*) from told");
    wait_until("it to fail again and again", || branch.rows(told, &[])[0].get::<_, i64>(1) > 4);
    let row = &branch.rows(told, &[])[0];
    assert_eq!(row.get::<_, i64>(0), row.get::<_, i64>(1), "cleared while it fails");
}

#[test]
fn an_event_that_comes_again_is_an_error() {
    let cascade = Cascade::of(&["a", "c"]);
    cascade.root("a", "q");
    cascade.subscribe("c", "leaf", "a", "q", None);
    let (mut root, worker) = (cascade.connect("a"), worker_name("c", "q"));
    let event = cascade.insert("a", "q", "one");
    let tick = cascade.tick("a", "q");
    let batch = queue::Consumer::new("q", &worker).next_batch(&mut root).unwrap().unwrap();
    root.execute("select pgq.event_retry($1, $2, 0)", &[&batch.id, &event]).unwrap();
    batch.finish(&mut root).unwrap();
    good(&mut cascade.connect("c"), &format!("set_consumer_completed('q', '{worker}', {tick})"));
    wait_until("the event to come again", || root.one::<i32>("select pgq.maint_retry_events()", &[]) > 0);
    cascade.tick("a", "q");
    let _worker = cascade.start("c");
    cascade.wait_for_error("c", "q", "comes again, which no event of a cascade may");
}

#[test]
fn a_worker_takes_no_condition() {
    let cascade = Cascade::chain();
    let worker = Worker::start(cascade.config("b", "q", &[]), |script| {
        let mut worker = CascadedWorker::on_node(script, "db", Applies)?;
        worker.subscription().selection().condition = Some("ev_type = 'kind'".to_owned());
        Ok(worker)
    });
    let refusal = worker.end().unwrap_err().to_string();
    assert_eq!(refusal, "the worker of a node reads all events: it takes no condition");
}

#[test]
fn a_bad_system_event_stops_the_worker_and_is_told() {
    for (kind, queue, told) in [
        ("pgq.location-info", "other", "bad event in queue q"),
        ("pgq.tick-id", "q", "tick-id event for own queue?"),
        ("pgq.unheard-of", "q", "unknown system event in queue q"),
    ] {
        let cascade = Cascade::chain();
        let _worker = cascade.start("b");
        let call = "select pgq.insert_event('q', $1, '1', $2, null, null, null)";
        cascade.connect("a").execute(call, &[&kind, &queue]).unwrap();
        cascade.tick("a", "q");
        cascade.wait_for_error("b", "q", told);
    }
}

#[test]
fn locations_travel_down() {
    let cascade = Cascade::chain();
    let _workers = NODES.map(|node| cascade.start(node));
    let mut root = cascade.connect("a");
    good(&mut root, "register_location('q', 'new', 'host=new', false)");
    good(&mut root, "register_location('q', 'old', 'host=old', false)");
    good(&mut root, "register_location('q', 'new', null, true)");
    good(&mut root, "unregister_location('q', 'old')");
    cascade.settle("a", &["b", "c"]);
    let locations = "select node_name || ' ' || node_location || ' ' || dead
                       from pgq_node.get_queue_locations('q') where node_location like 'host=%' and node_name > 'd'";
    for node in NODES {
        let found: Vec<String> = cascade.connect(node).column(locations, &[]);
        assert_eq!(found, ["new host=new true"], "{node}");
    }
}

#[test]
fn system_events_of_the_handler_come_to_it_everywhere_but_at_the_root() {
    let cascade = Cascade::chain();
    let _workers = NODES.map(|node| cascade.start(node));
    queue::insert(&mut cascade.connect("a"), "q", "my.thing", "x").unwrap();
    cascade.settle("a", &["b", "c"]);
    assert_eq!([cascade.applied("b", "q"), cascade.applied("c", "q")], [["x"], ["x"]]);
    let stood_by = "select count(*) from applied where queue = 'standby'";
    wait_until("the root to stand by", || cascade.connect("a").one::<i64>(stood_by, &[]) > 0);
    assert!(cascade.applied("a", "q").is_empty());
}

#[test]
fn the_wrong_name_of_a_worker_is_told() {
    let cascade = Cascade::chain();
    let mut script = Script::new(config_at(&cascade.location("b"), "stranger", "q", &[]));
    let mut worker = CascadedWorker::on_node(&script, "db", Applies).unwrap();
    let told = wait(worker.work(&mut script)).unwrap_err().to_string();
    assert!(told.starts_with("the worker of this node of queue q is b_q_worker, not stranger: "), "{told}");
}

/// Pauses or resumes a worker, and waits until it has seen that.
fn pause(session: &mut Session, worker: &str, paused: bool) {
    good(session, &format!("set_consumer_paused('q', '{worker}', {paused})"));
    let seen = "select uptodate from pgq_node.get_consumer_state('q', $1)";
    wait_until(&format!("{worker} to see that it is told to stop or go on"), || {
        session.one(seen, &[&worker])
    });
}

#[test]
fn a_paused_worker_stands_still_until_it_is_resumed() {
    let cascade = Cascade::chain();
    let _workers = NODES.map(|node| cascade.start(node));
    let (mut branch, worker) = (cascade.connect("b"), worker_name("b", "q"));
    let stands = cascade.settle("a", &["b"]);
    pause(&mut branch, &worker, true);
    cascade.insert("a", "q", "later");
    let tick = cascade.tick("a", "q");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(cascade.completed("b", "q"), stands);
    pause(&mut branch, &worker, false);
    cascade.wait_for(&["b", "c"], "q", tick);
    assert_eq!(cascade.applied("c", "q"), ["later"]);
}

fn change_provider(cascade: &Cascade, node: &str, old: &str, new: &str) {
    let worker = worker_name(node, "q");
    let mut here = cascade.connect(node);
    pause(&mut here, &worker, true);
    let stands = cascade.completed(node, "q");
    let mut there = cascade.connect(new);
    cascade.register_location(new, "q", node);
    let subscribe = format!("select pgq_node.register_subscriber('q', '{node}', '{worker}', {stands})");
    // A branch may not have come so far.
    wait_until("the new provider to have the tick", || there.batch_execute(&subscribe).is_ok());
    good(&mut here, &format!("change_consumer_provider('q', '{worker}', '{new}')"));
    pause(&mut here, &worker, false);
    good(&mut cascade.connect(old), &format!("unregister_subscriber('q', '{node}')"));
}

#[test]
fn a_leaf_changes_its_provider_forth_and_back_under_load() {
    let cascade = Cascade::chain();
    let _workers = NODES.map(|node| cascade.start(node));
    let load = Load::start(&cascade, "a");
    for _ in 0..3 {
        change_provider(&cascade, "c", "b", "a");
        change_provider(&cascade, "c", "a", "b");
    }
    let sent = load.stop();
    let top = cascade.settle("a", &["b", "c"]);
    cascade.all_alike("a", "b", top, &["b", "c"], &sent);
}

#[test]
fn a_lost_position_is_told_and_rewound() {
    let cascade = Cascade::chain();
    let first = {
        let _worker = cascade.start("b");
        cascade.settle("a", &["b"])
    };
    let next = cascade.tick("a", "q");
    let after = cascade.tick("a", "q");
    let mut root = cascade.connect("a");
    let worker = worker_name("b", "q");
    root.execute("select pgq.register_consumer_at('q', $1, $2)", &[&worker, &next]).unwrap();
    let _worker = cascade.start("b");
    let told = format!("Lost position: batch {next}..{after}, dst has {first}");
    cascade.wait_for_error("b", "q", &told);
    root.execute("select pgq.register_consumer_at('q', $1, $2)", &[&worker, &first]).unwrap();
    cascade.wait_for(&["b"], "q", after);
    wait_until("the error to be cleared", || cascade.error("b", "q").is_none());
}

#[test]
fn an_error_of_an_idle_worker_is_cleared_by_the_next_good_round() {
    let cascade = Cascade::chain();
    cascade.settle("a", &[]);
    let worker = worker_name("b", "q");
    good(&mut cascade.connect("b"), &format!("set_consumer_error('q', '{worker}', 'of yesterday')"));
    let _worker = cascade.start("b");
    wait_until("the error to be cleared", || cascade.error("b", "q").is_none());
}

/// What a tick needs from the root to the leaf.
#[test]
fn a_tick_is_told_from_node_to_node() {
    let cascade = Cascade::chain();
    // Far too slow to be noticed by looking now and then.
    let slow = [("loop_delay", "20")];
    let _workers = ["b", "c"].map(|node| cascade.start_with(node, "q", &slow));
    cascade.settle("a", &[]);
    cascade.wait_for(&["c"], "q", 2);
    let began = Instant::now();
    for _ in 0..5 {
        cascade.insert("a", "q", "x");
        cascade.settle("a", &["b", "c"]);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn it_needs_to_be_a_reader_at_the_provider_and_an_administrator_at_its_node() {
    let cascade = Cascade::of(&["a", "b"]);
    cascade.root("a", "q");
    cascade.tick("a", "q");
    cascade.subscribe("b", "branch", "a", "q", None);
    cascade.connect("b").exec(
        "do $$ begin
             if to_regrole('cascade_keeper') is null then
                 create role cascade_keeper login in role pgq_admin;
                 create role cascade_reader login in role pgq_reader;
                 grant set on parameter session_replication_role to cascade_keeper;
             end if;
         end $$;
         grant insert on applied to cascade_keeper",
    );
    let db = cascade.location("b").replace("user=postgres", "user=cascade_keeper");
    assert!(db.contains("cascade_keeper"), "{db}");
    let _worker = start_worker(config_at(
        &db,
        &worker_name("b", "q"),
        "q",
        &[("remote_extra_connstr", "user=cascade_reader")],
    ));
    cascade.insert("a", "q", "one");
    good(&mut cascade.connect("a"), "register_location('q', 'new', 'host=new', false)");
    let top = cascade.settle("a", &["b"]);
    cascade.all_alike("a", "b", top, &["b"], &["one".to_owned()]);
    let mut root = cascade.connect("a");
    let told = "select last_tick from pgq.get_consumer_info('q', '.b.watermark')";
    wait_until("the watermark to be reported", || root.one::<i64>(told, &[]) >= top);
}
