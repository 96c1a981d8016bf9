//! Consumers that write into a node beside its worker, and their switches.

use clap::{Arg, ArgAction, Command};
use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue;
use skytools::cascade::CascadedConsumer;
use skytools::script::{Job, Next, Script};
use skytools::{Error, Result};

use super::stage::{Applies, Cascade, completed, config_at, good};
use crate::kit::{Worker, servers, wait};

const ME: &str = "extra";

fn start(cascade: &Cascade, node: &str, pairs: &[(&str, &str)]) -> Worker {
    Worker::start(config_at(&cascade.location(node), ME, "q", pairs), |script| {
        CascadedConsumer::on_node(script, "db", Applies)
    })
}

/// Runs it with switches.
fn asked(cascade: &Cascade, node: &str, switches: &[&str]) -> Result<u8> {
    let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    let flags = ["register", "unregister", "rewind", "reset", "dead-letters"].map(flag);
    let texts = ["provider", "show-dead-letter", "replay-dead-letter", "drop-dead-letter"];
    let texts = texts.map(|name| Arg::new(name).long(name));
    let matches = Command::new("test")
        .no_binary_name(true)
        .args(flags)
        .args(texts)
        .try_get_matches_from(switches)
        .unwrap();
    Worker::start(config_at(&cascade.location(node), ME, "q", &[]), move |script| {
        Ok(CascadedConsumer::on_node(script, "db", Applies)?.asked(&matches))
    })
    .end()
}

/// At `b`, reading from `a`.
fn registered(cascade: &Cascade) {
    let provider = format!("--provider={}", cascade.location("a"));
    asked(cascade, "b", &["--register", &provider]).unwrap();
}

fn position(root: &mut Session) -> Option<i64> {
    root.column("select last_tick from pgq.get_consumer_info('q', 'extra')", &[]).first().copied()
}

#[test]
fn it_follows_the_queue_and_ignores_what_is_the_cascades() {
    for server in servers() {
        let cascade = Cascade::chain_on(&server);
        registered(&cascade);
        cascade.insert("a", "q", "one");
        good(&mut cascade.connect("a"), "register_location('q', 'new', 'host=new', false)");
        cascade.insert("a", "q", "two");
        let tick = cascade.tick("a", "q");
        let _consumer = start(&cascade, "b", &[]);
        let mut node = cascade.connect("b");
        wait_until("the batch to be done", || completed(&mut node, ME, "q") == tick);
        wait_until("the provider to know", || position(&mut cascade.connect("a")) == Some(tick));
        assert_eq!(cascade.applied("b", "q"), ["one", "two"]);
    }
}

#[test]
fn it_registers_where_it_is_told_and_unregisters_at_both_ends() {
    let cascade = Cascade::chain();
    let top = cascade.tick("a", "q");
    let refusal = asked(&cascade, "b", &["--register"]).unwrap_err();
    assert_eq!(refusal.to_string(), "--register needs --provider=CONNSTR: where to read");
    registered(&cascade);
    let (mut root, mut node) = (cascade.connect("a"), cascade.connect("b"));
    assert_eq!((position(&mut root), completed(&mut node, ME, "q")), (Some(top), top));
    let provider = "select provider_node from pgq_node.get_consumer_info('q') where consumer_name = 'extra'";
    assert_eq!(node.one::<String>(provider, &[]), "a");
    asked(&cascade, "b", &["--unregister"]).unwrap();
    assert_eq!(position(&mut root), None);
    assert!(node.column::<String>(provider, &[]).is_empty());
}

/// What it says when it is asked to register at this provider.
fn refusal(cascade: &Cascade, node: &str, provider: &str) -> String {
    let refusal = asked(cascade, node, &["--register", &format!("--provider={provider}")]).unwrap_err();
    assert!(matches!(refusal, Error::Errand(_)), "{refusal:?}");
    refusal.to_string()
}

#[test]
fn who_cannot_be_registered_is_told_why_and_leaves_nothing_behind() {
    let cascade = Cascade::of(&["a", "b", "c", "other", "bare"]);
    cascade.root("a", "q");
    cascade.tick("a", "q");
    cascade.subscribe("b", "branch", "a", "q", None);
    cascade.subscribe("c", "leaf", "b", "q", None);
    cascade.root("other", "another");
    cascade.connect("bare").exec("drop extension pgq_node");
    let [a, c, other, bare] = ["a", "c", "other", "bare"].map(|node| cascade.location(node));
    let told = |node: &str, provider: &str, sentence: &str| {
        let refusal = refusal(&cascade, node, provider);
        assert!(refusal.contains(sentence), "{node} at {provider}: {refusal}");
    };
    told("b", &c, "node c is a leaf of queue q: nobody can read from it");
    told("b", &other, "provider: This database is no node of queue \"q\"");
    told("b", &bare, "provider: schema \"pgq_node\" does not exist");
    told("b", "host=/nowhere", "provider: ");
    told("b", "nonsense", "connect string of another node: missing");
    told("other", &a, "db: This database is no node of queue \"q\"");
    assert_eq!(position(&mut cascade.connect("a")), None, "its registration at the provider is taken back");
    registered(&cascade);
    let stands = position(&mut cascade.connect("a"));
    good(&mut cascade.connect("a"), "register_location('q', 'later', 'host=later', false)");
    told("other", &a, "db: This database is no node of queue \"q\"");
    assert_eq!(position(&mut cascade.connect("a")), stands, "somebody else's stays");
}

#[test]
fn a_state_from_which_nobody_can_go_on_is_told() {
    let cascade = Cascade::of(&["a", "b", "bare"]);
    cascade.root("a", "q");
    cascade.subscribe("b", "branch", "a", "q", None);
    cascade.connect("bare").exec("drop extension pgq_node");
    let once = [("loop_delay", "-1"), ("exception_sleep", "0")];
    let told = |node: &str| {
        let mut script = Script::new(config_at(&cascade.location(node), ME, "q", &once));
        let mut consumer = CascadedConsumer::on_node(&script, "db", ()).unwrap();
        wait(consumer.work(&mut script)).unwrap_err().to_string()
    };
    assert_eq!(told("b"), "db: Consumer \"extra\" of queue \"q\" is not registered");
    assert_eq!(told("bare"), "db: schema \"pgq_node\" does not exist");
    registered(&cascade);
    good(&mut cascade.connect("b"), "register_location('q', 'a', 'host=/nowhere', false)");
    let refusal = told("b");
    assert!(refusal.starts_with("provider: ") && refusal.contains("/nowhere"), "{refusal}");
    cascade.connect("b").exec("select pgq_node.drop_node('q', 'b')");
    assert_eq!(told("b"), "db: This database is no node of queue \"q\"");
}

#[test]
fn the_provider_of_a_switch_is_for_registering_only() {
    let cascade = Cascade::chain();
    registered(&cascade);
    let stands = completed(&mut cascade.connect("b"), ME, "q");
    // Were it asked there, it would be found to be none.
    asked(&cascade, "b", &["--rewind", "--provider=host=/nowhere"]).unwrap();
    assert_eq!(position(&mut cascade.connect("a")), Some(stands));
}

#[test]
fn a_lost_position_is_found_by_rewinding_the_queue_or_by_resetting_the_node() {
    let cascade = Cascade::chain();
    registered(&cascade);
    let (mut root, mut node) = (cascade.connect("a"), cascade.connect("b"));
    let first = completed(&mut node, ME, "q");
    let second = cascade.tick("a", "q");
    let third = cascade.tick("a", "q");
    let lose = |root: &mut Session| {
        root.execute("select pgq.register_consumer_at('q', 'extra', $1)", &[&second]).unwrap();
    };
    let error = "select cur_error from pgq_node.get_consumer_state('q', 'extra')";
    lose(&mut root);
    let told = format!("Lost position: batch {second}..{third}, dst has {first}");
    {
        let _consumer = start(&cascade, "b", &[]);
        wait_until("the error", || node.one::<Option<String>>(error, &[]).is_some_and(|e| e.contains(&told)));
    }
    asked(&cascade, "b", &["--rewind"]).unwrap();
    assert_eq!((position(&mut root), completed(&mut node, ME, "q")), (Some(first), first));
    lose(&mut root);
    asked(&cascade, "b", &["--reset"]).unwrap();
    assert_eq!((position(&mut root), completed(&mut node, ME, "q")), (Some(second), second));
    let _consumer = start(&cascade, "b", &[]);
    wait_until("the rest to be done", || completed(&mut node, ME, "q") == third);
    wait_until("the error to be cleared", || node.one::<Option<String>>(error, &[]).is_none());
}

#[test]
fn on_a_root_it_stands_by_and_has_nothing_to_reset() {
    let cascade = Cascade::chain();
    let mut root = cascade.connect("a");
    good(&mut root, "register_consumer('q', 'extra', 'a', 1)");
    asked(&cascade, "a", &["--reset"]).unwrap();
    let refusal = asked(&cascade, "a", &["--rewind"]).unwrap_err();
    assert_eq!(refusal.to_string(), "no position of extra on q is written down");
    let _consumer = start(&cascade, "a", &[]);
    let stood_by = "select count(*) from applied where queue = 'standby'";
    wait_until("it to stand by", || root.one::<i64>(stood_by, &[]) > 0);
    let uptodate = "select uptodate from pgq_node.get_consumer_state('q', 'extra')";
    good(&mut root, "set_consumer_paused('q', 'extra', true)");
    wait_until("it to confirm", || root.one(uptodate, &[]));
    assert_eq!(position(&mut root), None);
}

#[test]
fn at_a_root_its_statistics_tell_that_it_stands_by() {
    let cascade = Cascade::chain();
    good(&mut cascade.connect("a"), "register_consumer('q', 'extra', 'a', 1)");
    let mut script = Script::new(config_at(&cascade.location("a"), ME, "q", &[]));
    let mut consumer = CascadedConsumer::on_node(&script, "db", ()).unwrap();
    assert_eq!(wait(consumer.work(&mut script)).unwrap(), Next::Standby);
    assert_eq!(script.stats.take_line().as_deref(), Some("{standby: 1}"));
}

#[test]
fn an_event_that_comes_again_is_an_error() {
    let cascade = Cascade::chain();
    registered(&cascade);
    let (mut root, mut node) = (cascade.connect("a"), cascade.connect("b"));
    let event = cascade.insert("a", "q", "one");
    let tick = cascade.tick("a", "q");
    let me = queue::Consumer::new("q", ME);
    let batch = me.next_batch(&mut root).unwrap().unwrap();
    root.execute("select pgq.event_retry($1, $2, 0)", &[&batch.id, &event]).unwrap();
    batch.finish(&mut root).unwrap();
    good(&mut node, &format!("set_consumer_completed('q', 'extra', {tick})"));
    wait_until("the event to come again", || root.one::<i32>("select pgq.maint_retry_events()", &[]) > 0);
    cascade.tick("a", "q");
    let _consumer = start(&cascade, "b", &[]);
    let error = "select cur_error from pgq_node.get_consumer_state('q', 'extra')";
    wait_until("the error", || {
        node.one::<Option<String>>(error, &[]).is_some_and(|error| error.contains("comes again"))
    });
}

#[test]
fn what_other_nodes_need_in_their_connect_strings_is_added() {
    let cascade = Cascade::chain();
    registered(&cascade);
    let _consumer = start(&cascade, "b", &[("remote_extra_connstr", "application_name=visitor")]);
    let visitors = "select count(*) from pg_stat_activity
                     where application_name = 'visitor' and datname = current_database()";
    let mut root = cascade.connect("a");
    wait_until("a visitor", || root.one::<i64>(visitors, &[]) > 0);
    assert_eq!(cascade.connect("b").one::<i64>(visitors, &[]), 0);
}

#[test]
fn a_key_that_no_cascade_can_follow_is_refused() {
    let cascade = Cascade::chain();
    let refusal = start(&cascade, "b", &[("auto_register", "1")]).end().unwrap_err();
    assert!(refusal.to_string().starts_with("auto_register"), "{refusal}");
}
