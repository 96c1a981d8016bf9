//! Where consumers keep their position: in the target, in a file; and what they do when it does not fit.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use pgq_tests::client::wait_until;
use pgq_tests::queue::create;

use crate::kit::{Consumer, Stage};

#[test]
fn a_serial_consumer_stores_its_tick_with_the_name_of_the_queue() {
    Stage::on_both_servers(Consumer::Serial, |stage| {
        let _program = stage.start();
        for data in ["one", "two"] {
            let tick = stage.produce(data);
            stage.wait_for_position(tick);
            assert_eq!(stage.ticks_in_target(), (Some(tick), None));
        }
        assert_eq!(stage.results(), ["one", "two"]);
    });
}

#[test]
fn a_batch_that_the_target_has_is_only_finished() {
    Stage::on_both_servers(Consumer::Serial, |stage| {
        let tick = stage.produce("done");
        stage.store_in_target(tick);
        let _program = stage.start();
        stage.wait_for_position(tick);
        let tick = stage.produce("new");
        stage.wait_for_position(tick);
        assert_eq!(stage.results(), ["new"]);
    });
}

#[test]
fn a_lost_position_stops_a_serial_consumer_until_it_is_rewound() {
    Stage::on_both_servers(Consumer::Serial, |stage| {
        let first = stage.produce("one");
        let second = stage.produce("two");
        let program = stage.start();
        stage.wait_for_position(second);
        drop(program);
        // As after the target was restored.
        stage.store_in_target(first);
        let third = stage.produce("three");
        let program = stage.start();
        program.wait_for(&format!("from tick {second} to tick {third}, but dst_db says that tick {first}"));
        assert_eq!((stage.position(), stage.results()), (Some(second), vec!["one".into(), "two".into()]));
        drop(program);

        stage.ask("--rewind");
        assert_eq!(
            stage.position(),
            Some(first),
            "the queue is where the target is, and nothing more was done"
        );
        let _program = stage.start();
        stage.wait_for_position(third);
        assert_eq!(stage.results(), ["one", "two", "two", "three"]);
    });
}

#[test]
fn a_lost_position_can_be_reset() {
    Stage::on_both_servers(Consumer::Serial, |stage| {
        stage.store_in_target(999);
        stage.at_target().exec("select pgq_ext.set_last_tick('copier', 999)");
        let tick = stage.produce("one");
        stage.start().wait_for("lost position");
        stage.ask("--reset");
        assert_eq!((stage.ticks_in_target(), stage.results()), ((None, None), vec![]));
        let _program = stage.start();
        stage.wait_for_position(tick);
        assert_eq!((stage.ticks_in_target(), stage.results()), ((Some(tick), None), vec!["one".into()]));
    });
}

#[test]
fn rewinding_without_a_position_is_refused() {
    for program in [Consumer::Serial, Consumer::Local] {
        let stage = Stage::of(program);
        let output = stage.run("--rewind");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("no position of copier on orders is written down"), "{said}");
    }
}

#[test]
fn a_target_without_pgq_ext_is_told_what_to_do() {
    let stage = Stage::of(Consumer::Serial);
    stage.at_target().exec("drop extension pgq_ext");
    stage.produce("one");
    stage
        .start()
        .wait_for("dst_db has no schema pgq_ext to keep the position in: CREATE EXTENSION pgq_ext CASCADE");
}

#[test]
fn a_schema_of_another_name_that_is_not_there_is_named_with_its_key() {
    let stage = Stage::of(Consumer::Serial);
    stage.write("copier.ini", "orders", "pgq_ext_schema = Old ext");
    stage.produce("one");
    let program = stage.start();
    program.wait_for("dst_db has no schema Old ext to keep the position in: so says pgq_ext_schema");
}

#[test]
fn who_registers_at_the_same_time_as_another_leaves_the_tick_of_that_one_alone() {
    Stage::on_both_servers(Consumer::Serial, |stage| {
        stage.ask("--unregister");
        let mut other = stage.at_source();
        other.exec("begin; select pgq.register_consumer('orders', 'copier')");
        // What it will have done by the time its registration is seen here.
        stage.store_in_target(999);
        let mut late = stage.start_asking("--register");
        wait_until("it to wait for the other", || {
            stage.at_source().one(
                "select exists (select from pg_stat_activity \
                 where datname = current_database() and wait_event_type = 'Lock')",
                &[],
            )
        });
        other.exec("commit");
        late.end();
        assert_eq!(stage.ticks_in_target().0, Some(999));
        assert!(stage.position().is_some());
    });
}

#[test]
fn a_registration_that_could_not_forget_is_none() {
    let stage = Stage::of(Consumer::Serial);
    for autocommit in ["", "pgq_autocommit = 1\npgq_lazy_fetch = 0"] {
        stage.write("copier.ini", "orders", autocommit);
        stage.ask("--unregister");
        stage.store_in_target(999);
        let mut holder = stage.at_target();
        holder.exec("begin; select pg_advisory_xact_lock(hashtextextended('orders copier', 0))");
        assert_eq!(stage.run("--register").status.code(), Some(1));
        assert_eq!(stage.position(), None, "{autocommit}");
        drop(holder);
        stage.ask("--register");
        assert_eq!(stage.ticks_in_target().0, None, "{autocommit}");
        assert!(stage.position().is_some(), "{autocommit}");
    }
}

#[test]
fn rewinding_to_a_tick_that_the_queue_does_not_have_moves_nothing() {
    let stage = Stage::of(Consumer::Serial);
    let before = stage.position();
    stage.store_in_target(999);
    let output = stage.run("--rewind");
    assert_eq!((output.status.code(), stage.position()), (Some(1), before));
    assert!(String::from_utf8(output.stderr).unwrap().contains("999"));
}

#[test]
fn registering_anew_forgets_the_tick_in_the_target() {
    Stage::on_both_servers(Consumer::Serial, |stage| {
        stage.store_in_target(999);
        stage.ask("--register");
        assert_eq!(stage.ticks_in_target().0, Some(999), "it is registered: nothing changes");
        stage.ask("--unregister");
        assert_eq!(stage.position(), None);
        stage.ask("--register");
        assert_eq!(stage.ticks_in_target().0, None);
        let tick = stage.produce("one");
        let _program = stage.start();
        stage.wait_for_position(tick);
        assert_eq!(stage.results(), ["one"]);
    });
}

#[test]
fn what_the_target_keeps_does_not_grow_and_a_reset_forgets_all_of_it() {
    let stage = Stage::of(Consumer::Serial);
    let kept = || -> Vec<String> {
        stage.at_target().column(
            "select subconsumer_id || ' ' || queue_name from pgq_ext.completed_tick
              union all select 'batch' from pgq_ext.partial_batch
              union all select 'event' from pgq_ext.completed_event
              order by 1",
            &[],
        )
    };
    let program = stage.start();
    for data in ["one", "two", "three"] {
        let tick = stage.produce(data);
        stage.wait_for_position(tick);
        assert_eq!(kept(), [" orders", "#number orders", "#time orders"]);
    }
    drop(program);
    stage.ask("--reset");
    assert_eq!(kept(), [""; 0]);
}

#[test]
fn one_name_on_two_queues_has_two_positions() {
    let stage = Stage::of(Consumer::Serial);
    create(&mut stage.at_source(), "returns").unwrap();
    stage.at_source().exec("select pgq.register_consumer('returns', 'copier')");
    stage.write("returns.ini", "returns", "");
    let _programs = [stage.start(), stage.start_with("returns.ini")];
    for round in 0..5 {
        let order = stage.produce(&format!("order {round}"));
        stage.wait_for_position(order);
        let other = stage.produce_in("returns", &format!("return {round}"));
        wait_until("the other queue", || stage.position_in("returns") == Some(other));
    }
    assert_eq!(stage.results().len(), 10);
}

#[test]
fn a_program_of_the_original_may_take_its_turn() {
    let stage = Stage::of(Consumer::Serial);
    let ours = |data: &str| {
        let tick = stage.produce(data);
        let _program = stage.start();
        stage.wait_for_position(tick);
    };
    for turn in 0..3 {
        ours(&format!("ours {turn}"));
        // It knows the consumer by its name only.
        let tick = stage.produce("the other's");
        stage.at_source().exec("select pgq.finish_batch(pgq.next_batch('orders', 'copier'))");
        stage.at_target().exec(&format!("select pgq_ext.set_last_tick('copier', {tick})"));
    }
    ours("ours 3");
    assert_eq!(stage.results(), ["ours 0", "ours 1", "ours 2", "ours 3"]);
    assert_eq!(stage.ticks_in_target().1, None, "what the other wrote is taken over");
}

/// As pgq_ext was in PgQ 2.1: no queue, no sub-consumer; and in another schema.
const OLD_PGQ_EXT: &str = "
    create schema \"Old ext\";
    create table \"Old ext\".completed_tick (consumer_id text primary key, last_tick_id bigint not null);
    create function \"Old ext\".get_last_tick(a text) returns bigint language sql as
        'select last_tick_id from \"Old ext\".completed_tick where consumer_id = a';
    create function \"Old ext\".set_last_tick(a text, t bigint) returns int language sql as
        'delete from \"Old ext\".completed_tick where consumer_id = a;
         insert into \"Old ext\".completed_tick select a, t where t is not null; select 1'";

#[test]
fn an_old_pgq_ext_will_do_and_two_jobs_of_one_name_are_noticed() {
    let stage = Stage::of(Consumer::Serial);
    stage.at_target().exec(OLD_PGQ_EXT);
    create(&mut stage.at_source(), "returns").unwrap();
    stage.at_source().exec("select pgq.register_consumer('returns', 'copier')");
    stage.write("copier.ini", "orders", "pgq_ext_schema = Old ext");
    stage.write("returns.ini", "returns", "pgq_ext_schema = Old ext");
    stage.produce("one");
    let tick = stage.produce("two");
    let _program = stage.start();
    stage.wait_for_position(tick);
    let stored: Vec<i64> =
        stage.at_target().column("select last_tick_id from \"Old ext\".completed_tick", &[]);
    assert_eq!((stored, stage.ticks_in_target()), (vec![tick], (None, None)));

    let before = stage.position_in("returns");
    stage.produce_in("returns", "lost?");
    stage.start_with("returns.ini").wait_for("lost position");
    assert_eq!((stage.position_in("returns"), stage.results().len()), (before, 2));
}

#[test]
fn a_tick_that_was_stored_without_the_queue_is_taken_over() {
    let stage = Stage::of(Consumer::Serial);
    let done = stage.produce("done");
    // What a program of PgQ 3.5 leaves when it dies before it has finished the batch.
    stage.at_target().exec(&format!("select pgq_ext.set_last_tick('copier', {done})"));
    let _program = stage.start();
    stage.wait_for_position(done);
    let tick = stage.produce("new");
    stage.wait_for_position(tick);
    assert_eq!((stage.results(), stage.ticks_in_target()), (vec!["new".into()], (Some(tick), None)));
}

#[test]
fn a_tick_that_was_stored_without_the_queue_stays_where_it_is_not_ours() {
    let stage = Stage::of(Consumer::Serial);
    let _program = stage.start();
    let tick = stage.produce("one");
    stage.wait_for_position(tick);
    // A program of PgQ 3.5 with the same name, on another queue.
    stage.at_target().exec("select pgq_ext.set_last_tick('copier', 999)");
    let tick = stage.produce("two");
    stage.wait_for_position(tick);
    assert_eq!(stage.ticks_in_target(), (Some(tick), Some(999)));
}

#[test]
fn a_second_job_of_the_same_names_is_refused_while_the_first_is_at_work() {
    let stage = Stage::of(Consumer::Serial);
    let mut first = stage.at_target();
    first.exec("begin; select pg_advisory_xact_lock(hashtextextended('orders copier', 0))");
    let tick = stage.produce("one");
    let program = stage.start();
    program.wait_for("another job is at work in dst_db as consumer copier of queue orders");
    assert!(stage.results().is_empty());
    first.exec("commit");
    stage.wait_for_position(tick);
}

#[test]
fn a_queue_of_the_same_name_in_another_database_is_noticed_before_anything_is_skipped() {
    let stage = Stage::of(Consumer::Serial);
    let one = stage.produce("of one");
    let program = stage.start();
    stage.wait_for_position(one);
    drop(program);
    // Made and ticked in the same way: the ticks have the same numbers.
    let other = stage.with_another_source();
    assert_eq!(other.produce("of the other"), one);
    other.start().wait_for(&format!("dst_db has tick {one} as done, but not one that was taken at"));
    assert_ne!(other.position(), Some(one));
    // Nor when it fits behind the last one.
    other.at_source().exec(&format!("select pgq.register_consumer_at('orders', 'copier', {one})"));
    other.produce("of the other, too");
    other.start().wait_for(&format!("dst_db has tick {one} as done, but not one that was taken at"));
    assert_eq!(stage.results(), ["of one"]);

    let next = stage.produce("of one again");
    let _program = stage.start();
    stage.wait_for_position(next);
    assert_eq!(stage.results(), ["of one", "of one again"]);
}

#[test]
fn a_subconsumer_has_a_position_of_its_own() {
    let stage = Stage::of(Consumer::Serial);
    stage.write("copier.ini", "orders", "subconsumer_name = second");
    stage.store_in_target(999);
    let tick = stage.produce("one");
    let _program = stage.start();
    stage.wait_for_position(tick);
    let stored = "select pgq_ext.get_last_tick('orders', 'copier', 'second')";
    assert_eq!(stage.at_target().one::<Option<i64>>(stored, &[]), Some(tick));
    assert_eq!(stage.ticks_in_target().0, Some(999));
}

#[test]
fn who_can_send_nothing_back_does_not_offer_it_and_does_not_take_the_wish() {
    for program in Consumer::ALL {
        let can = program == Consumer::Simple;
        let stage = Stage::of(program);
        for (shown, part) in [("--help", "dead-letter"), ("--ini", "event_policy"), ("--ini", "retry_limit")]
        {
            let output = stage.run(shown);
            let text = String::from_utf8(output.stdout).unwrap();
            assert_eq!(text.contains(part), can, "{program:?} {shown}");
        }
        assert_eq!(stage.run("--dead-letters").status.code(), Some(if can { 0 } else { 2 }), "{program:?}");
        for (policy, is_taken) in [("block", true), ("retry", can), ("park", can)] {
            stage.write("copier.ini", "orders", &format!("event_policy = {policy}\nloop_delay = -1"));
            let output = stage.run("--quiet");
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(i32::from(!is_taken)), "{program:?} {policy}: {said}");
            assert_eq!(said.contains(&format!("event_policy: {policy}")), !is_taken, "{said}");
        }
    }
}

#[test]
fn a_wish_to_send_events_back_does_not_come_in_by_a_reload() {
    let stage = Stage::of(Consumer::Serial);
    let program = stage.start();
    stage.wait_for_position(stage.produce("one"));
    stage.write("copier.ini", "orders", "event_policy = park");
    program.signal(Signal::SIGHUP);
    program.wait_for("Config not reloaded");
    stage.wait_for_position(stage.produce("two"));
    assert_eq!(stage.results(), ["one", "two"]);
}

#[test]
fn a_serial_consumer_tries_a_batch_again_until_it_succeeds() {
    let stage = Stage::of(Consumer::Serial);
    stage.at_target().exec("alter table result add check (data <> 'bad')");
    let before = stage.position();
    stage.produce("bad");
    stage.start().wait_for("got error on connection 'dst_db'");
    let _program = stage.start();
    stage.at_target().exec("alter table result drop constraint result_data_check");
    wait_until("the batch to be done", || stage.position() != before);
    assert_eq!(stage.results(), ["bad"]);
    assert_eq!(stage.at_source().one::<i64>("select count(*) from pgq.retry_queue", &[]), 0);
}

#[test]
fn a_local_consumer_registers_itself_and_says_whose_the_file_is() {
    Stage::on_both_servers(Consumer::Local, |stage| {
        stage.produce("before it was registered");
        let _program = stage.start();
        wait_until("it to register", || stage.position().is_some());
        let tick = stage.produce("one");
        stage.wait_for_position(tick);
        assert_eq!(stage.results(), ["one"]);
        assert_eq!(stage.tracking_file(), format!("{tick}\nqueue=orders&consumer=copier\n"));
    });
}

/// A local consumer that has done two batches, with their ticks.
fn with_two_batches(stage: &Stage) -> (i64, i64) {
    let program = stage.start();
    wait_until("it to register", || stage.position().is_some());
    drop(program);
    let ticks = (stage.produce("one"), stage.produce("two"));
    stage.run_to(ticks.1);
    assert_eq!(stage.results(), ["one", "two"]);
    ticks
}

#[test]
fn without_its_file_a_local_consumer_goes_on_where_the_queue_is() {
    Stage::on_both_servers(Consumer::Local, |stage| {
        with_two_batches(stage);
        std::fs::remove_file(stage.workplace.path("copier.tick")).unwrap();
        stage.run_to(stage.produce("three"));
        assert_eq!(stage.results(), ["one", "two", "three"]);
    });
}

#[test]
fn a_file_that_is_older_than_the_queue_takes_it_back() {
    Stage::on_both_servers(Consumer::Local, |stage| {
        let (first, second) = with_two_batches(stage);
        // As written by 3.x: the number alone.
        stage.workplace.write("copier.tick", &first.to_string());
        let program = stage.start();
        program.wait_for(&format!("is at tick {first}, the queue at tick {second}: moving the queue"));
        wait_until("the batch to come again", || stage.results() == ["one", "two", "two"]);
        stage.wait_for_position(second);
        assert_eq!(stage.tracking_file(), format!("{second}\nqueue=orders&consumer=copier\n"));
    });
}

#[test]
fn a_file_that_is_newer_than_the_queue_takes_it_forward() {
    Stage::on_both_servers(Consumer::Local, |stage| {
        let (first, second) = with_two_batches(stage);
        let move_back = format!("select pgq.register_consumer_at('orders', 'copier', {first})");
        stage.at_source().exec(&move_back);
        stage.run_to(second);
        let third = stage.produce("three");
        stage.run_to(third);
        assert_eq!(stage.results(), ["one", "two", "three"], "what the file knows as done is not done again");
    });
}

#[test]
fn a_local_consumer_that_the_queue_has_forgotten_is_registered_where_its_file_is() {
    Stage::on_both_servers(Consumer::Local, |stage| {
        let (_, second) = with_two_batches(stage);
        // Somebody else keeps the ticks.
        stage.at_source().exec("select pgq.register_consumer('orders', 'keeper')");
        let third = stage.produce("three");
        stage.ask("--unregister");
        assert_eq!(stage.position(), None);
        stage.ask("--register");
        assert_eq!(stage.position(), Some(second));
        stage.run_to(third);
        assert_eq!(stage.results(), ["one", "two", "three"]);
    });
}

#[test]
fn a_local_consumer_is_rewound_to_its_file_and_reset_to_its_queue() {
    Stage::on_both_servers(Consumer::Local, |stage| {
        let (first, second) = with_two_batches(stage);
        stage.workplace.write("copier.tick", &format!("{first}\n"));
        stage.ask("--rewind");
        assert_eq!(stage.position(), Some(first));
        stage.ask("--reset");
        assert!(!stage.workplace.path("copier.tick").exists());
        stage.run_to(second);
        assert_eq!(stage.results(), ["one", "two", "two"]);
    });
}

/// Starts it with this file, waits for what it says, and checks that nothing else has happened.
fn refuses(stage: &Stage, contents: &str, message: &str) {
    let before = (stage.position(), stage.results());
    stage.workplace.write("copier.tick", contents);
    stage.start().wait_for(message);
    assert_eq!((stage.position(), stage.results()), before);
    assert_eq!(stage.tracking_file(), contents, "it is left as it is");
}

#[test]
fn a_file_that_makes_no_sense_is_refused_and_left_alone() {
    let stage = Stage::of(Consumer::Local);
    let (_, second) = with_two_batches(&stage);
    let third = stage.produce("three");
    refuses(&stage, "yesterday\n", "copier.tick does not begin with the number of a tick");
    refuses(&stage, "", "copier.tick does not begin with the number of a tick");
    refuses(
        &stage,
        &format!("{second}\nqueue=returns&consumer=copier\n"),
        "is the position of queue=returns",
    );
    refuses(&stage, "999\n", "999");
    stage.workplace.write("copier.tick", &format!("{second}\n"));
    stage.run_to(third);
    assert_eq!(stage.results(), ["one", "two", "three"]);
}

#[test]
fn a_file_that_cannot_be_written_is_noticed_before_any_event() {
    let stage = Stage::of(Consumer::Local);
    with_two_batches(&stage);
    stage.produce("three");
    let user = if Uid::effective().is_root() { User::from_name("postgres").unwrap() } else { None };
    let permit = |mode| {
        std::fs::set_permissions(stage.workplace.folder(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    permit(0o555);
    let mut command =
        stage.workplace.program(Consumer::Local.binary(), &["copier.ini", "--set", "loop_delay=-1"]);
    if let Some(user) = &user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let output = command.output().unwrap();
    permit(0o755);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("copier.tick") && said.contains("ermission denied"), "{said}");
    assert_eq!(stage.results(), ["one", "two"]);
}

#[test]
fn a_folder_that_is_not_there_ends_the_program() {
    let stage = Stage::of(Consumer::Local);
    let output = stage.run("--set=local_tracking_file=missing/copier.tick");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("local_tracking_file: missing is no folder"));
    assert_eq!(stage.position(), None);
}
