//! simple_consumer and its kin: a statement for each event.

use pgq_tests::client::wait_until;
use pgq_tests::queue::tick_now;
use pgq_tests::shared::Database;

use crate::kit::{Consumer, Stage, Workplace, conninfo};

/// Both kinds of placeholders, and what is easily mistaken in a value.
#[test]
fn a_statement_gets_the_columns_and_the_event() {
    for consumer in Consumer::ALL {
        Stage::on_both_servers(consumer, |stage| {
            stage.at_target().exec(
                "create table log (tick bigint, event bigint, at timestamptz, kind text, extra text, \
                 id int, name text, note text)",
            );
            stage.set_query(
                "insert into log values (%%(pgq.tick_id)s, %%(pgq.ev_id)s, %%(pgq.ev_time)s, %%(pgq.ev_type)s,\n  \
                 %%(pgq.ev_extra1)s, %%(id)s, %%(order name)s, %%(note)s)",
                "",
            );
            let _program = stage.start();
            wait_until("it to be registered", || stage.position().is_some());
            stage.insert("I:id", "id=1&order+name=T%c3%b5rva%27%3b--%25s&note", "public.orders");
            stage.insert("U:id", "id=2&order+name=&note=%5c%0a", "public.orders");
            stage.flow();
            let rows = stage.at_target().rows(
                "select tick, event > 0, now() - at < '1 hour', kind, extra, id, name, note from log order by id",
                &[],
            );
            let texts =
                |index: usize| -> [Option<String>; 4] { [3, 4, 6, 7].map(|column| rows[index].get(column)) };
            let some = |text: &str| Some(text.to_owned());
            let table = || some("public.orders");
            assert_eq!(texts(0), [some("I:id"), table(), some("Tõrva';--%s"), None]);
            assert_eq!(texts(1), [some("U:id"), table(), some(""), some("\\\n")]);
            assert!(rows.iter().all(|row| row.get(1) && row.get(2)), "numbers and times");
            assert_eq!(rows[0].get::<_, Option<i64>>(0), stage.position());
            assert_eq!([rows[0].get::<_, i32>(5), rows[1].get(5)], [1, 2]);
        });
    }
}

#[test]
fn only_changes_of_rows_count_but_for_the_serial_one() {
    for consumer in Consumer::ALL {
        let stage = Stage::of(consumer);
        let _program = stage.start();
        wait_until("it to be registered", || stage.position().is_some());
        for kind in ["I:id", "U:", "D:a,b", "R", "I", "i:id", "note", "pgq.tick"] {
            stage.insert(kind, &format!("id={kind}"), "");
        }
        stage.flow();
        let all = ["id=I:id", "id=U:", "id=D:a,b", "id=R", "id=I", "id=i:id", "id=note", "id=pgq.tick"];
        assert_eq!(stage.results(), if consumer == Consumer::Serial { &all[..] } else { &all[..3] });
    }
}

#[test]
fn events_are_filtered_by_table_and_by_condition() {
    for consumer in Consumer::ALL {
        let stage = Stage::of(consumer);
        let program = stage.start();
        wait_until("it to be registered", || stage.position().is_some());
        drop(program);
        let filtered = |more: &str, round: &str| {
            stage.write("copier.ini", "orders", more);
            for table in ["public.orders", "public.returns", "other.orders"] {
                stage.insert("I:id", &format!("{round}={table}"), table);
            }
            let _program = stage.start();
            stage.flow();
            let mut session = stage.at_target();
            session.column::<String>("delete from result returning data", &[])
        };
        assert_eq!(filtered("table_filter = orders, other.none", "a"), ["a=public.orders"]);
        let condition =
            "consumer_filter = ev_extra1 like 'other.%%' or ev_data = 'b=public.returns' -- nothing else";
        assert_eq!(filtered(condition, "b"), ["b=public.returns", "b=other.orders"]);
        let both = format!("{}\ntable_filter = orders", condition.replace("'b=", "'c="));
        assert_eq!(filtered(&both, "c"), ["c=public.returns", "c=other.orders"], "the condition overrides");
        assert_eq!(filtered("", "d").len(), 3);
    }
}

#[test]
fn a_statement_that_fails_is_tried_until_it_is_mended() {
    for consumer in Consumer::ALL {
        let stage = Stage::of(consumer);
        let program = stage.start();
        wait_until("it to be registered", || stage.position().is_some());
        stage.at_target().exec("alter table result add check (data <> 'id=2')");
        let before = stage.position();
        for id in 1..=3 {
            stage.insert("I:id", &format!("id={id}"), "");
        }
        let tick = tick_now(&mut stage.at_source(), "orders").unwrap();
        program.wait_for("result_data_check");
        assert_eq!(stage.position(), before);
        stage.at_target().exec("alter table result drop constraint result_data_check");
        stage.wait_for_position(tick);
        let results = stage.results();
        if consumer == Consumer::Serial {
            assert_eq!(results, ["id=1", "id=2", "id=3"], "once");
        } else {
            assert!(results.len() > 3 && results.ends_with(&["id=1", "id=2", "id=3"].map(str::to_owned)));
        }
    }
}

#[test]
fn an_error_tells_the_event_and_not_what_is_in_it() {
    for consumer in Consumer::ALL {
        let stage = Stage::of(consumer);
        stage.at_target().exec("alter table result add check (data <> 'id=2&card=4711')");
        let program = stage.start();
        wait_until("it to be registered", || stage.position().is_some());
        stage.insert("U:id", "id=2&card=4711", "public.orders");
        let event: i64 = stage.at_source().one("select max(ev_id) from pgq.event_template", &[]);
        tick_now(&mut stage.at_source(), "orders").unwrap();
        program.wait_for(&format!(
            "got error on connection 'dst_db': event {event} of queue orders (type U:id, table public.orders): \
             new row for relation"
        ));
        assert!(!program.said().contains("4711"), "{}", program.said());
        drop(program);
        let program = stage.workplace.start("copier", consumer.binary(), &["-v", "copier.ini"]);
        program.wait_for("id=2&card=4711");
        program.wait_for("Failing row contains");
    }
}

#[test]
fn a_statement_alone_is_tried_again_when_its_session_is_gone() {
    for consumer in [Consumer::Simple, Consumer::Local] {
        let stage = Stage::of(consumer);
        stage.at_target().exec("create sequence runs");
        let dies_once = "insert into result select %%(id)s from nextval('runs') as run \
                         where run <> 2 or pg_terminate_backend(pg_backend_pid())";
        stage.set_query(dies_once, "sql_retry = 1\nsql_retry_formula_a = 0\nsql_retry_formula_b = 0.01");
        let program = stage.start();
        wait_until("it to be registered", || stage.position().is_some());
        for id in 1..=3 {
            stage.insert("I:id", &format!("id={id}"), "");
        }
        stage.flow();
        assert_eq!(stage.results(), ["1", "2", "3"], "the batch did not begin anew");
        program.wait_for("retry #1");
    }
}

#[test]
fn a_placeholder_without_a_value_blocks_until_the_statement_is_mended() {
    for consumer in Consumer::ALL {
        let stage = Stage::of(consumer);
        stage.set_query("insert into result values (%%(name)s)", "");
        let program = stage.start();
        wait_until("it to be registered", || stage.position().is_some());
        let before = stage.position();
        // Without data there are no columns, either.
        for data in ["id=1", "NULL"] {
            stage.insert("I:id", data, "");
        }
        let tick = tick_now(&mut stage.at_source(), "orders").unwrap();
        program.wait_for("has no value for %(name)s of dst_query");
        assert_eq!((stage.position(), stage.results()), (before, vec![]));
        stage.set_query("insert into result values (coalesce(%%(pgq.ev_data)s, 'none'))", "");
        program.signal(nix::sys::signal::Signal::SIGHUP);
        stage.wait_for_position(tick);
        assert_eq!(stage.results(), ["id=1", "none"]);
    }
}

#[test]
fn a_percent_sign_is_written_four_times() {
    for consumer in Consumer::ALL {
        let stage = Stage::of(consumer);
        stage.set_query("insert into result select '100 %%%%' where 7 %%%% 4 = 3 and %%(id)s::int = 1", "");
        let _program = stage.start();
        wait_until("it to be registered", || stage.position().is_some());
        stage.insert("I:id", "id=1", "");
        stage.flow();
        assert_eq!(stage.results(), ["100 %"]);
    }
}

#[test]
fn results_are_logged_for_those_who_want_to_know() {
    for consumer in Consumer::ALL {
        let stage = Stage::of(consumer);
        stage.set_query(
            "select %%(id)s::int + 1 as more, null::text as nothing, now() is not null, '{1}'::int[]",
            "",
        );
        let program = stage.workplace.start("copier", consumer.binary(), &["-v", "copier.ini"]);
        wait_until("it to be registered", || stage.position().is_some());
        stage.insert("I:id", "id=41", "");
        stage.flow();
        program.wait_for("more = 42, nothing is null, ?column? = true, int4 is a _int4");
    }
}

#[test]
fn a_statement_that_makes_no_sense_ends_the_program() {
    for consumer in Consumer::ALL {
        let stage = Stage::of(consumer);
        stage.set_query("insert into result values ($1)", "");
        let output = stage.workplace.run(consumer.binary(), &["copier.ini"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8(output.stderr).unwrap().contains("$1 is no placeholder"));
    }
}

#[test]
fn the_sample_is_a_configuration() {
    for consumer in Consumer::ALL {
        let stage = Stage::of(consumer);
        let sample = stage.workplace.run(consumer.binary(), &["--ini"]);
        assert!(sample.status.success());
        let sample = String::from_utf8(sample.stdout).unwrap();
        for line in ["src_db = ", "dst_db = ", "dst_query = select log_order(%%(id)s, ", "queue_name = "] {
            assert!(sample.contains(line), "{line:?} in:\n{sample}");
        }
        stage.workplace.write("sample.ini", &sample);
        let checked = stage.workplace.run(consumer.binary(), &["--check-config", "sample.ini"]);
        assert!(checked.status.success(), "{checked:?}");
    }
}

#[test]
fn the_documentation_works() {
    let document = include_str!("../../../docs/simple_programs.md");
    let blocks = |kind: &str| -> Vec<&str> {
        let begin = format!("```{kind}\n");
        document.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
    };
    let database = Database::fresh("documented");
    let mut session = database.connect();
    session.exec("drop extension pgq");
    blocks("sql").iter().for_each(|sql| session.exec(sql));

    let workplace = Workplace::new();
    for folder in ["run", "log"] {
        std::fs::create_dir(workplace.path(folder)).unwrap();
    }
    let conninfo = conninfo(&database);
    let (source, target) = (format!("--set=src_db={conninfo}"), format!("--set=dst_db={conninfo}"));
    let inis = blocks("ini");
    assert_eq!(inis.len(), Consumer::ALL.len());
    let programs: Vec<_> = Consumer::ALL
        .iter()
        .map(|consumer| {
            let section = consumer.section().trim_end_matches('3');
            let ini = inis.iter().find(|ini| ini.starts_with(&format!("[{section}]"))).unwrap();
            workplace.write(&format!("{section}.ini"), ini);
            let file = format!("{section}.ini");
            let switches = [&*file, &source, &target, "--set=loop_delay=0.05"];
            let registered = workplace.run(consumer.binary(), &[&switches[..], &["--register"]].concat());
            assert!(registered.status.success(), "{registered:?}");
            workplace.start(section, consumer.binary(), &switches)
        })
        .collect();

    session.exec("insert into orders values (1, 'Tõnu', 'gift'), (2, 'Tõnu', null); update orders set note = '50 %' where id = 2");
    session.exec("delete from orders where id = 1");
    let tick = tick_now(&mut session, "orders").unwrap();
    wait_until("all three jobs to be there", || {
        session.column::<i64>("select last_tick from pgq.get_consumer_info('orders')", &[]) == [tick; 3]
    });
    drop(programs);
    let orders: Vec<i32> = session.column("select last_order from customer where name = 'Tõnu'", &[]);
    assert_eq!(orders, [2]);
    let pages: Vec<String> = session.column("select page from stale order by 1", &[]);
    assert_eq!(pages, ["/order/1", "/order/2"]);
    let journal: Vec<String> = session
        .column("select concat_ws(' ', what, id, coalesce(note, '-')) from journal order by event", &[]);
    assert_eq!(journal, ["I:id 1 gift", "I:id 2 -", "U:id 2 50 %", "D:id 1 gift"]);
    assert!(workplace.read("stale_pages.tick").ends_with("queue=orders&consumer=stale_pages\n"));
}
