//! What each function says, alone and in any order, against a model of a few lines.

use super::{call, story, target};
use std::collections::{BTreeSet, HashMap};

#[test]
fn the_last_batch_is_remembered_and_no_other() {
    let (_database, mut session) = target("ext");
    story(
        &mut session,
        "is_batch_done('c', 10) = false
         set_batch_done('c', 10) = true
         set_batch_done('c', 10) = false
         is_batch_done('c', 10) = true
         set_batch_done('c', 5) = true
         is_batch_done('c', 10) = false
         is_batch_done('c', 5) = true
         set_batch_done('d', 5) = true
         set_batch_done('c', 'sub', 5) = true
         set_batch_done('c', '', 5) = false",
    );
}

#[test]
fn a_batch_of_no_id_is_never_done() {
    let (_database, mut session) = target("ext");
    story(
        &mut session,
        "set_batch_done('c', null) = true
         set_batch_done('c', 0) = true
         set_batch_done('c', -1) = true
         set_batch_done(null, null, null, null) = true
         is_batch_done('c', 0) = false
         is_batch_done('c', null) = false
         set_batch_done('c', 1) = true
         set_batch_done('c', 0) = true
         is_batch_done('c', null) = null
         is_batch_done('c', 1) = true",
    );
}

#[test]
fn events_of_the_batch_that_was_begun_last_are_remembered() {
    let (_database, mut session) = target("ext");
    story(
        &mut session,
        "is_event_done('c', 1, 1) = false
         set_event_done('c', 1, 1) = true
         set_event_done('c', 1, 1) = false
         set_event_done('c', 1, 2) = true
         is_event_done('c', 1, 1) = true
         is_event_done('c', 1, 3) = false
         set_event_done('c', 2, 1) = true
         is_event_done('c', 1, 1) = false
         is_event_done('c', 2, 1) = true
         set_event_done('c', 1, 2) = true
         is_event_done('c', 2, 1) = false",
    );
    assert_eq!(session.one::<i64>("select count(*) from pgq_ext.completed_event", &[]), 1);
}

#[test]
fn a_tick_goes_anywhere() {
    let (_database, mut session) = target("ext");
    story(
        &mut session,
        "get_last_tick('c') = null
         set_last_tick('c', null) = 1
         set_last_tick('c', 7) = 1
         set_last_tick('c', 3) = 1
         set_last_tick('c', 'sub', 9) = 1
         get_last_tick('c') = 3
         get_last_tick('c', 'sub') = 9
         set_last_tick('c', null) = 1
         get_last_tick('c') = null
         get_last_tick('c', 'sub') = 9",
    );
}

#[test]
fn a_consumer_has_a_position_on_each_queue() {
    let (_database, mut session) = target("ext");
    story(
        &mut session,
        "set_last_tick('q', 'c', '', 7) = 1
         set_last_tick('r', 'c', '', 70) = 1
         get_last_tick('q', 'c', '') = 7
         get_last_tick('r', 'c', '') = 70
         get_last_tick('c') = null
         set_batch_done('q', 'c', '', 7) = true
         set_batch_done('r', 'c', '', 7) = true
         set_batch_done('c', 7) = true
         is_batch_done('q', 'c', '', 7) = true
         set_event_done('q', 'c', '', 7, 1) = true
         set_event_done('r', 'c', '', 8, 1) = true
         set_event_done('c', '', 9, 1) = true
         is_event_done('q', 'c', '', 7, 1) = true
         set_event_done('r', 'c', '', 9, 2) = true
         is_event_done('r', 'c', '', 8, 1) = false
         is_event_done('c', 9, 1) = true
         is_event_done('q', 'c', '', 7, 1) = true",
    );
}

#[test]
fn calls_without_a_queue_are_those_of_the_empty_one() {
    let (_database, mut session) = target("ext");
    story(
        &mut session,
        "set_last_tick('c', 7) = 1
         get_last_tick('', 'c', '') = 7
         set_batch_done('', 'c', 's', 7) = true
         set_batch_done('c', 's', 7) = false
         set_event_done('c', 7, 1) = true
         set_event_done('', 'c', '', 7, 1) = false",
    );
}

#[test]
fn names_are_texts_whatever_is_in_them() {
    let (_database, mut session) = target("ext");
    let names = ["", " ", "C", "c", "a.b", "it''s", "%s", "\u{fc}\u{1f980}", "\"q\""];
    for (number, name) in (1..).zip(names) {
        assert_eq!(call(&mut session, &format!("set_last_tick('{name}', {number})")).unwrap(), "1");
    }
    for (number, name) in (1..).zip(names) {
        let tick = call(&mut session, &format!("get_last_tick('{name}')"));
        assert_eq!(tick, Some(number.to_string()), "{name}");
    }
}

#[test]
fn who_has_no_name_stores_nothing_and_has_done_nothing() {
    let (_database, mut session) = target("ext");
    for names in ["null", "null, ''", "'c', null", "null, 'c', ''", "'q', null, ''", "'q', 'c', null"] {
        for setter in ["set_batch_done", "set_last_tick"] {
            assert_eq!(
                session.error(&format!("select pgq_ext.{setter}({names}, 1)")).code,
                "23502",
                "{names}"
            );
        }
        assert_eq!(session.error(&format!("select pgq_ext.set_event_done({names}, 1, 1)")).code, "23502");
        story(
            &mut session,
            &format!(
                "is_batch_done({names}, 1) = false
                 is_event_done({names}, 1, 1) = false
                 get_last_tick({names}) = null
                 set_last_tick({names}, null) = 1"
            )
            // A lone NULL could be of any type.
            .replace("(null)", "(null::text)"),
        );
    }
    for ids in ["null, 1", "1, null", "null, null"] {
        assert_eq!(session.error(&format!("select pgq_ext.set_event_done('c', {ids})")).code, "23502");
        story(&mut session, &format!("is_event_done('c', {ids}) = false"));
    }
    story(&mut session, "set_event_done('c', 1, 1) = true");
    for ids in ["null, 1", "1, null", "null, null"] {
        assert_eq!(session.error(&format!("select pgq_ext.set_event_done('c', {ids})")).code, "23502");
    }
    story(&mut session, "set_event_done('c', 1, 1) = false");
}

/// What a consumer has done.
#[derive(Clone, Default)]
struct Done {
    tick: Option<i64>,
    batch: Option<i64>,
    partial: Option<i64>,
    events: BTreeSet<i64>,
}

impl Done {
    /// What the call says, as text.
    fn call(&mut self, function: &str, ids: &[Option<i64>]) -> Option<String> {
        match function {
            "is_batch_done" => match (self.batch, ids[0]) {
                (None, _) => Some(false.to_string()),
                (Some(last), asked) => asked.map(|asked| (last == asked).to_string()),
            },
            "set_batch_done" => {
                let is_done = ids[0].is_some() && self.batch == ids[0];
                if ids[0] > Some(0) {
                    self.batch = ids[0];
                }
                Some((!is_done).to_string())
            }
            "is_event_done" => {
                Some((self.partial == ids[0] && self.events.contains(&ids[1].unwrap())).to_string())
            }
            "set_event_done" => {
                if self.partial != ids[0] {
                    self.partial = ids[0];
                    self.events.clear();
                }
                Some(self.events.insert(ids[1].unwrap()).to_string())
            }
            "get_last_tick" => self.tick.map(|tick| tick.to_string()),
            "set_last_tick" => {
                self.tick = ids[0];
                Some("1".to_owned())
            }
            _ => unreachable!("{function}"),
        }
    }
}

#[test]
fn any_calls_in_any_order_say_what_the_model_says() {
    const TRANSACTIONS: u32 = 600;
    let (_database, mut session) = target("ext");
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut model: HashMap<[&str; 3], Done> = HashMap::new();
    for _ in 0..TRANSACTIONS {
        session.exec("begin");
        let before = model.clone();
        for _ in 0..random.u8(1..6) {
            let consumer = random.choice(["c", "d"]).unwrap();
            let (names, of) = match random.u8(..4) {
                0 => (vec![consumer], ["", consumer, ""]),
                1 => {
                    let sub = random.choice(["", "s"]).unwrap();
                    (vec![consumer, sub], ["", consumer, sub])
                }
                _ => {
                    let (queue, sub) =
                        (random.choice(["", "q", "r"]).unwrap(), random.choice(["", "s"]).unwrap());
                    (vec![queue, consumer, sub], [queue, consumer, sub])
                }
            };
            let function = random
                .choice([
                    "is_batch_done",
                    "set_batch_done",
                    "is_event_done",
                    "set_event_done",
                    "get_last_tick",
                    "set_last_tick",
                ])
                .unwrap();
            let mut id = || Some(random.i64(-1..4));
            let ids = match function {
                "get_last_tick" => vec![],
                "is_event_done" | "set_event_done" => vec![id(), id()],
                _ => vec![id().filter(|&id| id != -1)],
            };
            let names = names.iter().map(|name| format!("'{name}'"));
            let numbers = ids.iter().map(|id| id.map_or("null".to_owned(), |id| id.to_string()));
            let asked = format!("{function}({})", names.chain(numbers).collect::<Vec<_>>().join(", "));
            let said = call(&mut session, &asked);
            assert_eq!(said, model.entry(of).or_default().call(function, &ids), "{asked} (seed {seed})");
        }
        if random.bool() {
            session.exec("commit");
        } else {
            session.exec("rollback");
            model = before;
        }
    }
}
